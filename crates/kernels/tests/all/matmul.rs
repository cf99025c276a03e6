//! Matrix products and embedding rows against their CPU twins: every type, epilogue, activation form and layout.

use crate::common::*;
use chord_kernels::act::ActKind;
use chord_kernels::device::Device;
use chord_kernels::embed::Embed;
use chord_kernels::matmul::{Epilogue, Layout, MatMul};
use chord_kernels::variants::{PREFILL_COLS, TILE_COLS};
use chord_quant::WeightType;

pub const POISON: u32 = 0x7fc0_0000;
/// f32 accumulation against f64.
const F32_BUDGET: f64 = 1e-9;
/// A value on a rounding boundary may fall to the other int8 step on one side.
const Q8_BUDGET: f64 = 1e-6;

/// Of results in f32 and in int8. Operands in f16 are off by up to 2^-12 of themselves.
fn budgets(layout: Layout) -> (f64, f64) {
    match layout {
        Layout::Cooperative(_) => (5e-7, 5e-6),
        _ => (F32_BUDGET, Q8_BUDGET),
    }
}

fn layouts(gpu: &Device) -> Vec<Layout> {
    let mut out = vec![Layout::RowPerThread, Layout::RowPerThread4, Layout::Lanes];
    if let Some((min, _)) = gpu.caps().subgroups {
        out.push(Layout::LanesSubgroup { split: min.min(8) });
    }
    out
}

/// These and tiles.
fn batch_layouts(gpu: &Device) -> Vec<Layout> {
    layouts(gpu).into_iter().chain([Layout::Tile]).collect()
}

pub struct Shape {
    pub rows_a: u32,
    pub rows_b: u32,
    pub k: usize,
    pub tokens: u32,
}

#[expect(clippy::too_many_arguments, reason = "a test's table row")]
pub fn check(
    gpu: &Device,
    rng: &mut Rng,
    a: WeightType,
    b: Option<WeightType>,
    epilogue: Epilogue,
    kinds: (ActKind, ActKind),
    layout: Layout,
    shape: &Shape,
) {
    let (act_in, act_out) = kinds;
    let k_blocks = shape.k.div_ceil(32);
    let cols = match layout {
        layout if layout.is_tiled() => TILE_COLS,
        _ if shape.tokens == 1 => 1,
        _ => PREFILL_COLS,
    };
    let norm = (epilogue != Epilogue::Residual).then_some((shape.k as u32, 1e-5));
    let kernel = MatMul {
        b,
        rows_b: if b.is_some() { shape.rows_b } else { 0 },
        epilogue,
        norm,
        act_in,
        act_out,
        cols,
        scale: 0.7,
        ..MatMul::new(a, shape.rows_a, k_blocks as u32, layout)
    };
    let name = format!(
        "{epilogue:?} {a:?} {b:?} {kinds:?} {layout:?} {}x{} k={} tokens={}",
        shape.rows_a, kernel.rows_b, shape.k, shape.tokens
    );
    // Buffers hold whole groups of tokens, as the plan's do.
    let padded = shape.tokens.next_multiple_of(cols) as usize;
    let (qa, sa) = weights(rng, a, shape.rows_a as usize, shape.k);
    let mut buffers = vec![(1, qa), (2, sa)];
    if let Some(b) = b {
        let (qb, sb) = weights(rng, b, shape.rows_b as usize, shape.k);
        buffers.extend([(3, qb), (4, sb)]);
    }
    buffers.push((5, activations(rng, act_in, padded, k_blocks)));
    let tiles = shape.rows_a.div_ceil(32) as usize;
    let out_blocks = vec![POISON; padded * tiles * act_out.words()];
    match epilogue {
        Epilogue::Plain => buffers.push((6, vec![POISON; padded * kernel.width() as usize])),
        Epilogue::Residual => {
            let mut x = rng.floats(padded * tiles * 32);
            for token in x.chunks_exact_mut(tiles * 32) {
                token[shape.rows_a as usize..].fill(0);
            }
            buffers.extend([(6, x), (7, rng.floats(tiles * 32)), (8, out_blocks)]);
        }
        Epilogue::Glu => buffers.push((8, out_blocks)),
    }
    let stride = kernel.width() as usize;
    let valid = |i: usize| {
        let i = i % stride;
        i < shape.rows_a as usize
            || (i >= kernel_b(shape)
                && i < kernel_b(shape)
                    + if b.is_some() {
                        shape.rows_b as usize
                    } else {
                        0
                    })
    };
    let (f32_budget, q8_budget) = budgets(layout);
    let results = run_both(
        gpu,
        Case {
            name: name.clone(),
            kernel: std::sync::Arc::new(kernel),
            buffers,
            rows: shape.tokens,
        },
    );
    for (binding, got, want) in results {
        let tokens = shape.tokens as usize;
        match binding {
            6 if epilogue == Epilogue::Plain => {
                let pick = |v: &[u32]| {
                    as_floats(&v[..tokens * stride])
                        .into_iter()
                        .enumerate()
                        .filter(|(i, _)| valid(*i))
                        .map(|(_, v)| v)
                        .collect::<Vec<_>>()
                };
                assert_close(&name, &pick(&got), &pick(&want), f32_budget);
            }
            6 => assert_close(
                &name,
                &as_floats(&got[..tokens * tiles * 32]),
                &as_floats(&want[..tokens * tiles * 32]),
                f32_budget,
            ),
            8 => {
                let n = tokens * tiles * act_out.words();
                let budget = if act_out == ActKind::Q8 {
                    q8_budget
                } else {
                    f32_budget
                };
                assert_close(
                    &name,
                    &act_values(act_out, &got[..n]),
                    &act_values(act_out, &want[..n]),
                    budget,
                );
                for block in got[..n].chunks_exact(act_out.words()) {
                    let error = chord_kernels::act::sums_error(act_out, block);
                    assert!(error < 1e-5, "{name}: sums are off by {error:e}");
                }
                let ssq = |v: &[u32]| act_ssq(act_out, &v[..n]);
                assert_close(
                    &format!("{name} ssq"),
                    &ssq(&got),
                    &ssq(&want),
                    f32_budget.max(1e-8),
                );
            }
            _ => assert_eq!(got, want, "{name}: binding {binding} is an input"),
        }
    }
}

