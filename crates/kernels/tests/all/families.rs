//! What only some model families need, against the CPU twins: other gates, caps, biases, norms of what is added to the
//! residual, and products in parts.

use crate::common::*;
use chord_kernels::act::ActKind;
use chord_kernels::device::Device;
use chord_kernels::embed::Embed;
use chord_kernels::matmul::{Epilogue, Glu, Layout, MatMul};
use chord_kernels::op::Kernel;
use chord_kernels::post_norm::PostNorm;
use chord_quant::WeightType;

/// f32 accumulation against f64.
pub const F32_BUDGET: f64 = 1e-9;
/// A value on a rounding boundary may fall to the other int8 step on one side.
pub const Q8_BUDGET: f64 = 1e-6;
pub const ROWS: u32 = 80;
pub const K: usize = 256;
pub const TILES: usize = 3;

pub fn layouts(gpu: &Device) -> Vec<Layout> {
    let subgroup = gpu
        .caps()
        .subgroups
        .map(|(min, _)| Layout::LanesSubgroup { split: min.min(8) });
    [Layout::RowPerThread, Layout::Lanes]
        .into_iter()
        .chain(subgroup)
        .collect()
}

/// These and tiles, with the tokens of a workgroup.
fn batch_layouts(gpu: &Device) -> Vec<(Layout, u32)> {
    let lanes = layouts(gpu).into_iter().map(|layout| (layout, 4));
    lanes.chain([(Layout::Tile, 8)]).collect()
}

/// How to read a buffer that a kernel wrote.
#[derive(Clone, Copy)]
pub enum Form {
    Floats,
    Blocks(ActKind),
    Exact,
}

pub fn compare(
    gpu: &Device,
    name: &str,
    kernel: impl Kernel + 'static,
    rows: u32,
    buffers: Vec<(u32, Vec<u32>, Form)>,
) {
    let forms: Vec<Form> = buffers.iter().map(|(_, _, form)| *form).collect();
    let buffers = buffers
        .into_iter()
        .map(|(b, words, _)| (b, words))
        .collect();
    let case = Case {
        name: name.into(),
        kernel: std::sync::Arc::new(kernel),
        buffers,
        rows,
    };
    for ((binding, got, want), form) in run_both(gpu, case).into_iter().zip(forms) {
        let name = format!("{name}, binding {binding}");
        match form {
            Form::Floats => assert_close(&name, &as_floats(&got), &as_floats(&want), F32_BUDGET),
            Form::Blocks(kind) => {
                let budget = if kind == ActKind::Q8 {
                    Q8_BUDGET
                } else {
                    F32_BUDGET
                };
                assert_close(
                    &name,
                    &act_values(kind, &got),
                    &act_values(kind, &want),
                    budget,
                );
                assert_close(&name, &act_ssq(kind, &got), &act_ssq(kind, &want), 1e-8);
            }
            Form::Exact => assert_eq!(got, want, "{name}"),
        }
    }
}

/// Streams of `copies` matrices, one below the other, at bindings `slots`.
pub fn matrix(
    rng: &mut Rng,
    ty: WeightType,
    copies: u32,
    slots: [u32; 2],
) -> Vec<(u32, Vec<u32>, Form)> {
    let (quants, scales) = weights(rng, ty, (copies * ROWS) as usize, K);
    vec![
        (slots[0], quants, Form::Exact),
        (slots[1], scales, Form::Exact),
    ]
}

/// The residual of `tokens` rows: what pads a row is zero.
pub fn residual(rng: &mut Rng, tokens: usize, tiles: usize, rows: usize) -> Vec<u32> {
    let mut x = rng.floats(tokens * tiles * 32);
    for token in x.chunks_exact_mut(tiles * 32) {
        token[rows..].fill(0);
    }
    x
}

#[test]
fn gates_match_their_twins() {
    let (gpu, mut rng) = (device(), Rng::new(11));
    for glu in Glu::ALL {
        for (ty, act_in, act_out) in [
            (WeightType::Q4K, ActKind::Q8, ActKind::Q8),
            (WeightType::F16, ActKind::F32, ActKind::F32),
        ] {
            for (layout, tokens) in batch_layouts(&gpu) {
                let mut buffers = matrix(&mut rng, ty, 1, [1, 2]);
                buffers.extend(matrix(&mut rng, ty, 1, [3, 4]));
                buffers.push((
                    5,
                    activations(&mut rng, act_in, tokens as usize, K / 32),
                    Form::Exact,
                ));
                buffers.push((
                    8,
                    vec![0; tokens as usize * TILES * act_out.words()],
                    Form::Blocks(act_out),
                ));
                let kernel = MatMul {
                    b: Some(ty),
                    rows_b: ROWS,
                    epilogue: Epilogue::Glu,
                    norm: Some((K as u32, 1e-5)),
                    act_in,
                    act_out,
                    cols: tokens,
                    glu,
                    // Gates on both sides of what they saturate at.
                    scale: 4.0,
                    ..MatMul::new(ty, ROWS, (K / 32) as u32, layout)
                };
                compare(
                    &gpu,
                    &format!("{glu:?} {ty:?} {layout:?}"),
                    kernel,
                    tokens,
                    buffers,
                );
            }
        }
    }
}

