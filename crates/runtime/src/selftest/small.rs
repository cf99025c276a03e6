//! The kernels of a plan at the size they are tested at: another text than the plan's would be another pipeline, so only what is a
//! number in the parameters changes.

use chord_kernels::KvShape;
use chord_kernels::attention::{Attention, Out};
use chord_kernels::matmul::{Experts, MatMul};
use chord_kernels::post_norm::PostNorm;

/// Rows of a matrix: two tiles.
pub(super) const ROWS: u32 = 64;
/// Columns: two K-quant blocks, and two 32-blocks for each of eight lanes.
pub(super) const K: usize = 512;
/// Pages each row of the attention checks may use.
pub(super) const SEQ_PAGES: u32 = 2;
/// Splits of attention: one for each page and one that finds nothing.
pub(super) const SPLITS: u32 = 3;
/// Positions of the rotation table.
pub(super) const POSITIONS: u32 = 64;
/// Positions a layer with a window sees: it ends within the page before the rows' own.
const WINDOW: u32 = 40;

pub(super) fn product(kernel: &MatMul) -> MatMul {
    let experts = kernel.experts.map(|e| {
        let count = e.used.max(4);
        Experts {
            first: 0,
            count,
            bias_at: e.bias_at.map(|_| [0, count * ROWS]),
            rows_at: e.rows_at.map(|_| 0),
            ..e
        }
    });
    MatMul {
        rows_a: ROWS,
        rows_b: kernel.b.map_or(0, |_| ROWS),
        k_blocks: (K / 32) as u32,
        norm: kernel.norm.map(|(_, eps)| (K as u32, eps)),
        scale: 1.0,
        tap: kernel.tap.map(|_| ROWS),
        place: None,
        part: None,
        experts,
        ..kernel.clone()
    }
}

/// One KV head: counts are no part of a permutation, the ratio and the length of a head are.
pub(super) fn shape(shape: &KvShape) -> KvShape {
    let (heads, dim) = (shape.n_heads / shape.n_kv_heads, shape.head_dim);
    let behind_tables = (POSITIONS + 1) * shape.rope_dim;
    let qkv_stride = (heads + 2) * dim;
    let norms = behind_tables + qkv_stride;
    KvShape {
        n_heads: heads,
        n_kv_heads: 1,
        rope_lo: 0,
        rope_hi: POSITIONS * (shape.rope_dim / 2),
        qkv_stride,
        k_off: heads * dim,
        v_off: (heads + 1) * dim,
        seq_pages: SEQ_PAGES,
        sink_pages: 0,
        bias_at: shape.bias_at.map(|_| behind_tables),
        qk_norm: shape.qk_norm.map(|(eps, _)| (eps, norms)),
        window: shape.window.map(|_| WINDOW),
        sinks_at: shape.sinks_at.map(|_| norms + 2 * dim),
        ..*shape
    }
}

pub(super) fn attention(kernel: &Attention) -> Attention {
    Attention {
        shape: shape(&kernel.shape),
        out: match kernel.out {
            Out::Parts(_) => Out::Parts(SPLITS),
            whole => whole,
        },
        ..*kernel
    }
}

pub(super) fn post_norm(kernel: &PostNorm) -> PostNorm {
    PostNorm {
        n_values: K as u32,
        stride: K as u32,
        scale: 1.0,
        ..*kernel
    }
}