fn kernel_b(shape: &Shape) -> usize {
    shape.rows_a.div_ceil(32) as usize * 32
}

pub fn kinds(integer: bool) -> Vec<(ActKind, ActKind)> {
    let mut out = vec![(ActKind::F32, ActKind::F32)];
    if integer {
        out.extend([(ActKind::Q8, ActKind::Q8), (ActKind::Q8, ActKind::F32)]);
    }
    out
}

pub fn k_of(ty: WeightType, small: usize) -> usize {
    if ty.block_elements() == 256 {
        small.next_multiple_of(256)
    } else {
        small
    }
}

#[test]
fn plain_matches_its_twin() {
    plain(WeightType::all());
}

/// SwiftShader takes a second for each pipeline: types that reach the products in different forms.
#[test]
fn plain_of_every_form_matches_its_twin_on_both() {
    use WeightType::{F16, F32, Mxfp4, Q4K, Q6K, Q8_0};
    plain(&[F32, F16, Q8_0, Q4K, Q6K, Mxfp4]);
}

fn plain(types: &[WeightType]) {
    let (gpu, mut rng) = (device(), Rng::new(1));
    for a in types {
        for layout in layouts(&gpu) {
            for kinds in kinds(a.is_integer()) {
                for (rows_a, tokens) in [(96, 1), (33, 5)] {
                    let shape = Shape {
                        rows_a,
                        rows_b: 0,
                        k: k_of(*a, 288),
                        tokens,
                    };
                    check(
                        &gpu,
                        &mut rng,
                        *a,
                        None,
                        Epilogue::Plain,
                        kinds,
                        layout,
                        &shape,
                    );
                }
            }
        }
    }
}

#[test]
fn two_types_in_one_dispatch_match_their_twin() {
    let (gpu, mut rng) = (device(), Rng::new(2));
    for (a, b) in [
        (WeightType::Q4K, WeightType::Q6K),
        (WeightType::Q4_1, WeightType::Q8_0),
        (WeightType::F16, WeightType::Q4_0),
        (WeightType::Q8_0, WeightType::F32),
    ] {
        for layout in batch_layouts(&gpu) {
            for kinds in kinds(a.is_integer() && b.is_integer()) {
                let shape = Shape {
                    rows_a: 64,
                    rows_b: 40,
                    k: 256,
                    tokens: 3,
                };
                check(
                    &gpu,
                    &mut rng,
                    a,
                    Some(b),
                    Epilogue::Plain,
                    kinds,
                    layout,
                    &shape,
                );
            }
        }
    }
}

