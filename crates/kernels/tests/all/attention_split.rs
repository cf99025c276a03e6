//! Attention whose pages are dealt out to splits: each split against the twin, what puts them together against its own, and both
//! together against attention that is whole.

use crate::common::*;
use crate::heads::*;
use chord_kernels::KvType;
use chord_kernels::act::{ActKind, BLOCK};
use chord_kernels::attention::{Attention, AttentionReduce, Out};
use chord_kernels::cpu::CpuMemory;
use chord_kernels::op::{BufDesc, Role, Step};
use std::sync::Arc;

/// Two rows of two sequences, at the end of what these hold.
struct Input {
    setup: Setup,
    buffers: Vec<(u32, Vec<u32>)>,
}

fn input(heads: (u32, u32, u32), form: Form, kv: KvType, fused: bool, at: [u32; 2]) -> Input {
    let mut rng = Rng::new(u64::from(heads.0 * 100 + at[1]));
    let s = setup(&mut rng, heads, form, kv, heads.2);
    let filled = at.map(|position| position + u32::from(!fused));
    let rows = (0..2).flat_map(|i| [0, at[i], i as u32 * s.shape.seq_pages, 1]);
    let buffers = vec![
        (1, rng.floats(2 * s.shape.qkv_stride as usize)),
        (2, store(&mut rng, &s, filled)),
        (3, store(&mut rng, &s, filled)),
        (4, s.rope.clone()),
        (5, rows.collect()),
        (6, s.table.clone()),
    ];
    Input { setup: s, buffers }
}

/// (maximum, sum) and values of every split of every head that found something.
fn found(head_dim: u32, words: &[u32]) -> [Vec<f32>; 3] {
    let mut out = [Vec::new(), Vec::new(), Vec::new()];
    for part in words.chunks_exact(head_dim as usize + 4) {
        let floats = as_floats(part);
        if floats[1] > 0.0 {
            out[0].push(floats[0]);
            out[1].push(floats[1]);
            out[2].extend(&floats[4..]);
        } else {
            assert_eq!(floats[..4], [-1.0e30, 0.0, 0.0, 0.0]);
        }
    }
    out
}

fn check(heads: (u32, u32, u32), form: Form, kv: KvType, fused: bool, at: [u32; 2], splits: u32) {
    let name = format!("{heads:?} {form:?} {kv:?} fused={fused} {at:?} in {splits}");
    let Input { setup, mut buffers } = input(heads, form, kv, fused, at);
    let shape = setup.shape;
    let words = 2 * Attention::parts_words(&shape, splits) as usize;
    buffers.push((7, vec![NAN; words]));
    let kernel = Attention {
        shape,
        fused,
        out: Out::Parts(splits),
        cols: 1,
        wg: if fused { 64 } else { 32 },
        tap: false,
    };
    let case = Case {
        name: name.clone(),
        kernel: Arc::new(kernel),
        buffers,
        rows: 2,
    };
    for (binding, got, want) in run_both(&device(), case) {
        match binding {
            2 | 3 => {
                let of = |words: &[u32]| kv_floats(&shape, words);
                assert_close(&name, &of(&got), &of(&want), stored_budget(kv));
            }
            7 => {
                let parts = found(shape.head_dim, &got).into_iter();
                for (got, want) in parts.zip(found(shape.head_dim, &want)) {
                    assert!(!want.is_empty());
                    assert_close(&name, &got, &want, attended_budget(kv));
                }
            }
            _ => assert_eq!(got, want, "{name}: binding {binding}"),
        }
    }
}

/// The same with attention that is whole, and with splits that are put together; both by the twins.
fn assert_splits_are_the_whole(
    heads: (u32, u32, u32),
    form: Form,
    fused: bool,
    at: [u32; 2],
    n: u32,
) {
    let Input { setup, buffers } = input(heads, form, KvType::F32, fused, at);
    let shape = setup.shape;
    let blocks = (heads.0 * heads.2).div_ceil(BLOCK as u32) as usize;
    let out = vec![NAN; 2 * blocks * ActKind::F32.words()];
    let parts = vec![NAN; 2 * Attention::parts_words(&shape, n) as usize];
    let all = buffers.iter().map(|(_, words)| words.clone());
    let all: Vec<Vec<u32>> = all.chain([out.clone(), parts, out]).collect();
    let describe = |words: &Vec<u32>| BufDesc {
        label: String::new(),
        words: words.len() as u64,
        role: Role::Storage,
    };
    let memory = CpuMemory::new(&all.iter().map(describe).collect::<Vec<_>>());
    for (id, words) in all.iter().enumerate() {
        memory.words_mut(id).copy_from_slice(words);
    }
    let attention = |out, id| {
        let bind = (1..=6).zip(0..6).chain([(7, id)]).collect();
        let kernel = Attention {
            shape,
            fused,
            out,
            cols: 1,
            wg: 32,
            tap: false,
        };
        Step::new("attention", kernel, bind)
    };
    let reduce = AttentionReduce {
        shape,
        splits: n,
        act_out: ActKind::F32,
    };
    memory.run(&attention(Out::Blocks(ActKind::F32), 6), 2);
    memory.run(&attention(Out::Parts(n), 7), 2);
    memory.run(&Step::new("reduce", reduce, vec![(1, 7), (2, 8)]), 2);
    let values = |id| act_values(ActKind::F32, &memory.words(id));
    let name = format!("{heads:?} {form:?} fused={fused} {at:?} in {n}");
    assert_close(&name, &values(8), &values(6), 1e-12);
}

