//! Every shader permutation the engine can ask for: what validation runs over.

mod products;

use crate::act::ActKind;
use crate::activate::Activate;
use crate::attention::{Attention, AttentionReduce, Out};
use crate::embed::Embed;
use crate::kv::{KvShape, KvType};
use crate::kv_write::KvWrite;
use crate::matmul::{Cooperative, Layout, MatMul};
use crate::op::Kernel;
use crate::post_norm::PostNorm;
use crate::route::Route;
use crate::sample::{Sample, SampleTops};
use crate::shaders::Shader;
use crate::sum_routes::SumRoutes;
use chord_quant::WeightType;
use products::{forms, products};
use std::collections::BTreeSet;

/// Thread layouts of the matrix products, but for tiles.
pub const LAYOUTS: [Layout; 5] = [
    Layout::RowPerThread,
    Layout::RowPerThread4,
    Layout::Lanes,
    Layout::LanesSubgroup { split: 8 },
    Layout::LanesSubgroup { split: 4 },
];

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
                rows_at: None,
            };
            shaders.insert(route.shader());
            let rows_at = Some(0);
            shaders.insert(Route { rows_at, ..route }.shader());
        }
        for act_out in kinds {
            let sum = SumRoutes {
                n_values: 64,
                used,
                bias_at,
                scale: 1.0,
                act_out,
            };
            shaders.insert(sum.shader());
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
    for chunk_per_thread in [false, true] {
        let tops = SampleTops {
            n_vocab: 64,
            chunk_per_thread,
        };
        shaders.insert(tops.shader());
    }
    shaders.insert(Sample.shader());
    shaders
}

/// Tokens per workgroup in prefill.
pub const PREFILL_COLS: u32 = 4;

/// The same of [`Layout::Tile`].
pub const TILE_COLS: u32 = 64;

/// The same of an expert's, which few tokens of a batch go to.
pub const EXPERT_COLS: u32 = 32;

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