#[test]
fn residual_matches_its_twin() {
    let (gpu, mut rng) = (device(), Rng::new(3));
    for a in [
        WeightType::F32,
        WeightType::F16,
        WeightType::Q4_1,
        WeightType::Q8_0,
        WeightType::Q4K,
        WeightType::Q3K,
    ] {
        for layout in batch_layouts(&gpu) {
            for kinds in kinds(a.is_integer()) {
                for (rows_a, tokens) in [(64, 1), (80, 6)] {
                    let shape = Shape {
                        rows_a,
                        rows_b: 0,
                        k: k_of(a, 96),
                        tokens,
                    };
                    check(
                        &gpu,
                        &mut rng,
                        a,
                        None,
                        Epilogue::Residual,
                        kinds,
                        layout,
                        &shape,
                    );
                }
            }
        }
    }
}

#[test]
fn glu_matches_its_twin() {
    let (gpu, mut rng) = (device(), Rng::new(4));
    // What a type decodes to is tested with the plain products.
    for (a, b) in [
        (WeightType::Q4_1, WeightType::Q4_1),
        (WeightType::Q4K, WeightType::Q6K),
        (WeightType::Q4_0, WeightType::Q8_0),
        (WeightType::Mxfp4, WeightType::Mxfp4),
        (WeightType::F16, WeightType::F16),
        (WeightType::F32, WeightType::Q8_0),
    ] {
        for layout in batch_layouts(&gpu) {
            for kinds in kinds(a.is_integer() && b.is_integer()) {
                for tokens in [1, 7] {
                    let shape = Shape {
                        rows_a: 96,
                        rows_b: 96,
                        k: 256,
                        tokens,
                    };
                    check(
                        &gpu,
                        &mut rng,
                        a,
                        Some(b),
                        Epilogue::Glu,
                        kinds,
                        layout,
                        &shape,
                    );
                }
            }
        }
    }
}

#[test]
fn a_grid_beyond_65535_workgroups_is_folded() {
    let (gpu, mut rng) = (device(), Rng::new(5));
    let shape = Shape {
        rows_a: 32 * 32_800 + 5,
        rows_b: 0,
        k: 32,
        tokens: 1,
    };
    check(
        &gpu,
        &mut rng,
        WeightType::Q8_0,
        None,
        Epilogue::Plain,
        (ActKind::Q8, ActKind::Q8),
        Layout::RowPerThread,
        &shape,
    );
}

#[test]
fn embedding_rows_match_their_twin() {
    let (gpu, mut rng) = (device(), Rng::new(6));
    for a in WeightType::all() {
        for act_out in [ActKind::F32, ActKind::Q8] {
            let (n_vocab, k) = (50u32, k_of(*a, 288));
            let (q, s) = weights(&mut rng, *a, n_vocab as usize, k);
            let k_blocks = k.div_ceil(32);
            let rows: Vec<u32> = (0..3)
                .flat_map(|_| [rng.next() as u32 % n_vocab, 0, 0, 1])
                .collect();
            let buffers = vec![
                (1, q),
                (2, s),
                (3, rows),
                (4, rng.floats(k_blocks * 32)),
                (5, vec![POISON; 3 * k_blocks * 32]),
                (6, vec![POISON; 3 * k_blocks * act_out.words()]),
            ];
            let kernel = Embed {
                a: *a,
                n_vocab,
                part: (0, n_vocab),
                k_blocks: k_blocks as u32,
                scale: 1.5,
                act_out,
            };
            let name = format!("embed {a:?} {act_out:?}");
            for (binding, got, want) in run_both(
                &gpu,
                Case {
                    name: name.clone(),
                    kernel: std::sync::Arc::new(kernel),
                    buffers,
                    rows: 3,
                },
            ) {
                match binding {
                    5 => assert_close(&name, &as_floats(&got), &as_floats(&want), F32_BUDGET),
                    6 => assert_close(
                        &name,
                        &act_values(act_out, &got),
                        &act_values(act_out, &want),
                        Q8_BUDGET,
                    ),
                    _ => assert_eq!(got, want),
                }
            }
        }
    }
}