/// Positions from the first token to a ring that has gone round twice: 4 pages a sequence, 1 of them sink.
const POSITIONS: [[u32; 2]; 6] = [
    [0, 19],
    [31, 32],
    [63, 100],
    [127, 128],
    [159, 160],
    [300, 287],
];

#[test]
fn attention_in_splits_matches_its_twin_on_both() {
    for (i, heads) in HEADS.into_iter().enumerate() {
        let shape = setup(&mut Rng::new(1), heads, NEOX, KvType::F32, heads.2).shape;
        let fused = Attention::subgroups(&shape) == 1;
        let (form, kv) = match i % 3 {
            0 => (INTERLEAVED, KvType::F32),
            1 => (BIAS, KvType::F16),
            _ => (NORM, KvType::F16),
        };
        check(heads, form, kv, fused, [40, 77], 2);
        check(heads, form, kv, false, [0, 127], 3);
    }
}

#[test]
fn attention_in_splits_with_windows_caps_and_sinks_matches_its_twin_in_rings_too() {
    for form in WINDOWS.into_iter().chain([NEOX]) {
        for at in POSITIONS {
            check((9, 3, 64), form, KvType::F16, true, at, 3);
            // More splits than pages.
            check((9, 3, 64), form, KvType::F32, false, at, 5);
        }
    }
}

#[test]
fn splits_put_together_are_the_whole() {
    for form in WINDOWS.into_iter().chain([INTERLEAVED, BIAS, NORM]) {
        for at in POSITIONS {
            for splits in [2, 3, 5] {
                // Rows of 96 values, and heads that end within a block.
                assert_splits_are_the_whole((6, 2, 16), form, true, at, splits);
                assert_splits_are_the_whole((3, 3, 40), form, false, at, splits);
            }
        }
    }
}

#[test]
fn what_splits_found_is_put_together_as_in_the_twin_on_both() {
    for (heads, splits) in [
        ((9, 3, 64), 2),
        ((4, 2, 8), 64),
        ((3, 3, 80), 13),
        ((5, 1, 4), 9),
    ] {
        for act_out in [ActKind::F32, ActKind::Q8] {
            let mut rng = Rng::new(u64::from(splits));
            let shape = setup(&mut rng, heads, NEOX, KvType::F32, heads.2).shape;
            let mut parts = Vec::new();
            for row in 0..3 {
                for split in 0..splits {
                    for _ in 0..heads.0 {
                        // Some find nothing, and their values may be anything; maxima are far apart.
                        let seen = split == row % splits || !rng.next().is_multiple_of(3);
                        let top = if seen { 20.0 * rng.float() } else { -1.0e30 };
                        let sum = if seen { 2.5 + rng.float() } else { 0.0 };
                        parts.extend([top.to_bits(), sum.to_bits(), NAN, NAN]);
                        let values = rng.floats(heads.2 as usize);
                        parts.extend(values.iter().map(|v| if seen { *v } else { NAN }));
                    }
                }
            }
            let blocks = (heads.0 * heads.2).div_ceil(BLOCK as u32) as usize;
            let name = format!("reduce {heads:?} {splits} {act_out:?}");
            let case = Case {
                name: name.clone(),
                kernel: Arc::new(AttentionReduce {
                    shape,
                    splits,
                    act_out,
                }),
                buffers: vec![(1, parts), (2, vec![NAN; 3 * blocks * act_out.words()])],
                rows: 3,
            };
            for (binding, got, want) in run_both(&device(), case) {
                if binding == 2 {
                    let of = |words: &[u32]| act_values(act_out, words);
                    let budget = if act_out == ActKind::Q8 { 1e-6 } else { 1e-10 };
                    assert_close(&name, &of(&got), &of(&want), budget);
                }
            }
        }
    }
}
