//! Attention over more pages than are looked at together, against its twin; and that no bit depends on who shares the work.

use crate::common::*;
use crate::heads::*;
use chord_kernels::KvType;
use chord_kernels::act::{ActKind, BLOCK};
use chord_kernels::attention::{Attention, Out};
use chord_kernels::cpu::Cpu;
use chord_kernels::device::Device;
use std::ops::Range;
use std::sync::Arc;

const SEQ_PAGES: u32 = 20;

/// Rows of the first sequence at these positions, then the last of them in the second sequence too.
fn case(
    heads: (u32, u32, u32),
    form: Form,
    kv: KvType,
    rows: Range<u32>,
    only: Range<u32>,
) -> Case {
    let mut rng = Rng::new(u64::from(heads.0 * 100 + rows.end));
    let s = setup_of(SEQ_PAGES, &mut rng, heads, form, kv, heads.2);
    let blocks = (heads.0 * heads.2).div_ceil(BLOCK as u32) as usize;
    let (out, row_words) = match Attention::fills_blocks(&s.shape) {
        true => (Out::Blocks(ActKind::F32), blocks * ActKind::F32.words()),
        false => (Out::Rows, blocks * BLOCK),
    };
    let kernel = Attention {
        shape: s.shape,
        fused: false,
        out,
        cols: 1,
        wg: 32,
        tap: false,
    };
    let of_first = rows.clone().map(|pos| [0, pos, 0, 1]);
    let all: Vec<_> = of_first.chain([[0, rows.end - 1, SEQ_PAGES, 1]]).collect();
    let qkv = rng.floats(all.len() * s.shape.qkv_stride as usize);
    let stride = s.shape.qkv_stride as usize;
    let lengths = [rows.end; 2];
    let only = only.start as usize..only.end as usize;
    Case {
        name: format!("{heads:?} {form:?} {kv:?} {rows:?} of them {only:?}"),
        kernel: Arc::new(kernel),
        buffers: vec![
            (1, qkv[only.start * stride..only.end * stride].to_vec()),
            (2, store(&mut rng, &s, lengths)),
            (3, store(&mut rng, &s, lengths)),
            (4, s.rope.clone()),
            (5, all[only.clone()].as_flattened().to_vec()),
            (6, s.table.clone()),
            (7, vec![0; only.len() * row_words]),
        ],
        rows: only.len() as u32,
    }
}

/// Of one device: what it wrote, and what the twin would have.
fn outputs(device: &Device, case: Case) -> [Vec<u32>; 2] {
    let results = run_both(device, case).into_iter();
    let [(_, got, want)] = results
        .filter(|(binding, ..)| *binding == 7)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    [got, want]
}

#[test]
fn many_pages_match_their_twin_on_both() {
    let device = device();
    for (i, heads) in HEADS.into_iter().enumerate().take(HEADS.len() - 1) {
        let kv = KvType::ALL[i % 3];
        let forms = [NEOX, WINDOWS[i % 4]];
        // Within the second part, over the border of the third, and round the ring.
        for (form, rows) in forms
            .into_iter()
            .flat_map(|form| [250..262, 500..519, 700..703].map(|rows| (form, rows)))
        {
            let n = rows.len() as u32 + 1;
            let case = case(heads, form, kv, rows, 0..n);
            let name = case.name.clone();
            let [got, want] = outputs(&device, case).map(|words| as_floats(&words));
            assert_close(&name, &got, &want, attended_budget(kv));
        }
    }
}

#[test]
fn no_bit_depends_on_threads_or_on_what_else_is_in_the_batch_on_cpu() {
    let [one, many] = [1, 7].map(|threads| Device::Cpu(Cpu::open(Some(threads)).unwrap()));
    for (heads, kv) in [
        ((9, 3, 64), KvType::F16),
        ((4, 1, 32), KvType::Q8_0),
        ((4, 2, 8), KvType::F32),
    ] {
        for form in [NEOX, WINDOWS[1], WINDOWS[2]] {
            let rows = 509..519;
            let whole = 0..rows.len() as u32 + 1;
            let case = |only| case(heads, form, kv, rows.clone(), only);
            let [together, _] = outputs(&one, case(whole.clone()));
            let apart = whole
                .clone()
                .flat_map(|row| outputs(&many, case(row..row + 1))[0].clone());
            let name = case(whole.clone()).name;
            assert!(together == apart.collect::<Vec<_>>(), "{name}: row by row");
            assert!(
                together == outputs(&many, case(whole))[0],
                "{name}: by more threads"
            );
        }
    }
}
