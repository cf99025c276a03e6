//! Products of int8 where every quant is as large as it can be, with signs that add up or cancel: sums that are kept in parts of a word
//! (shaders/shared/quants_pairs.wgsl) must hold them.

use crate::common::*;
use chord_kernels::act::{self, ActKind};
use chord_kernels::matmul::{Layout, MatMul};
use chord_quant::WeightType;

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
        for layout in [Layout::RowPerThread, Layout::Lanes] {
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
