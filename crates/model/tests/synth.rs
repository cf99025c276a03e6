//! Models that are made up: their bytes are a file that is read like any other, and they have the shapes they are named after.

use chord_gguf::Directory;
use chord_kernels::act::ActKind;
use chord_kernels::matmul::{Layout, MatMul};
use chord_kernels::variants::PREFILL_COLS;
use chord_kernels::{KvType, PAGE};
use chord_model::synth::{Synth, names};
use chord_model::{Config, GraphOptions, Plan, plan};
use chord_quant::WeightType;
use std::any::Any;

/// The header is at most this long: the largest vocabulary has a quarter of a million tokens.
const HEADER: usize = 8 << 20;

fn header(model: &Synth) -> Directory {
    let mut bytes = vec![0; HEADER.min(model.size() as usize)];
    model.read(0, &mut bytes);
    let directory = Directory::parse(&bytes).unwrap();
    directory.check_file_len(model.size()).unwrap();
    directory
}

fn plan_of(d: &Directory, c: &Config) -> Plan {
    plan_with(d, c, KvType::F16, 256)
}

fn plan_with(d: &Directory, c: &Config, kv: KvType, positions: u32) -> Plan {
    let options = GraphOptions {
        kv,
        exact: false,
        seq_pages: positions / PAGE,
        sink_pages: 0,
        pages: positions / PAGE,
        sequences: 1,
        chunk: 32,
        cols: PREFILL_COLS,
        layout: Layout::Lanes,
        tiles: None,
        attention_threads: 64,
        attention_cols: 1,
        splits: None,
        eog: 1,
        positions,
        taps: false,
        max_binding: u64::MAX,
    };
    plan(d, c, &options).unwrap()
}

/// Sizes of the files that are published with these shapes and types, in MB, as far as they are known.
#[test]
fn every_name_is_a_model_of_its_size() {
    let mut seen = 0;
    for name in names() {
        let model = Synth::new(&name).unwrap();
        let directory = header(&model);
        let config = Config::from_directory(&directory).unwrap();
        let plan = plan_of(&directory, &config);
        assert_eq!(plan.kv_shape.n_heads, config.n_heads);
        let megabytes = model.size() as f64 / 1e6;
        let (layers, published) = match name.as_str() {
            "llama-1b-q4_k_m" => (16, 808.0),
            "llama-3b-q4_k_m" => (28, 2019.0),
            "llama-8b-q4_k_m" => (32, 4920.0),
            "gemma3-270m-q4_k_m" => (18, 253.0),
            "qwen3-30b-a3b-q4_k_m" => (48, 18_557.0),
            _ => continue,
        };
        seen += 1;
        assert_eq!(config.n_layers, layers);
        // Their vocabularies differ, and are a few megabytes.
        assert!(
            (megabytes / published - 1.0).abs() < 0.03,
            "{name}: {megabytes} MB"
        );
    }
    assert_eq!(seen, 5);
    assert!(Synth::new("llama-8b").is_none() && Synth::new("llama-8b-q4_k_m-").is_none());
}

/// The rule that a real file was made by: gemma-3-270m-q4_k_m.gguf has these types.
#[test]
fn mixes_are_those_of_the_quantiser() {
    let types = |name: &str, part: &str| -> Vec<&'static str> {
        let directory = header(&Synth::new(name).unwrap());
        let of = |n| directory.tensor(&format!("blk.{n}.{part}.weight"));
        (0..).map_while(of).map(|t| t.ty.name()).collect()
    };
    let count = |types: &[&str], ty| types.iter().filter(|t| **t == ty).count();
    let gemma = |part| types("gemma3-270m-q4_k_m", part);
    assert_eq!(gemma("attn_q"), ["Q5_0"; 18]);
    assert_eq!(gemma("attn_output"), ["Q4_K"; 18]);
    let (v, down) = (gemma("attn_v"), gemma("ffn_down"));
    assert_eq!((count(&v, "Q8_0"), count(&v, "Q5_0")), (9, 9));
    assert_eq!((count(&down, "Q6_K"), count(&down, "Q4_K")), (9, 9));
    assert_eq!(
        [v[0], v[3], down[0], down[3]],
        ["Q8_0", "Q5_0", "Q6_K", "Q4_K"]
    );
    let down = types("llama-8b-q4_k_m", "ffn_down");
    assert_eq!((count(&down, "Q6_K"), count(&down, "Q4_K")), (16, 16));
    assert_eq!(types("llama-8b-q8_0", "ffn_up"), ["Q8_0"; 32]);
}