#[test]
fn capped_logits_match_their_twin() {
    let (gpu, mut rng) = (device(), Rng::new(12));
    for layout in layouts(&gpu) {
        for scale in [0.01, 100.0] {
            let mut buffers = matrix(&mut rng, WeightType::Q8_0, 1, [1, 2]);
            buffers.push((
                5,
                activations(&mut rng, ActKind::F32, 1, K / 32),
                Form::Exact,
            ));
            let kernel = MatMul {
                norm: Some((K as u32, 1e-5)),
                soft_cap: Some(30.0),
                scale,
                ..MatMul::new(WeightType::Q8_0, 96.min(ROWS), (K / 32) as u32, layout)
            };
            // Rows that pad the last tile are nobody's.
            let out = vec![0; kernel.width() as usize];
            buffers.push((6, out, Form::Floats));
            let name = format!("capped by {layout:?} at {scale}");
            let kernel = MatMul {
                rows_a: 64,
                place: Some((0, kernel.width())),
                ..kernel
            };
            compare(&gpu, &name, kernel, 1, buffers);
        }
    }
}

#[test]
fn biases_of_the_residual_and_products_in_parts_match_their_twin() {
    let (gpu, mut rng) = (device(), Rng::new(13));
    for (layout, tokens) in batch_layouts(&gpu) {
        let n = tokens as usize;
        for (bias, part) in [(true, None), (false, Some((1, 5))), (true, Some((2, 5)))] {
            let stride = part.map_or(TILES, |(_, tiles)| tiles as usize);
            let first = part.map_or(0, |(first, _)| first as usize);
            let mut buffers = matrix(&mut rng, WeightType::Q5_0, 1, [1, 2]);
            buffers.push((
                5,
                activations(&mut rng, ActKind::Q8, n, K / 32),
                Form::Exact,
            ));
            let rows = 32 * first + ROWS as usize;
            buffers.push((6, residual(&mut rng, n, stride, rows), Form::Floats));
            buffers.push((7, rng.floats(2 * stride * 32), Form::Exact));
            buffers.push((8, vec![0; n * stride * 36], Form::Blocks(ActKind::F32)));
            let kernel = MatMul {
                epilogue: Epilogue::Residual,
                act_in: ActKind::Q8,
                cols: tokens,
                bias,
                part,
                ..MatMul::new(WeightType::Q5_0, ROWS, (K / 32) as u32, layout)
            };
            compare(
                &gpu,
                &format!("bias {bias} part {part:?} {layout:?}"),
                kernel,
                tokens,
                buffers,
            );
        }
    }
}

#[test]
fn norms_of_what_is_added_match_their_twin() {
    let (gpu, mut rng) = (device(), Rng::new(16));
    for (n_values, act_out) in [(80, ActKind::F32), (640, ActKind::Q8), (1152, ActKind::F32)] {
        let blocks = (n_values as usize).div_ceil(32);
        let stride = blocks * 32 + 32;
        let mut y = rng.floats(3 * stride);
        // What pads a row may hold anything.
        for row in y.chunks_exact_mut(stride) {
            row[n_values as usize..].fill(0x7fc0_0000);
        }
        let mut weight = rng.floats(blocks * 32);
        weight[n_values as usize..].fill(0);
        let x = residual(&mut rng, 3, blocks, n_values as usize);
        let gamma = rng.floats(blocks * 32);
        let kernel = PostNorm {
            n_values,
            stride: stride as u32,
            eps: 1e-6,
            scale: 0.8,
            act_out,
        };
        let buffers = vec![
            (1, y, Form::Exact),
            (2, weight, Form::Exact),
            (3, x, Form::Floats),
            (4, gamma, Form::Exact),
            (
                5,
                vec![0; 3 * blocks * act_out.words()],
                Form::Blocks(act_out),
            ),
        ];
        compare(&gpu, &format!("post norm {n_values}"), kernel, 3, buffers);
    }
}

#[test]
fn an_embedding_in_parts_leaves_other_tokens_alone() {
    let (gpu, mut rng) = (device(), Rng::new(17));
    let (quants, scales) = weights(&mut rng, WeightType::Q8_0, 20, 64);
    let tokens = [5u32, 12, 31, 32, 50];
    let rows = tokens.iter().flat_map(|t| [*t, 0, 0, 1]).collect();
    let kernel = Embed {
        a: WeightType::Q8_0,
        n_vocab: 51,
        part: (12, 20),
        k_blocks: 2,
        scale: 2.0,
        act_out: ActKind::F32,
    };
    let before = rng.floats(5 * 64);
    let case = Case {
        name: "embed".into(),
        kernel: std::sync::Arc::new(kernel),
        buffers: vec![
            (1, quants),
            (2, scales),
            (3, rows),
            (4, rng.floats(64)),
            (5, before.clone()),
            (6, vec![0; 5 * 2 * 36]),
        ],
        rows: 5,
    };
    for (binding, got, want) in run_both(&gpu, case) {
        if binding == 5 {
            assert_close("embed", &as_floats(&got), &as_floats(&want), F32_BUDGET);
            for (row, token) in tokens.iter().enumerate() {
                let same = got[row * 64..][..64] == before[row * 64..][..64];
                assert_eq!(same, !(12..32).contains(token), "token {token}");
            }
        }
    }
}
