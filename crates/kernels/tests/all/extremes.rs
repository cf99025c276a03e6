//! Products of int8 where every quant is as large as it can be, with signs that add up or cancel: sums that are kept in parts of a word
//! (shaders/shared/quants_pairs.wgsl) must hold them. And scales of every size that a half can have, which some layouts turn into f32
//! themselves (shaders/shared/unpack.wgsl).

use crate::common::*;
use chord_kernels::act::{self, ActKind};
use chord_kernels::matmul::{Layout, MatMul};
use chord_quant::WeightType;

const LAYOUTS: [Layout; 3] = [Layout::RowPerThread, Layout::RowPerThread4, Layout::Lanes];
const ROWS: usize = 32;
const K: usize = 256;

/// A matrix whose quants are all one byte per row.
fn filled(ty: WeightType) -> (Vec<u32>, Vec<u32>) {
    const FILLS: [u8; 8] = [0xff, 0x00, 0x80, 0x7f, 0xf0, 0x0f, 0x88, 0x77];
    let mut bytes = Vec::new();
    for row in 0..ROWS {
        let mut row = vec![FILLS[row % FILLS.len()]; ty.row_bytes(K).unwrap()];
        for block in row.chunks_exact_mut(ty.block_bytes()) {
            for at in ty.half_fields() {
                block[*at..at + 2].copy_from_slice(&half::f16::from_f32(0.01).to_le_bytes());
            }
            if ty == WeightType::Mxfp4 {
                block[0] = 123;
            }
        }
        bytes.extend(row);
    }
    streams(ty, ROWS, K, &bytes)
}

/// A token for each way to place signs among four neighbours, all of the same size.
fn signs() -> (Vec<u32>, u32) {
    let mut out = Vec::new();
    for signs in 0..16 {
        let values: [f32; 32] =
            std::array::from_fn(|i| if signs >> (i % 4) & 1 == 0 { 1.0 } else { -1.0 });
        for _ in 0..K / 32 {
            let mut block = vec![0; ActKind::Q8.words()];
            act::encode(ActKind::Q8, &values, 32.0, &mut block);
            out.extend(block);
        }
    }
    (out, 16)
}

#[test]
fn the_largest_quants_fit_in_their_sums() {
    let gpu = device();
    let (acts, rows) = signs();
    for ty in WeightType::all().iter().filter(|ty| ty.is_integer()) {
        for layout in LAYOUTS {
            let kernel = MatMul {
                act_in: ActKind::Q8,
                ..MatMul::new(*ty, ROWS as u32, (K / 32) as u32, layout)
            };
            let name = format!("{ty:?} {layout:?}");
            let (quants, scales) = filled(*ty);
            let out = vec![0; rows as usize * ROWS];
            let case = Case {
                name: name.clone(),
                kernel: std::sync::Arc::new(kernel),
                buffers: vec![(1, quants), (2, scales), (5, acts.clone()), (6, out)],
                rows,
            };
            for (binding, got, want) in run_both(&gpu, case) {
                if binding == 6 {
                    assert_close(&name, &as_floats(&got), &as_floats(&want), 1e-9);
                }
            }
        }
    }
}

/// A Q4_1 block for each finite half, as its scale and as its offset, the other being 0.
fn every_half() -> Vec<u8> {
    let finite = (0..=u16::MAX).filter(|bits| half::f16::from_bits(*bits).is_finite());
    let block = |d: u16, m: u16| {
        let mut block = vec![0x5a; WeightType::Q4_1.block_bytes()];
        block[..2].copy_from_slice(&d.to_le_bytes());
        block[2..4].copy_from_slice(&m.to_le_bytes());
        block
    };
    finite
        .flat_map(|bits| [block(bits, 0), block(0, bits)].concat())
        .collect()
}

#[test]
fn a_scale_may_be_any_half_on_both() {
    let gpu = device();
    let bytes = every_half();
    let rows = bytes.len() / WeightType::Q4_1.block_bytes();
    let (quants, scales) = streams(WeightType::Q4_1, rows, 32, &bytes);
    let mut acts = vec![0; ActKind::Q8.words()];
    act::encode(ActKind::Q8, &[1.0; 32], 32.0, &mut acts);
    for layout in LAYOUTS {
        let name = format!("{layout:?}");
        let kernel = MatMul {
            act_in: ActKind::Q8,
            ..MatMul::new(WeightType::Q4_1, rows as u32, 1, layout)
        };
        let case = Case {
            name: name.clone(),
            kernel: std::sync::Arc::new(kernel),
            buffers: vec![
                (1, quants.clone()),
                (2, scales.clone()),
                (5, acts.clone()),
                (6, vec![0; rows]),
            ],
            rows: 1,
        };
        for (binding, got, want) in run_both(&gpu, case) {
            if binding == 6 {
                // Each by itself: a sum over all would show the largest alone.
                for (row, (got, want)) in as_floats(&got).iter().zip(as_floats(&want)).enumerate() {
                    assert!(
                        (got - want).abs() <= 1e-6 * want.abs(),
                        "{name}, row {row}: {got} for {want}"
                    );
                }
            }
        }
    }
}