/// The same bytes whatever is asked for at once, and no scale that a GPU may take for zero.
#[test]
fn weights_are_the_same_in_any_pieces_and_of_the_right_size() {
    for name in [
        "tiny-q4_k_m",
        "tiny-q4_0",
        "tiny-q8_0",
        "tiny-moe-q4_k_m",
        "gemma3-270m-q4_k_m",
    ] {
        let model = Synth::new(name).unwrap();
        let directory = header(&model);
        for tensor in directory.tensors().iter().filter(|t| t.bytes < 4 << 20) {
            let mut whole = vec![0; tensor.bytes as usize];
            model.read(tensor.offset, &mut whole);
            let mut pieces = vec![0; whole.len()];
            for (i, piece) in pieces.chunks_mut(1009).enumerate() {
                model.read(tensor.offset + 1009 * i as u64, piece);
            }
            assert!(whole == pieces, "{name} {}", tensor.name);
            let ty = WeightType::from_ggml_id(tensor.ty.id()).unwrap();
            let k = tensor.dims[0] as usize;
            let rows = whole.len() / ty.row_bytes(k).unwrap();
            if rows == 1 {
                continue;
            }
            let l = chord_quant::layout(ty, rows, k).unwrap();
            let (mut q, mut s) = (vec![0; l.quant_words], vec![0; l.scale_words]);
            chord_quant::repack_rows(ty, k, &whole, &mut q, &mut s).unwrap();
            let mut square = 0.0;
            for row in 0..rows {
                for block in 0..k / 32 {
                    let values = chord_quant::stream_block(ty, &l, &q, &s, row, block)
                        .unwrap()
                        .values;
                    square += values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
                }
            }
            // 1/√k each: a normed row's product is about as large as the row.
            let power = square / rows as f64;
            assert!(
                (0.9..1.15).contains(&power),
                "{name} {}: {power}",
                tensor.name
            );
            for block in whole.chunks_exact(ty.block_bytes()) {
                for at in ty.half_fields() {
                    let scale = half::f16::from_le_bytes([block[*at], block[at + 1]]);
                    assert!(scale.is_normal(), "{name} {}: {scale}", tensor.name);
                }
            }
        }
    }
}

/// At the shapes of real models a decoded token reads hardly more than the file's bytes of the matrices it needs.
#[test]
fn repacked_weights_are_at_most_a_hundredth_more_than_the_files() {
    for name in names().filter(|n| !n.starts_with("tiny")) {
        let model = Synth::new(&name).unwrap();
        let directory = header(&model);
        let config = Config::from_directory(&directory).unwrap();
        let plan = plan_of(&directory, &config);
        let steps = || plan.decode.iter().chain(&plan.head);
        // A router of floats must not keep the experts beside it from int8.
        for step in steps() {
            let kernel: &dyn Any = step.kernel.as_ref();
            if let Some(product) = kernel.downcast_ref::<MatMul>() {
                let int8 = product.act_in == ActKind::Q8;
                assert_eq!(int8, product.a.is_integer(), "{name}: {}", step.name);
            }
        }
        let read: u64 = steps().map(|step| step.kernel.weight_bytes()).sum();
        let matrices = directory.tensors().iter().filter(|t| t.n_dims > 1);
        let all: u64 = matrices
            .map(|t| match config.experts {
                Some(experts) if t.n_dims == 3 => {
                    t.bytes / u64::from(experts.count) * u64::from(experts.used)
                }
                _ => t.bytes,
            })
            .sum();
        let table = directory.tensor("token_embd.weight").unwrap().bytes;
        let unread = if config.tied { 0 } else { table };
        let needed = all - unread + table / u64::from(config.n_vocab);
        let ratio = read as f64 / needed as f64;
        let per_layer = (plan.decode.len() - 1) as f64 / f64::from(config.n_layers);
        println!("{name}: {ratio:.4} of the weights needed, {per_layer:.2} dispatches a layer");
        assert!(ratio <= 1.01, "{name}: {ratio}");
    }
}

/// What memory alone allows behind 8192 tokens, of what it allows at the start of a context: bytes of the weights over those of the
/// weights and of keys and values. In f16 a model of a billion parameters whose KV heads are many cannot keep 0.8.
#[test]
fn a_long_context_costs_a_token_no_more_than_its_keys_and_values() {
    for (name, kv, least) in [
        ("llama-1b-q4_k_m", KvType::F16, 0.74),
        ("llama-1b-q4_k_m", KvType::Q8_0, 0.84),
        ("llama-8b-q4_k_m", KvType::F16, 0.80),
        ("llama-8b-q4_k_m", KvType::Q8_0, 0.88),
    ] {
        let directory = header(&Synth::new(name).unwrap());
        let config = Config::from_directory(&directory).unwrap();
        let plan = plan_with(&directory, &config, kv, 8192 + 256);
        let steps = || plan.decode.iter().chain(&plan.head);
        let weights: u64 = steps().map(|step| step.kernel.weight_bytes()).sum();
        let read = |position: u32| -> f64 {
            let kv = steps().map(|step| step.kernel.kv_bytes(position..position + 1));
            (weights + kv.sum::<u64>()) as f64
        };
        let ratio = read(0) / read(8192);
        println!("{name} with keys and values in {}: {ratio:.3}", kv.name());
        assert!(ratio >= least, "{name} {kv:?}: {ratio}");
    }
}
