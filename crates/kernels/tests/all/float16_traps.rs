//! Values that a half cannot hold, where other engines met them: accumulators of products (Qwen 2.5), scores (Qwen 2), sums of weighted
//! values over a long context (Gemma 3 27B), inputs of the down projection, scaled embeddings, and K or V themselves.

use crate::common::*;
use chord_kernels::act::{self, ActKind};
use chord_kernels::attention::{Attention, Out};
use chord_kernels::embed::Embed;
use chord_kernels::kv_write::KvWrite;
use chord_kernels::matmul::{Epilogue, Layout, MatMul};
use chord_kernels::{KvShape, KvType, PAGE};
use chord_quant::WeightType;

/// Largest finite half.
const HALF: f32 = 65504.0;
const K: usize = 1024;
const LAYOUTS: [Layout; 2] = [Layout::RowPerThread, Layout::Lanes];

/// Activation blocks of one row of a constant.
fn constant(kind: ActKind, value: f32, blocks: usize) -> Vec<u32> {
    let mut out = vec![0; blocks * kind.words()];
    for block in out.chunks_exact_mut(kind.words()) {
        act::encode(kind, &[value; 32], 32.0 * value * value, block);
    }
    out
}

/// A Q8_0 matrix of 32 rows whose values are all close to 1.
fn ones(k: usize) -> (Vec<u32>, Vec<u32>) {
    let mut bytes = Vec::new();
    for _ in 0..32 * k / 32 {
        bytes.extend(half::f16::from_f32(1.0 / 127.0).to_le_bytes());
        bytes.extend([127; 32]);
    }
    streams(WeightType::Q8_0, 32, k, &bytes)
}

fn largest(values: &[f32]) -> f32 {
    assert!(values.iter().all(|v| v.is_finite()), "{values:?}");
    values.iter().fold(0.0, |a, v| a.max(v.abs()))
}

#[test]
fn products_and_residuals_pass_the_largest_half() {
    for layout in LAYOUTS {
        for kind in [ActKind::F32, ActKind::Q8] {
            let (quants, scales) = ones(K);
            let kernel = MatMul {
                epilogue: Epilogue::Residual,
                act_in: kind,
                act_out: kind,
                ..MatMul::new(WeightType::Q8_0, 32, (K / 32) as u32, layout)
            };
            let case = Case {
                name: "residual".into(),
                kernel: std::sync::Arc::new(kernel),
                buffers: vec![
                    (1, quants),
                    (2, scales),
                    (5, constant(kind, 1000.0, K / 32)),
                    (6, vec![5e5f32.to_bits(); 32]),
                    (7, vec![1f32.to_bits(); 32]),
                    (8, vec![0; kind.words()]),
                ],
                rows: 1,
            };
            for (binding, got, want) in run_both(&device(), case) {
                if binding == 6 {
                    assert!(largest(&as_floats(&got)) > 20.0 * HALF);
                    assert_close("residual", &as_floats(&got), &as_floats(&want), 1e-9);
                } else if binding == 8 {
                    assert!(largest(&act_values(kind, &got)) > 20.0 * HALF);
                    assert_close(
                        "blocks",
                        &act_values(kind, &got),
                        &act_values(kind, &want),
                        1e-6,
                    );
                    assert!(largest(&act_ssq(kind, &got)) > HALF * HALF);
                }
            }
        }
    }
}

#[test]
fn inputs_of_the_down_projection_pass_the_largest_half() {
    for layout in LAYOUTS {
        for kind in [ActKind::F32, ActKind::Q8] {
            let ((qa, sa), (qb, sb)) = (ones(K), ones(K));
            let kernel = MatMul {
                b: Some(WeightType::Q8_0),
                rows_b: 32,
                epilogue: Epilogue::Glu,
                act_in: kind,
                act_out: kind,
                norm: Some((K as u32, 1e-6)),
                ..MatMul::new(WeightType::Q8_0, 32, (K / 32) as u32, layout)
            };
            let case = Case {
                name: "glu".into(),
                kernel: std::sync::Arc::new(kernel),
                buffers: vec![
                    (1, qa),
                    (2, sa),
                    (3, qb),
                    (4, sb),
                    (5, constant(kind, 1000.0, K / 32)),
                    (8, vec![0; kind.words()]),
                ],
                rows: 1,
            };
            for (_, got, want) in run_both(&device(), case)
                .into_iter()
                .filter(|(b, ..)| *b == 8)
            {
                assert!(largest(&act_values(kind, &got)) > 10.0 * HALF);
                assert_close(
                    "glu",
                    &act_values(kind, &got),
                    &act_values(kind, &want),
                    1e-6,
                );
            }
        }
    }
}

