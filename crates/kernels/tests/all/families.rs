//! What only some model families need, against the CPU twins: other gates, caps, biases, experts and their routes, norms of what is
//! added to the residual, and products in parts.

use crate::common::*;
use chord_kernels::act::ActKind;
use chord_kernels::device::Device;
use chord_kernels::embed::Embed;
use chord_kernels::matmul::{Epilogue, Experts, Glu, Layout, MatMul};
use chord_kernels::op::Kernel;
use chord_kernels::post_norm::PostNorm;
use chord_kernels::route::Route;
use chord_quant::WeightType;

/// f32 accumulation against f64.
const F32_BUDGET: f64 = 1e-9;
/// A value on a rounding boundary may fall to the other int8 step on one side.
const Q8_BUDGET: f64 = 1e-6;
const ROWS: u32 = 80;
const K: usize = 256;
const TILES: usize = 3;

fn layouts(gpu: &Device) -> Vec<Layout> {
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
enum Form {
    Floats,
    Blocks(ActKind),
    Exact,
}

fn compare(
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
fn matrix(
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
fn residual(rng: &mut Rng, tokens: usize, tiles: usize, rows: usize) -> Vec<u32> {
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

/// Routes of 3 tokens to 2 of 5 experts each, then biases of two matrices.
fn routes(rng: &mut Rng) -> Vec<u32> {
    let experts = [[4, 0], [2, 3], [1, 4]];
    let mut routes: Vec<u32> = experts
        .as_flattened()
        .iter()
        .flat_map(|e| [*e, rng.float().to_bits()])
        .collect();
    routes.extend(rng.floats(2 * 5 * ROWS as usize));
    routes
}

#[test]
fn experts_match_their_twin_whole_and_in_parts() {
    let (gpu, mut rng) = (device(), Rng::new(14));
    let biases = Some([12, 12 + 5 * ROWS]);
    for (ty, kind) in [
        (WeightType::Mxfp4, ActKind::F32),
        (WeightType::Q4K, ActKind::Q8),
        (WeightType::BF16, ActKind::F32),
    ] {
        for layout in layouts(&gpu) {
            for (first, count, bias_at) in [(0, 5, biases), (0, 5, None), (3, 2, biases)] {
                let name = format!("experts {first}+{count} {ty:?} {layout:?} {bias_at:?}");
                let experts = Experts {
                    used: 2,
                    first,
                    count,
                    bias_at,
                };
                let mut buffers = matrix(&mut rng, ty, count, [1, 2]);
                buffers.extend(matrix(&mut rng, ty, count, [3, 4]));
                buffers.push((5, activations(&mut rng, kind, 3, K / 32), Form::Exact));
                buffers.push((8, vec![0; 6 * TILES * kind.words()], Form::Blocks(kind)));
                buffers.push((10, routes(&mut rng), Form::Exact));
                let kernel = MatMul {
                    b: Some(ty),
                    rows_b: ROWS,
                    epilogue: Epilogue::Glu,
                    norm: Some((K as u32, 1e-5)),
                    act_in: kind,
                    act_out: kind,
                    glu: Glu::SwigluOai,
                    experts: Some(experts),
                    ..MatMul::new(ty, ROWS, (K / 32) as u32, layout)
                };
                compare(&gpu, &format!("{name} up"), kernel, 3, buffers);

                let mut buffers = matrix(&mut rng, ty, count, [1, 2]);
                buffers.push((5, activations(&mut rng, kind, 6, K / 32), Form::Exact));
                buffers.push((6, residual(&mut rng, 3, TILES, ROWS as usize), Form::Floats));
                buffers.push((7, rng.floats(TILES * 32), Form::Exact));
                buffers.push((8, vec![0; 3 * TILES * kind.words()], Form::Blocks(kind)));
                buffers.push((10, routes(&mut rng), Form::Exact));
                let kernel = MatMul {
                    epilogue: Epilogue::Residual,
                    act_in: kind,
                    act_out: kind,
                    experts: Some(experts),
                    ..MatMul::new(ty, ROWS, (K / 32) as u32, layout)
                };
                compare(&gpu, &format!("{name} down"), kernel, 3, buffers);
            }
        }
    }
}

#[test]
fn routes_are_the_best_experts_and_the_softmax_over_them() {
    let (gpu, mut rng) = (device(), Rng::new(15));
    for (n_experts, used, biased) in [(8, 2, false), (128, 8, false), (32, 4, true), (5, 5, true)] {
        // The third and the fourth also write the router's input again for experts that take int8.
        let quantise = biased.then_some(12);
        let mut logits = rng.floats(3 * 160);
        // Equal logits: the lower id is first.
        (logits[160 + 1], logits[160 + 3]) = (2f32.to_bits(), 2f32.to_bits());
        let mut routes = vec![0; 3 * 2 * used as usize];
        let bias_at = biased.then_some(routes.len() as u32);
        routes.extend(rng.floats(n_experts as usize));
        let kernel = Route {
            n_experts,
            used,
            stride: 160,
            bias_at,
            quantise,
        };
        let mut buffers = vec![(1, logits), (2, routes)];
        if let Some(blocks) = quantise {
            let input = activations(&mut rng, ActKind::F32, 3, blocks as usize);
            let words = 3 * blocks as usize * ActKind::Q8.words();
            buffers.extend([(3, input), (4, vec![0; words])]);
        }
        let case = Case {
            name: "route".into(),
            kernel: std::sync::Arc::new(kernel),
            buffers,
            rows: 3,
        };
        for (slot, got, want) in run_both(&gpu, case) {
            if slot == 4 {
                let values = |words: &[u32]| act_values(ActKind::Q8, words);
                assert_close("int8", &values(&got), &values(&want), Q8_BUDGET);
                let squares = |words: &[u32]| act_ssq(ActKind::Q8, words);
                assert_close("sums of squares", &squares(&got), &squares(&want), 0.0);
            }
            if slot != 2 {
                continue;
            }
            let chosen = 3 * used as usize;
            for i in 0..chosen {
                assert_eq!(got[2 * i], want[2 * i], "{n_experts} experts, route {i}");
            }
            let weights = |v: &[u32]| {
                let bits = v[..2 * chosen].iter().skip(1).step_by(2);
                bits.map(|w| f32::from_bits(*w)).collect::<Vec<_>>()
            };
            assert_close("weights", &weights(&got), &weights(&want), 1e-11);
            let sum: f32 = weights(&got)[..used as usize].iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
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
