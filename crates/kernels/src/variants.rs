//! Every shader permutation the engine can ask for: what validation runs over.

use crate::act::ActKind;
use crate::activate::Activate;
use crate::attention::Attention;
use crate::embed::Embed;
use crate::kv::{KvShape, KvType};
use crate::kv_write::KvWrite;
use crate::matmul::{Epilogue, Layout, MatMul};
use crate::op::Kernel;
use crate::shaders::Shader;
use chord_quant::WeightType;
use std::collections::BTreeSet;

/// Thread layouts of the matrix products.
pub const LAYOUTS: [Layout; 4] = [
    Layout::RowPerThread,
    Layout::Lanes,
    Layout::LanesSubgroup { split: 8 },
    Layout::LanesSubgroup { split: 4 },
];

/// All permutations, sorted, without repetition. Head shapes of attention stand for their kind: counts and lengths are
/// numbers in the text.
#[must_use]
pub fn all() -> BTreeSet<Shader> {
    let mut shaders = BTreeSet::new();
    for a in WeightType::all() {
        for b in std::iter::once(None).chain(WeightType::all().iter().map(Some)) {
            for (epilogue, norms) in [
                (Epilogue::Plain, [true, false]),
                (Epilogue::Residual, [false, false]),
                (Epilogue::Glu, [true, true]),
            ] {
                let fits = match epilogue {
                    Epilogue::Plain => true,
                    Epilogue::Residual => b.is_none(),
                    Epilogue::Glu => b.is_some(),
                };
                for norm in norms.into_iter().filter(|_| fits) {
                    shaders.extend(
                        matmuls(*a, b.copied(), epilogue, norm)
                            .iter()
                            .map(Kernel::shader),
                    );
                }
            }
        }
        for act_out in [ActKind::F32, ActKind::Q8] {
            shaders.insert(
                Embed {
                    a: *a,
                    n_vocab: 64,
                    k_blocks: 2,
                    scale: 1.0,
                    act_out,
                }
                .shader(),
            );
        }
    }
    for (n_heads, n_kv_heads, head_dim) in [
        (9, 3, 64),
        (4, 4, 32),
        (32, 8, 128),
        (8, 1, 80),
        (64, 2, 128),
    ] {
        for kv in [KvType::F16, KvType::F32] {
            for neox in [false, true] {
                let shape = shape(n_heads, n_kv_heads, head_dim, neox, kv);
                for wg in [32, 64] {
                    shaders.insert(KvWrite { shape, wg }.shader());
                    for act_out in [Some(ActKind::F32), Some(ActKind::Q8), None] {
                        for (fused, tap) in [(true, false), (false, false), (false, true)] {
                            shaders.insert(
                                Attention {
                                    shape,
                                    fused,
                                    act_out,
                                    wg,
                                    tap,
                                }
                                .shader(),
                            );
                        }
                    }
                }
            }
        }
    }
    for act_out in [ActKind::F32, ActKind::Q8] {
        shaders.insert(
            Activate {
                n_values: 40,
                stride: 64,
                act_out,
            }
            .shader(),
        );
    }
    shaders.insert(crate::sample::shader());
    shaders
}

fn matmuls(a: WeightType, b: Option<WeightType>, epilogue: Epilogue, norm: bool) -> Vec<MatMul> {
    let mut out = Vec::new();
    let integer = a.is_integer() && b.is_none_or(WeightType::is_integer);
    for layout in LAYOUTS {
        for cols in [1, PREFILL_COLS] {
            for act_in in [ActKind::F32, ActKind::Q8] {
                for act_out in [ActKind::F32, ActKind::Q8] {
                    for tap in [None, Some(64)] {
                        let known = act_in == ActKind::F32 || integer;
                        let tapped = tap.is_none() || epilogue == Epilogue::Residual;
                        if known && tapped {
                            let rows_b = if b.is_some() { 64 } else { 0 };
                            let norm = norm.then_some((64, 1e-5));
                            out.push(MatMul {
                                a,
                                b,
                                rows_a: 64,
                                rows_b,
                                k_blocks: 8,
                                epilogue,
                                norm,
                                act_in,
                                act_out,
                                cols,
                                layout,
                                tap,
                                place: None,
                            });
                        }
                    }
                }
            }
        }
    }
    out
}

/// Tokens per workgroup in prefill.
pub const PREFILL_COLS: u32 = 4;

fn shape(n_heads: u32, n_kv_heads: u32, head_dim: u32, neox: bool, kv: KvType) -> KvShape {
    KvShape {
        n_heads,
        n_kv_heads,
        head_dim,
        rope_dim: head_dim,
        neox,
        rope_hi: 0,
        qkv_stride: 0,
        k_off: 0,
        v_off: 0,
        seq_pages: 1,
        sink_pages: 0,
        kv,
    }
}
