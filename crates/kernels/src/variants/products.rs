//! Matrix products the engine can ask for.

use super::{EXPERT_COLS, LAYOUTS, PREFILL_COLS, TILE_COLS};
use crate::act::ActKind;
use crate::matmul::{Epilogue, Experts, Glu, Layout, MatMul};
use chord_quant::WeightType;

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
    rows_at: None,
};

/// The same for a batch, expert by expert.
const TOGETHER: Option<Experts> = Some(Experts {
    rows_at: Some(0),
    ..EXPERTS
});

/// Products that differ in more than types, layout and forms of activations: those are multiplied out for each.
pub(super) fn products() -> Vec<MatMul> {
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
                    let together = MatMul {
                        experts: TOGETHER,
                        ..experts.clone()
                    };
                    out.extend([gelu, experts, together]);
                }
            } else {
                let together = MatMul {
                    experts: TOGETHER,
                    ..plain.clone()
                };
                let residual = MatMul {
                    epilogue: Epilogue::Residual,
                    ..plain
                };
                let experts = Some(EXPERTS);
                out.extend([
                    together,
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
            MatMul {
                epilogue: Epilogue::Glu,
                norm,
                glu: Glu::SwigluOai,
                experts: biased.map(|experts| Experts {
                    rows_at: Some(0),
                    ..experts
                }),
                ..of(a, Some(a))
            },
        ]);
    }
    out
}

/// A product in every layout and form of activations.
pub(super) fn forms(product: &MatMul) -> Vec<MatMul> {
    let mut out = Vec::new();
    let integer = product.a.is_integer() && product.b.is_none_or(WeightType::is_integer);
    let kinds = [ActKind::F32, ActKind::Q8];
    let lanes = LAYOUTS.iter().flat_map(|l| [(*l, 1), (*l, PREFILL_COLS)]);
    let shared: Vec<_> = match product.experts {
        Some(experts) if experts.rows_at.is_some() => vec![(Layout::Tile, EXPERT_COLS)],
        None if product.soft_cap.is_none() => lanes.chain([(Layout::Tile, TILE_COLS)]).collect(),
        _ => lanes.collect(),
    };
    for (layout, cols) in shared {
        for act_in in kinds {
            for act_out in kinds {
                for tap in [None, Some(64)] {
                    let known = act_in == ActKind::F32 || integer;
                    let tapped = tap.is_none()
                        || product.epilogue == Epilogue::Residual && layout != Layout::Tile;
                    // Routes and taps are apart in the text: together they are tried with a few types.
                    let single = product.experts.is_none_or(|e| e.rows_at.is_some())
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
