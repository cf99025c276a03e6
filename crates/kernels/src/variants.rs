//! Every shader permutation the engine can ask for: what validation runs over.

use crate::act::ActKind;
use crate::activate::Activate;
use crate::attention::{Attention, AttentionReduce, Out};
use crate::embed::Embed;
use crate::kv::{KvShape, KvType};
use crate::kv_write::KvWrite;
use crate::matmul::{Cooperative, Epilogue, Experts, Glu, Layout, MatMul};
use crate::op::Kernel;
use crate::post_norm::PostNorm;
use crate::route::Route;
use crate::shaders::Shader;
use chord_quant::WeightType;
use std::collections::BTreeSet;

/// Thread layouts of the matrix products, but for tiles.
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

/// Types for what does not touch the weights: f32, int8, and the two forms of scales.
const SAMPLES: [WeightType; 4] = [
    WeightType::F32,
    WeightType::Q8_0,
    WeightType::Q4K,
    WeightType::Mxfp4,
];

/// Several experts' matrices.
const EXPERTS: Experts = Experts {
    used: 2,
    first: 0,
    count: 4,
    bias_at: None,
};

/// Products that differ in more than types, layout and forms of activations: those are multiplied out for each.
fn products() -> Vec<MatMul> {
    let mut out = Vec::new();
    let of = |a: WeightType, b: Option<WeightType>| MatMul {
        b,
        rows_b: b.map_or(0, |_| 64),
        ..MatMul::new(a, 64, 8, Layout::Lanes)
    };
    let norm = Some((64, 1e-5));
    for a in WeightType::all() {
        for b in beside(*a) {
            let plain = of(*a, b);
            out.extend([None, norm].map(|norm| MatMul {
                norm,
                ..plain.clone()
            }));
            if b.is_some() {
                let glu = MatMul {
                    epilogue: Epilogue::Glu,
                    norm,
                    ..plain
                };
                out.push(glu.clone());
                if b == Some(*a) {
                    let gelu = MatMul {
                        glu: Glu::Gelu,
                        ..glu.clone()
                    };
                    let experts = MatMul {
                        experts: Some(EXPERTS),
                        ..glu
                    };
                    out.extend([gelu, experts]);
                }
            } else {
                let residual = MatMul {
                    epilogue: Epilogue::Residual,
                    ..plain
                };
                let experts = Some(EXPERTS);
                out.extend([
                    residual.clone(),
                    MatMul {
                        experts,
                        ..residual
                    },
                ]);
            }
        }
    }
    for a in SAMPLES {
        let biased = Some(Experts {
            bias_at: Some([0; 2]),
            ..EXPERTS
        });
        out.extend([
            MatMul {
                norm,
                soft_cap: Some(30.0),
                ..of(a, None)
            },
            MatMul {
                epilogue: Epilogue::Residual,
                bias: true,
                ..of(a, None)
            },
            MatMul {
                epilogue: Epilogue::Residual,
                experts: biased,
                ..of(a, None)
            },
            MatMul {
                epilogue: Epilogue::Glu,
                norm,
                glu: Glu::SwigluOai,
                experts: biased,
                ..of(a, Some(a))
            },
        ]);
    }
    out
}

/// A product in every layout and form of activations.
fn forms(product: &MatMul) -> Vec<MatMul> {
    let mut out = Vec::new();
    let integer = product.a.is_integer() && product.b.is_none_or(WeightType::is_integer);
    let kinds = [ActKind::F32, ActKind::Q8];
    let mut shared = LAYOUTS
        .iter()
        .flat_map(|l| [(*l, 1), (*l, PREFILL_COLS)])
        .collect::<Vec<_>>();
    if product.experts.is_none() && product.soft_cap.is_none() {
        shared.push((Layout::Tile, TILE_COLS));
    }
    for (layout, cols) in shared {
        for act_in in kinds {
            for act_out in kinds {
                for tap in [None, Some(64)] {
                    let known = act_in == ActKind::F32 || integer;
                    let tapped = tap.is_none()
                        || product.epilogue == Epilogue::Residual && layout != Layout::Tile;
                    // Routes and taps are apart in the text: together they are tried with a few types.
                    let single = product.experts.is_none()
                        || cols == 1 && (tap.is_none() || SAMPLES.contains(&product.a));
                    if known && tapped && single {
                        out.push(MatMul {
                            act_in,
                            act_out,
                            cols,
                            layout,
                            tap,
                            ..product.clone()
                        });
                    }
                }
            }
        }
    }
    out
}

/// Those by cooperative matrices, which only naga knows.
#[must_use]
pub fn native() -> BTreeSet<Shader> {
    let sizes = [(16, 32), (8, 32), (8, 8)];
    let shapes = sizes.map(|(size, subgroup)| Cooperative::new(size, subgroup));
    let mut shaders = BTreeSet::new();
    for product in products() {
        let integer = product.a.is_integer() && product.b.is_none_or(WeightType::is_integer);
        if !integer || product.experts.is_some() || product.soft_cap.is_some() {
            continue;
        }
        for shape in shapes.iter().flatten() {
            for act_out in [ActKind::F32, ActKind::Q8] {
                let by_matrices = MatMul {
                    act_in: ActKind::Q8,
                    act_out,
                    cols: TILE_COLS,
                    layout: Layout::Cooperative(*shape),
                    ..product.clone()
                };
                shaders.insert(by_matrices.shader());
            }
        }
    }
    shaders
}