#[test]
fn scaled_embeddings_pass_the_largest_half() {
    let (quants, scales) = ones(64);
    let kernel = Embed {
        a: WeightType::Q8_0,
        n_vocab: 32,
        part: (0, 32),
        k_blocks: 2,
        scale: 1e5,
        act_out: ActKind::Q8,
    };
    let case = Case {
        name: "embed".into(),
        kernel: std::sync::Arc::new(kernel),
        buffers: vec![
            (1, quants),
            (2, scales),
            (3, vec![3, 0, 0, 1]),
            (4, vec![1f32.to_bits(); 64]),
            (5, vec![0; 64]),
            (6, vec![0; 2 * 12]),
        ],
        rows: 1,
    };
    for (_, got, want) in run_both(&device(), case)
        .into_iter()
        .filter(|(b, ..)| *b == 5)
    {
        assert!(largest(&as_floats(&got)) > HALF);
        assert_close("embed", &as_floats(&got), &as_floats(&want), 1e-12);
    }
}

fn shape(kv: KvType) -> KvShape {
    KvShape {
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 64,
        rope_dim: 0,
        neox: false,
        rope_lo: 0,
        rope_hi: 0,
        qkv_stride: 256,
        k_off: 128,
        v_off: 192,
        seq_pages: 64,
        sink_pages: 0,
        kv,
        scale: 1.0,
        bias_at: None,
        qk_norm: None,
        window: None,
        soft_cap: None,
        sinks_at: None,
    }
}

/// A store of `pages` pages with every value the same.
fn store(kv: KvType, pages: u32, value: f32) -> Vec<u32> {
    let shape = shape(kv);
    let mut words = vec![0; shape.head_at(pages, 0)];
    for (page, slot) in (0..pages).flat_map(|page| (0..PAGE).map(move |slot| (page, slot))) {
        shape.store(&mut words, page, 0, slot, &[value; 64]);
    }
    words
}

#[test]
fn scores_and_weighted_sums_over_a_long_context_pass_the_largest_half() {
    for kv in KvType::ALL {
        let (pages, value) = (64, 6e4);
        // Scores are 64 * 300 * 60 = 1.15e6; their weights are equal, so the sum of weighted values before it is divided is 2048 * 6e4.
        let kernel = Attention {
            shape: shape(kv),
            fused: false,
            out: Out::Blocks(ActKind::F32),
            cols: 1,
            wg: 32,
            tap: false,
        };
        let case = Case {
            name: "attention".into(),
            kernel: std::sync::Arc::new(kernel),
            buffers: vec![
                (1, vec![300f32.to_bits(); 256]),
                (2, store(kv, pages, 60.0)),
                (3, store(kv, pages, value)),
                (4, vec![0; 2]),
                (5, vec![0, pages * PAGE - 1, 0, 1]),
                (6, (0..pages).collect()),
                (7, vec![0; 4 * 36]),
            ],
            rows: 1,
        };
        for (_, got, want) in run_both(&device(), case)
            .into_iter()
            .filter(|(b, ..)| *b == 7)
        {
            let got = act_values(ActKind::F32, &got);
            assert!(
                (largest(&got) / value - 1.0).abs() < 1e-3,
                "{}",
                largest(&got)
            );
            assert_close("attention", &got, &act_values(ActKind::F32, &want), 1e-9);
        }
    }
}

/// What the KV writer makes of a token's q, k and v: K and V of its slot; bit for bit the twin's.
fn written(kv: KvType, qkv: Vec<u32>) -> [Vec<f32>; 2] {
    let shape = shape(kv);
    let case = Case {
        name: format!("kv_write {kv:?}"),
        kernel: std::sync::Arc::new(KvWrite { shape, wg: 32 }),
        buffers: vec![
            (1, qkv),
            (2, store(kv, 1, 0.0)),
            (3, store(kv, 1, 0.0)),
            (4, vec![0; 2]),
            (5, vec![0, 0, 0, 1]),
            (6, vec![0]),
        ],
        rows: 1,
    };
    let mut found = [Vec::new(), Vec::new()];
    for (binding, got, want) in run_both(&device(), case) {
        assert_eq!(got, want, "{kv:?} binding {binding}");
        if let 2 | 3 = binding {
            found[binding as usize - 2] = (0..64).map(|d| shape.load(&got, 0, d)).collect();
        }
    }
    found
}

#[test]
fn keys_and_values_beyond_the_halves_are_stored_as_the_largest() {
    let mut qkv = vec![1f32.to_bits(); 256];
    (qkv[128], qkv[129], qkv[192]) = (1e6f32.to_bits(), (-1e30f32).to_bits(), 7e4f32.to_bits());
    let [k, v] = written(KvType::F16, qkv);
    assert_eq!((k[0], k[1], k[2]), (HALF, -HALF, 1.0));
    assert_eq!((v[0], v[1]), (HALF, 1.0));
}

#[test]
fn scales_beyond_the_halves_are_stored_as_the_largest() {
    let largest = 127.0 * HALF;
    let mut qkv = vec![1f32.to_bits(); 256];
    let beyond = [2.0, -1e6].map(|factor| (factor * largest).to_bits());
    (qkv[128], qkv[129], qkv[192]) = (beyond[0], beyond[1], beyond[0]);
    let [k, v] = written(KvType::Q8_0, qkv);
    // Beside the largest others are nothing; what shares no scale with it is as it would be without.
    let one = 127.0 * half::f16::from_f32(1.0 / 127.0).to_f32();
    assert_eq!((k[0], k[1], k[40]), (0.0, -largest, one));
    assert_eq!((v[0], v[1], v[40]), (largest, 0.0, one));
}
