//! Products by tiles in workgroup memory against their CPU twins.

use crate::common::*;
use crate::matmul::{POISON, Shape, check, k_of, kinds};
use chord_kernels::act::ActKind;
use chord_kernels::matmul::{Epilogue, Layout, MatMul};
use chord_kernels::variants::TILE_COLS;
use chord_quant::WeightType;

/// Types whose blocks reach workgroup memory in different ways.
const TILED: [WeightType; 6] = {
    use WeightType::{F16, F32, Iq4Nl, Mxfp4, Q4K, Q6K};
    [F16, F32, Iq4Nl, Mxfp4, Q4K, Q6K]
};

#[test]
fn tiles_match_their_twin() {
    let (gpu, mut rng) = (device(), Rng::new(7));
    for a in TILED {
        for kinds in kinds(a.is_integer()) {
            // An odd number of tiles, of blocks, and tokens of two groups.
            let shape = Shape {
                rows_a: 140,
                rows_b: 0,
                k: k_of(a, 288),
                tokens: 70,
            };
            let plain = (None, Epilogue::Plain);
            check(
                &gpu,
                &mut rng,
                a,
                plain.0,
                plain.1,
                kinds,
                Layout::Tile,
                &shape,
            );
        }
    }
}

#[test]
fn a_token_of_a_tile_does_not_depend_on_those_beside_it() {
    let (gpu, mut rng) = (device(), Rng::new(8));
    const K: usize = 512;
    for kind in [ActKind::F32, ActKind::Q8] {
        let (q, s) = weights(&mut rng, WeightType::Q4K, 96, K);
        let act = activations(&mut rng, kind, TILE_COLS as usize, K / 32);
        let kernel = std::sync::Arc::new(MatMul {
            act_in: kind,
            norm: Some((K as u32, 1e-5)),
            cols: TILE_COLS,
            ..MatMul::new(WeightType::Q4K, 96, (K / 32) as u32, Layout::Tile)
        });
        let row = K / 32 * kind.words();
        let mut run = |at: usize, from: usize, tokens: usize| {
            let mut moved = activations(&mut rng, kind, TILE_COLS as usize, K / 32);
            moved[at * row..(at + tokens) * row]
                .copy_from_slice(&act[from * row..][..tokens * row]);
            let out = vec![POISON; 96 * TILE_COLS as usize];
            let case = Case {
                name: format!("{kind:?}, {tokens} tokens from {from} at {at}"),
                kernel: kernel.clone(),
                buffers: vec![(1, q.clone()), (2, s.clone()), (5, moved), (6, out)],
                rows: TILE_COLS,
            };
            let (_, out, _) = run_both(&gpu, case).pop().unwrap();
            out[at * 96..(at + tokens) * 96].to_vec()
        };
        let all = run(0, 0, 64);
        assert_eq!(run(0, 17, 5), all[17 * 96..22 * 96]);
        assert_eq!(run(59, 17, 5), all[17 * 96..22 * 96]);
    }
}

/// Where an adapter has them; `tools/cooperative.sh` finds one.
#[test]
fn products_match_their_twin_on_cooperative() {
    let (gpu, mut rng) = (device(), Rng::new(9));
    let cooperative = gpu.caps().cooperative;
    let layout =
        Layout::Cooperative(cooperative.expect("no cooperative matrices that the kernels know"));
    println!("{layout:?}");
    let shape = Shape {
        rows_a: 140,
        rows_b: 140,
        k: 512,
        tokens: 70,
    };
    for a in WeightType::all().iter().filter(|a| a.is_integer()) {
        for (b, epilogue) in [
            (None, Epilogue::Plain),
            (Some(WeightType::Q6K), Epilogue::Plain),
            (None, Epilogue::Residual),
            (Some(*a), Epilogue::Glu),
        ] {
            for act_out in [ActKind::Q8, ActKind::F32] {
                let kinds = (ActKind::Q8, act_out);
                check(&gpu, &mut rng, *a, b, epilogue, kinds, layout, &shape);
            }
        }
    }
}
