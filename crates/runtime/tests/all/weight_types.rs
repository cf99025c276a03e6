//! Every weight type from end to end: a model of blocks that llama.cpp quantised against the same model of the values that
//! llama.cpp decodes from them (tests/data/dequant).

use crate::common::*;
use chord_gguf::TensorType;
use chord_gguf::write::{FileSpec, TensorSpec, WriteValue, tiny_llama};
use chord_runtime::{Engine, EngineOptions, Precision};

/// Values in a file of tests/data/dequant.
const VALUES: usize = 4096;
/// Values taken at once: a whole number of every type's blocks.
const PIECE: usize = 256;

const MATRICES: [(&str, u64, u64); 9] = [
    ("token_embd.weight", 256, 16),
    ("output.weight", 256, 16),
    ("blk.0.attn_q.weight", 256, 256),
    ("blk.0.attn_k.weight", 256, 128),
    ("blk.0.attn_v.weight", 256, 128),
    ("blk.0.attn_output.weight", 256, 256),
    ("blk.0.ffn_gate.weight", 256, 512),
    ("blk.0.ffn_up.weight", 256, 512),
    ("blk.0.ffn_down.weight", 512, 256),
];

/// T0 at a width of 256; matrices are pieces of `data`, of `ty`, each tensor in an order of its own.
fn model_of(ty: TensorType, data: &[u8]) -> Bytes {
    let mut spec: FileSpec = tiny_llama();
    for (key, width) in [
        ("llama.embedding_length", 256),
        ("llama.feed_forward_length", 512),
        ("llama.attention.key_length", 64),
        ("llama.attention.value_length", 64),
        ("llama.rope.dimension_count", 64),
    ] {
        spec.set(key, WriteValue::U32(width));
    }
    let piece_bytes = data.len() * PIECE / VALUES;
    let pieces: Vec<&[u8]> = data.chunks_exact(piece_bytes).collect();
    for (n, (name, columns, rows)) in MATRICES.into_iter().enumerate() {
        let count = (columns * rows) as usize / PIECE;
        let order = (0..count).map(|i| pieces[(i * 7 + i / 16 + 3 * n) % pieces.len()]);
        let bytes = order.collect::<Vec<_>>().concat();
        spec.set_tensor(TensorSpec::new(name, ty, &[columns, rows], bytes));
    }
    // Small, so that scores are: attention that chooses one token or another makes much of a small difference.
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        let weights = [0.06; 256];
        spec.set_tensor(TensorSpec::f32(&format!("{name}.weight"), &[256], &weights));
    }
    Bytes(spec.to_bytes())
}

fn logits(model: &Bytes, precision: Precision) -> Vec<Vec<f32>> {
    let options = EngineOptions {
        precision,
        context: Some(64),
        ..exact()
    };
    let mut engine =
        pollster::block_on(Engine::load(model, &options, &NEVER, &mut |_| {})).unwrap();
    assert_eq!(engine.self_test().fallbacks, [""; 0]);
    let tokens: Vec<u32> = (0..24).map(|i| i * 5 % 16).collect();
    let whole = eval(&mut engine, &tokens, 16);
    // One row at a time takes other kernels.
    let single = eval(&mut engine, &tokens[..4], 1);
    whole.into_iter().chain(single).collect()
}

/// Mean squared difference over the logits' variance.
fn error(got: &[Vec<f32>], want: &[Vec<f32>]) -> f64 {
    let square = |v: f32| f64::from(v) * f64::from(v);
    let (mut difference, mut power) = (0.0, 0.0);
    for (got, want) in got.iter().zip(want) {
        let mean = want.iter().sum::<f32>() / want.len() as f32;
        difference += got
            .iter()
            .zip(want)
            .map(|(g, w)| square(g - w))
            .sum::<f64>();
        power += want.iter().map(|w| square(w - mean)).sum::<f64>();
    }
    difference / power
}

#[test]
fn every_type_gives_the_logits_of_its_decoded_values() {
    let types = [
        (TensorType::F16, "f16"),
        (TensorType::BF16, "bf16"),
        (TensorType::Q4_0, "q4_0"),
        (TensorType::Q4_1, "q4_1"),
        (TensorType::Q5_0, "q5_0"),
        (TensorType::Q5_1, "q5_1"),
        (TensorType::Q8_0, "q8_0"),
        (TensorType::Q2_K, "q2_K"),
        (TensorType::Q3_K, "q3_K"),
        (TensorType::Q4_K, "q4_K"),
        (TensorType::Q5_K, "q5_K"),
        (TensorType::Q6_K, "q6_K"),
        (TensorType::IQ4_NL, "iq4_nl"),
        (TensorType::IQ4_XS, "iq4_xs"),
        (TensorType::MXFP4, "mxfp4"),
    ];
    for (ty, name) in types {
        let npy = read(&format!("dequant/{name}.f32.npy"));
        let decoded = &npy[npy.len() - 4 * VALUES..];
        let want = logits(&model_of(TensorType::F32, decoded), Precision::Exact);
        assert!(want.iter().flatten().all(|v| v.is_finite()), "{name}");
        let model = model_of(ty, &read(&format!("dequant/{name}.blocks.bin")));
        for (precision, budget) in [
            // Sums in another order.
            (Precision::Exact, 1e-9),
            // Activations in int8, a scale per 16 values.
            (Precision::Fast, 2e-3),
        ] {
            let e = error(&logits(&model, precision), &want);
            println!("{name} {precision:?}: {e:.1e}");
            assert!(e <= budget, "{name} {precision:?}: {e:e}");
        }
    }
}
