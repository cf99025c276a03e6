//! Mixtures of experts against the CPU twins, and a token's routes beside those of others.

use crate::common::*;
use crate::families::{
    F32_BUDGET, Form, K, Q8_BUDGET, ROWS, TILES, compare, layouts, matrix, residual,
};
use chord_kernels::act::ActKind;
use chord_kernels::matmul::{Epilogue, Experts, Glu, Layout, MatMul};
use chord_kernels::route::Route;
use chord_kernels::sum_routes::SumRoutes;
use chord_kernels::variants::EXPERT_COLS;
use chord_quant::WeightType;
use std::sync::Arc;

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
                    rows_at: None,
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
        let rows_at = routes.len() as u32;
        routes.push(0);
        let kernel = Route {
            n_experts,
            used,
            stride: 160,
            bias_at,
            quantise,
            rows_at: biased.then_some(rows_at),
        };
        let mut buffers = vec![(1, logits), (2, routes)];
        if let Some(blocks) = quantise {
            let input = activations(&mut rng, ActKind::F32, 3, blocks as usize);
            let words = 3 * blocks as usize * ActKind::Q8.words();
            buffers.extend([(3, input), (4, vec![0; words])]);
        }
        let case = Case {
            name: "route".into(),
            kernel: Arc::new(kernel),
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
            assert_eq!(got.last(), want.last(), "rows");
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

/// A batch reads an expert's weights for several of its routes at once; each token's result is that of the token alone, bit for bit.
#[test]
fn a_token_gets_the_same_from_its_experts_in_any_batch() {
    const TOKENS: usize = 21;
    let (gpu, mut rng) = (device(), Rng::new(16));
    let (ty, kind) = (WeightType::Q4K, ActKind::Q8);
    let experts = Experts {
        used: 2,
        first: 0,
        count: 5,
        bias_at: None,
        rows_at: None,
    };
    let down = MatMul {
        epilogue: Epilogue::Residual,
        act_in: kind,
        act_out: kind,
        experts: Some(experts),
        ..MatMul::new(ty, ROWS, (K / 32) as u32, Layout::RowPerThread)
    };
    let up = MatMul {
        b: Some(ty),
        rows_b: ROWS,
        epilogue: Epilogue::Glu,
        norm: Some((K as u32, 1e-5)),
        ..down.clone()
    };
    let chosen: Vec<u32> = (0..TOKENS)
        .flat_map(|_| {
            let first = rng.next() as u32 % 5;
            let second = (first + 1 + rng.next() as u32 % 4) % 5;
            [first, second].map(|e| [e, rng.float().to_bits()])
        })
        .flatten()
        .collect();
    let a = matrix(&mut rng, ty, experts.count, [1, 2]);
    let b = matrix(&mut rng, ty, experts.count, [3, 4]);
    let weights = |of_up: bool| {
        let b = b.iter().filter(move |_| of_up);
        a.iter()
            .chain(b)
            .map(|(slot, words, _)| (*slot, words.clone()))
    };
    let (block, tiles) = (kind.words(), TILES);
    let x = residual(&mut rng, TOKENS, tiles, ROWS as usize);
    let gamma = rng.floats(tiles * 32);
    for (kernel, inputs, outputs) in [(up, 1, 2), (down, 2, 1)] {
        let gated = kernel.epilogue == Epilogue::Glu;
        let input = activations(&mut rng, kind, inputs * TOKENS, K / 32);
        let of_token = |words: &[u32], each: usize, tokens: std::ops::Range<usize>| {
            words[tokens.start * each..tokens.end * each].to_vec()
        };
        let run = |tokens: std::ops::Range<usize>| -> Vec<u32> {
            let rows = tokens.len();
            let mut buffers: Vec<_> = weights(gated).collect();
            let input = of_token(&input, inputs * K / 32 * block, tokens.clone());
            buffers.push((5, input));
            if !gated {
                buffers.push((6, of_token(&x, tiles * 32, tokens.clone())));
                buffers.push((7, gamma.clone()));
            }
            buffers.push((8, vec![0; rows * outputs * tiles * block]));
            buffers.push((10, of_token(&chosen, 4, tokens)));
            let case = Case {
                name: "experts".into(),
                kernel: Arc::new(kernel.clone()),
                buffers,
                rows: rows as u32,
            };
            let mut results = run_both(&gpu, case).into_iter();
            let (_, got, _) = results.find(|(slot, ..)| *slot == 8).expect("an output");
            got
        };
        let together = run(0..TOKENS);
        for token in 0..TOKENS {
            let alone = run(token..token + 1);
            let each = outputs * tiles * block;
            assert_eq!(alone, together[token * each..][..each], "token {token}");
        }
    }
}

/// Routes of so many tokens to two of 5 experts each, of which the last two have few; then biases of two matrices, then the rows.
fn routes_of(tokens: u32, rng: &mut Rng) -> (Vec<u32>, [u32; 2], u32) {
    let mut routes = Vec::new();
    for token in 0..tokens {
        let first = [0, 1, 0, 2, 0, 1, 3, 0][token as usize % 8];
        let second = if token == 40 { 4 } else { first + 1 };
        for expert in [first, second] {
            routes.extend([expert, rng.float().to_bits()]);
        }
    }
    let at = routes.len() as u32;
    routes.extend(rng.floats(2 * 5 * ROWS as usize));
    let rows_at = routes.len() as u32;
    routes.push(tokens);
    (routes, [at, at + 5 * ROWS], rows_at)
}

#[test]
fn a_batch_expert_by_expert_matches_its_twin_whole_and_in_parts() {
    // One expert has more routes than a workgroup takes at once.
    const TOKENS: usize = 70;
    let (gpu, mut rng) = (device(), Rng::new(17));
    for (ty, kind) in [
        (WeightType::Mxfp4, ActKind::F32),
        (WeightType::Q4K, ActKind::Q8),
        (WeightType::BF16, ActKind::F32),
    ] {
        for (first, count, biased) in [(0, 5, true), (0, 5, false), (3, 2, true)] {
            let name = format!("batch of experts {first}+{count} {ty:?}, biased: {biased}");
            let (routes, biases, rows_at) = routes_of(TOKENS as u32, &mut rng);
            let experts = Experts {
                used: 2,
                first,
                count,
                bias_at: biased.then_some(biases),
                rows_at: Some(rows_at),
            };
            let plain = MatMul {
                act_in: kind,
                act_out: kind,
                cols: EXPERT_COLS,
                experts: Some(experts),
                ..MatMul::new(ty, ROWS, (K / 32) as u32, Layout::Tile)
            };
            let weights = matrix(&mut rng, ty, count, [1, 2]);
            let mut buffers = weights.clone();
            buffers.extend(matrix(&mut rng, ty, count, [3, 4]));
            buffers.push((5, activations(&mut rng, kind, TOKENS, K / 32), Form::Exact));
            let out = vec![0; 2 * TOKENS * TILES * kind.words()];
            buffers.push((8, out, Form::Blocks(kind)));
            buffers.push((10, routes.clone(), Form::Exact));
            let up = MatMul {
                b: Some(ty),
                rows_b: ROWS,
                epilogue: Epilogue::Glu,
                norm: Some((K as u32, 1e-5)),
                glu: Glu::SwigluOai,
                ..plain.clone()
            };
            compare(&gpu, &format!("{name} up"), up, TOKENS as u32, buffers);

            let mut buffers: Vec<_> = weights.into_iter().map(|(at, w, _)| (at, w)).collect();
            buffers.push((5, activations(&mut rng, kind, 2 * TOKENS, K / 32)));
            buffers.push((6, vec![0; 2 * TOKENS * TILES * 32]));
            buffers.push((10, routes));
            let down = Case {
                name: format!("{name} down"),
                kernel: Arc::new(MatMul {
                    experts: Some(Experts {
                        bias_at: None,
                        ..experts
                    }),
                    ..plain
                }),
                buffers,
                rows: TOKENS as u32,
            };
            for (slot, got, want) in run_both(&gpu, down) {
                // What pads a row is nothing to go by.
                let values = |words: &[u32]| -> Vec<f32> {
                    let rows = words.chunks(TILES * 32).map(|row| &row[..ROWS as usize]);
                    rows.flat_map(as_floats).collect()
                };
                if slot == 6 {
                    let name = format!("{name} down");
                    assert_close(&name, &values(&got), &values(&want), F32_BUDGET);
                }
            }
        }
    }
}

#[test]
fn what_experts_give_is_summed_as_its_twin_does() {
    const TOKENS: usize = 3;
    let (gpu, mut rng) = (device(), Rng::new(18));
    for act_out in [ActKind::F32, ActKind::Q8] {
        for biased in [false, true] {
            let (routes, [bias_at, _], _) = routes_of(TOKENS as u32, &mut rng);
            let kernel = SumRoutes {
                n_values: ROWS,
                used: 2,
                bias_at: biased.then_some(bias_at),
                scale: 0.7,
                act_out,
            };
            // What pads the last block is not for the sum.
            let y = rng.floats(2 * TOKENS * TILES * 32);
            let x = residual(&mut rng, TOKENS, TILES, ROWS as usize);
            let out = vec![0; TOKENS * TILES * act_out.words()];
            let buffers = vec![
                (1, y, Form::Exact),
                (2, routes, Form::Exact),
                (3, x, Form::Floats),
                (4, rng.floats(TILES * 32), Form::Exact),
                (5, out, Form::Blocks(act_out)),
            ];
            let name = format!("sum of routes to {act_out:?}, biased: {biased}");
            compare(&gpu, &name, kernel, TOKENS as u32, buffers);
        }
    }
}
