//! Attention of several rows of a sequence per workgroup, against the twin, which takes row by row.

use crate::common::*;
use crate::heads::*;
use chord_kernels::KvType;
use chord_kernels::act::{ActKind, BLOCK};
use chord_kernels::attention::{Attention, Out};
use std::sync::Arc;

/// `rows` rows of the second sequence from position `first` on, then rows that are not valid up to whole workgroups.
#[expect(clippy::too_many_arguments, reason = "a test's table row")]
fn check(
    heads: (u32, u32, u32),
    form: Form,
    kv: KvType,
    act_out: ActKind,
    first: u32,
    rows: u32,
    wg: u32,
    most: u32,
) {
    let mut rng = Rng::new(u64::from(heads.0 * 100 + first));
    let s = setup(&mut rng, heads, form, kv, heads.2);
    let cols = Attention::cols(&s.shape, wg, most);
    assert!(cols > 1, "{heads:?}");
    let padded = rows.next_multiple_of(cols);
    let out = if Attention::fills_blocks(&s.shape) {
        Out::Blocks(act_out)
    } else {
        Out::Rows
    };
    let kernel = Attention {
        shape: s.shape,
        fused: false,
        out,
        cols,
        wg,
        tap: false,
    };
    let blocks = (heads.0 * heads.2).div_ceil(BLOCK as u32) as usize;
    let row_words = match out {
        Out::Blocks(kind) => blocks * kind.words(),
        _ => blocks * BLOCK,
    };
    let row = |r: u32| {
        if r < rows {
            [0, first + r, s.shape.seq_pages, 1]
        } else {
            [0; 4]
        }
    };
    let mut qkv = rng.floats((padded * s.shape.qkv_stride) as usize);
    // What rows that are not valid hold concerns no other row.
    qkv[(rows * s.shape.qkv_stride) as usize..].fill(NAN);
    let lengths = [0, first + rows];
    let case = Case {
        name: format!("{heads:?} {form:?} {kv:?} {first}+{rows} wg={wg} cols={cols}"),
        kernel: Arc::new(kernel),
        buffers: vec![
            (1, qkv),
            (2, store(&mut rng, &s, lengths)),
            (3, store(&mut rng, &s, lengths)),
            (4, s.rope.clone()),
            (5, (0..padded).flat_map(row).collect()),
            (6, s.table.clone()),
            (7, vec![NAN; padded as usize * row_words]),
        ],
        rows,
    };
    let name = case.name.clone();
    for (binding, got, want) in run_both(&device(), case) {
        if binding != 7 {
            assert_eq!(got, want, "{name}: binding {binding}");
            continue;
        }
        let n = (heads.0 * heads.2) as usize;
        let values = |words: &[u32]| -> Vec<f32> {
            let rows = words.chunks_exact(row_words).take(rows as usize);
            let values = rows.flat_map(|row| match out {
                Out::Blocks(kind) => act_values(kind, row),
                _ => as_floats(&row[..n]),
            });
            values.collect()
        };
        let exact = out != Out::Blocks(ActKind::Q8) && kv == KvType::F32;
        let budget = if exact { 1e-10 } else { 1e-6 };
        assert_close(&name, &values(&got), &values(&want), budget);
    }
}

#[test]
fn rows_that_share_a_workgroup_match_their_twin_on_both() {
    // The last one's heads leave no room for a second row.
    for (i, heads) in HEADS.into_iter().enumerate().take(HEADS.len() - 1) {
        let (form, kv) = match i % 3 {
            0 => (INTERLEAVED, KvType::F32),
            1 => (BIAS, KvType::F16),
            _ => (NORM, KvType::F32),
        };
        // From the first position, and over the border of a page.
        check(heads, form, kv, ActKind::F32, 0, 9, 32, 8);
        check(heads, form, kv, ActKind::Q8, 57, 15, 64, 4);
        check(heads, form, KvType::Q8_0, ActKind::F32, 20, 15, 32, 8);
    }
}

#[test]
fn rows_that_share_a_workgroup_keep_their_windows_caps_and_sinks_in_rings_too() {
    for form in WINDOWS.into_iter().chain([NEOX]) {
        for (first, rows) in [(0, 32), (25, 13), (90, 32), (128, 11), (165, 27), (300, 1)] {
            for most in [2, 8] {
                check(
                    (9, 3, 64),
                    form,
                    KvType::F16,
                    ActKind::F32,
                    first,
                    rows,
                    32,
                    most,
                );
            }
            check(
                (9, 3, 64),
                form,
                KvType::F32,
                ActKind::F32,
                first,
                rows,
                64,
                4,
            );
        }
    }
}

/// A workgroup of the widest heads has fewer rows, and heads wider than a workgroup several quads a thread.
#[test]
fn heads_of_every_width_share_workgroups() {
    for (heads, rows) in [
        ((8, 1, 128), 2),
        ((4, 1, 256), 2),
        ((2, 2, 160), 8),
        ((32, 1, 128), 1),
    ] {
        let shape = setup(&mut Rng::new(1), heads, NEOX, KvType::F32, heads.2).shape;
        assert_eq!(Attention::cols(&shape, 32, 8), rows, "{heads:?}");
        if rows == 1 {
            continue;
        }
        check(heads, NEOX, KvType::F32, ActKind::F32, 20, 15, 32, 8);
    }
}
