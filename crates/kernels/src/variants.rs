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

/// Types of one matrix and the next that llama.cpp's mixes, and what it falls back to for rows that are no multiple of 256, put
/// side by side (q and k, then v). Gate and up may come in any pair, but no tool we know writes others than equal ones; such a pair
/// joins two includes that are validated here, and the self-test at load tries it.
const MIXES: [(WeightType, WeightType); 16] = {
    use WeightType::{Iq4Nl, Iq4Xs, Q2K, Q3K, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    [
        (Q2K, Q3K),
        (Q2K, Q4K),
        (Q3K, Q4K),
        (Q3K, Q5K),
        (Q3K, Q6K),
        (Q4K, Q5K),
        (Q4K, Q6K),
        (Q5K, Q6K),
        (Iq4Xs, Q5K),
        (Iq4Xs, Q6K),
        (Iq4Nl, Q5_0),
        (Iq4Nl, Q5_1),
        (Iq4Nl, Q8_0),
        (Q5_0, Q5_1),
        (Q5_0, Q8_0),
        (Q5_1, Q8_0),
    ]
};

/// What may stand beside `a` in one dispatch: nothing, or a matrix of one of these types.
fn beside(a: WeightType) -> impl Iterator<Item = Option<WeightType>> {
    let mixed = MIXES.into_iter().filter(move |(first, _)| *first == a);
    [None, Some(a)]
        .into_iter()
        .chain(mixed.map(|(_, b)| Some(b)))
}

/// All permutations, sorted, without repetition. Head shapes of attention stand for their kind: counts and lengths are
/// numbers in the text.
#[must_use]
pub fn all() -> BTreeSet<Shader> {
    let mut shaders = BTreeSet::new();
    for a in WeightType::all() {
        for b in beside(*a) {
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
                    shaders.extend(matmuls(*a, b, epilogue, norm).iter().map(Kernel::shader));
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
            for (neox, bias_at, qk_norm) in [
                (false, None, None),
                (true, None, None),
                (true, Some(0), None),
                (true, None, Some((1e-6, 0))),
            ] {
                let shape = KvShape {
                    bias_at,
                    qk_norm,
                    ..shape(n_heads, n_kv_heads, head_dim, neox, kv)
                };
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
                                scale: 1.0,
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
        scale: 1.0,
        bias_at: None,
        qk_norm: None,
    }
}