/// What attention may find in a model besides its counts. With `all`, what only some families have as well: windows, caps and sinks
/// change nothing that depends on a head's shape.
fn attention_forms(plain: KvShape, all: bool) -> Vec<KvShape> {
    let neox = KvShape {
        neox: true,
        ..plain
    };
    let biased = KvShape {
        bias_at: Some(0),
        ..neox
    };
    let normed = KvShape {
        qk_norm: Some((1e-6, 0)),
        ..neox
    };
    let mut forms = vec![plain, neox, biased, normed];
    if all {
        let windowed = |shape: KvShape| KvShape {
            window: Some(64),
            ..shape
        };
        let capped = KvShape {
            soft_cap: Some(50.0),
            ..neox
        };
        let sinks = KvShape {
            sinks_at: Some(0),
            ..biased
        };
        forms.extend([
            windowed(normed),
            capped,
            windowed(capped),
            sinks,
            windowed(sinks),
        ]);
    }
    forms
}

/// All permutations, sorted, without repetition. Head shapes of attention stand for their kind: counts and lengths are
/// numbers in the text.
#[must_use]
pub fn all() -> BTreeSet<Shader> {
    let mut shaders = BTreeSet::new();
    for product in products() {
        shaders.extend(forms(&product).iter().map(Kernel::shader));
    }
    let kinds = [ActKind::F32, ActKind::Q8];
    for (a, act_out) in WeightType::all()
        .iter()
        .flat_map(|a| kinds.map(|kind| (*a, kind)))
    {
        let embed = Embed {
            a,
            n_vocab: 64,
            part: (0, 64),
            k_blocks: 2,
            scale: 1.0,
            act_out,
        };
        shaders.insert(embed.shader());
    }
    for (n_heads, n_kv_heads, head_dim) in [
        (9, 3, 64),
        (4, 4, 32),
        (32, 8, 128),
        (8, 1, 80),
        (64, 2, 128),
    ] {
        for kv in KvType::ALL {
            let plain = shape(n_heads, n_kv_heads, head_dim, kv);
            for shape in attention_forms(plain, n_heads == 32) {
                for wg in [32, 64] {
                    shaders.insert(KvWrite { shape, wg }.shader());
                    let whole = kinds.map(Out::Blocks).into_iter().chain([Out::Rows]);
                    let whole = whole.flat_map(|out| {
                        [(true, false), (false, false), (false, true)].map(|form| (out, form))
                    });
                    let split = [true, false].map(|fused| (Out::Parts(2), (fused, false)));
                    // As many rows per workgroup as there is room for: 8, 4 and, as in models with wider groups, 2.
                    let most = if n_heads == 32 { 2 } else { 8 };
                    let cols = Attention::cols(&shape, wg, most);
                    let batch = kinds.map(Out::Blocks).into_iter().chain([Out::Rows]);
                    let batch = batch.map(|out| (out, (false, false), cols));
                    let batch = batch.filter(|(.., cols)| *cols > 1);
                    let single = whole.chain(split).map(|(out, form)| (out, form, 1));
                    for (out, (fused, tap), cols) in single.chain(batch) {
                        let attention = Attention {
                            shape,
                            fused,
                            out,
                            cols,
                            wg,
                            tap,
                        };
                        shaders.insert(attention.shader());
                    }
                }
            }
        }
    }
    for act_out in kinds {
        let reduce = AttentionReduce {
            shape: shape(4, 2, 32, KvType::F16),
            splits: 2,
            act_out,
        };
        shaders.insert(reduce.shader());
    }
    for act_out in kinds {
        let norm = PostNorm {
            n_values: 64,
            stride: 64,
            eps: 1e-6,
            scale: 1.0,
            act_out,
        };
        shaders.insert(norm.shader());
    }
    for (n_experts, used, bias_at) in [(8, 2, None), (128, 8, None), (32, 4, Some(0))] {
        for quantise in [None, Some(2)] {
            let route = Route {
                n_experts,
                used,
                stride: 128,
                bias_at,
                quantise,
            };
            shaders.insert(route.shader());
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

/// Tokens per workgroup in prefill.
pub const PREFILL_COLS: u32 = 4;

/// The same of [`Layout::Tile`].
pub const TILE_COLS: u32 = 64;

/// A store of one page, of nothing but these counts.
pub(crate) fn shape(n_heads: u32, n_kv_heads: u32, head_dim: u32, kv: KvType) -> KvShape {
    KvShape {
        n_heads,
        n_kv_heads,
        head_dim,
        rope_dim: head_dim,
        neox: false,
        rope_lo: 0,
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
        window: None,
        soft_cap: None,
        sinks_at: None,
    }
}
