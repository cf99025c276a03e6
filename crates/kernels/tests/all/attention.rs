//! Attention and the KV writer against their CPU twins: any GQA ratio, both pair conventions, both stores, wrapped rings.

use crate::common::*;
use crate::heads::*;
use chord_kernels::KvType;
use chord_kernels::act::ActKind;
use chord_kernels::activate::Activate;
use chord_kernels::attention::{Attention, Out};
use chord_kernels::kv_write::KvWrite;

/// Rows at the end of each sequence's range: (position, sequence), with `lengths` slots filled before.
#[expect(clippy::too_many_arguments, reason = "a test's table row")]
fn check_attention(
    heads: (u32, u32, u32),
    form: Form,
    kv: KvType,
    act_out: ActKind,
    fused: bool,
    positions: [u32; 2],
    wg: u32,
    tap: bool,
) {
    let (gpu, mut rng) = (
        device(),
        Rng::new(u64::from(heads.0 * 1000 + heads.2 + positions[0])),
    );
    let s = setup(&mut rng, heads, form, kv, heads.2);
    let filled = if fused { 0 } else { 1 };
    let lengths = positions.map(|p| p + filled);
    let rows: Vec<u32> = (0..2u32)
        .flat_map(|i| [0, positions[i as usize], i * s.shape.seq_pages, 1])
        .collect();
    let out = Attention::fills_blocks(&s.shape).then_some(act_out);
    let kernel = Attention {
        shape: s.shape,
        fused,
        out: out.map_or(Out::Rows, Out::Blocks),
        cols: 1,
        wg,
        tap,
    };
    let row = (heads.0 * heads.2).next_multiple_of(32) as usize;
    let words = out.map_or(row, |kind| row / 32 * kind.words());
    let (k, v) = (store(&mut rng, &s, lengths), store(&mut rng, &s, lengths));
    let mut buffers = vec![
        (1, rng.floats(2 * s.shape.qkv_stride as usize)),
        (2, k),
        (3, v),
        (4, s.rope.clone()),
        (5, rows),
        (6, s.table.clone()),
        (7, vec![NAN; 2 * words]),
    ];
    if tap {
        buffers.push((8, vec![NAN; 2 * kernel.tap_stride() as usize]));
    }
    let name = format!(
        "attention {heads:?} {form:?} {kv:?} {act_out:?} fused={fused} {positions:?} wg={wg}"
    );
    for (binding, got, want) in run_both(
        &gpu,
        Case {
            name: name.clone(),
            kernel: std::sync::Arc::new(kernel),
            buffers,
            rows: 2,
        },
    ) {
        match binding {
            2 | 3 => assert_close(
                &name,
                &kv_floats(&s.shape, &got),
                &kv_floats(&s.shape, &want),
                stored_budget(kv),
            ),
            7 if out.is_none() => {
                let n = (heads.0 * heads.2) as usize;
                let valid = |v: &[u32]| {
                    v.chunks_exact(row)
                        .flat_map(|r| as_floats(&r[..n]))
                        .collect::<Vec<_>>()
                };
                assert_close(&name, &valid(&got), &valid(&want), attended_budget(kv));
            }
            7 => assert_close(
                &name,
                &act_values(act_out, &got),
                &act_values(act_out, &want),
                if act_out == ActKind::Q8 || kv != KvType::F32 {
                    1e-6
                } else {
                    1e-10
                },
            ),
            8 => assert_close(
                &name,
                &as_floats(&got),
                &as_floats(&want),
                attended_budget(kv),
            ),
            _ => assert_eq!(got, want, "{name}: binding {binding}"),
        }
    }
}

#[test]
fn attention_matches_its_twin_on_both() {
    for (i, heads) in HEADS.into_iter().enumerate() {
        // Biases and norms care for a head's length alone.
        let of_layer = [(BIAS, KvType::F32), (NORM, KvType::F16)];
        let plain = [
            (INTERLEAVED, KvType::F32),
            (NEOX, KvType::F16),
            (NEOX, KvType::Q8_0),
        ];
        let of_layer = of_layer.into_iter().filter(|_| i < 3);
        for (form, kv) in plain.into_iter().chain(of_layer) {
            for positions in [[0, 31], [32, 77]] {
                check_attention(heads, form, kv, ActKind::F32, false, positions, 32, false);
                // Several workgroups of a KV head cannot write K and V for each other.
                let fused =
                    Attention::subgroups(&setup(&mut Rng::new(1), heads, form, kv, heads.2).shape)
                        == 1;
                check_attention(heads, form, kv, ActKind::F32, fused, positions, 64, false);
            }
        }
    }
}

#[test]
fn attention_over_a_wrapped_ring_reads_sinks_and_the_last_pages_only() {
    // 4 pages a sequence, 1 of them sink: position 128 recycles page 1.
    for positions in [[127, 128], [159, 160], [300, 287]] {
        check_attention(
            (9, 3, 64),
            INTERLEAVED,
            KvType::F32,
            ActKind::F32,
            false,
            positions,
            32,
            false,
        );
        for kv in [KvType::F16, KvType::Q8_0] {
            check_attention(
                (9, 3, 64),
                INTERLEAVED,
                kv,
                ActKind::Q8,
                true,
                positions,
                32,
                false,
            );
        }
    }
}

#[test]
fn attention_with_windows_caps_and_sinks_matches_its_twin_in_rings_too() {
    for form in WINDOWS {
        for (kv, fused, wg) in [
            (KvType::F32, false, 32),
            (KvType::F16, true, 64),
            (KvType::Q8_0, true, 32),
        ] {
            for positions in [[0, 19], [20, 31], [63, 100], [127, 128], [159, 300]] {
                let heads = (9, 3, 64);
                let tap = !fused && positions[0] == 63;
                check_attention(heads, form, kv, ActKind::F32, fused, positions, wg, tap);
            }
        }
    }
}

#[test]
fn attention_taps_match_their_twin() {
    check_attention(
        (9, 3, 64),
        INTERLEAVED,
        KvType::F32,
        ActKind::F32,
        false,
        [5, 70],
        32,
        true,
    );
    check_attention(
        (16, 2, 128),
        NORM,
        KvType::F32,
        ActKind::F32,
        false,
        [5, 70],
        64,
        true,
    );
}

#[test]
fn kv_writer_matches_its_twin_and_skips_invalid_rows() {
    for heads in HEADS {
        for (form, kv, rope_dim) in [
            (INTERLEAVED, KvType::F32, heads.2),
            (BIAS, KvType::F16, heads.2),
            (NEOX, KvType::F32, heads.2 / 2),
            (NORM, KvType::F32, heads.2),
            // A layer that does not rotate.
            (NORM, KvType::F16, 0),
            (INTERLEAVED, KvType::Q8_0, heads.2),
            (NORM, KvType::Q8_0, heads.2),
        ] {
            let (gpu, mut rng) = (device(), Rng::new(u64::from(heads.2)));
            let s = setup(&mut rng, heads, form, kv, rope_dim);
            let rows = vec![0, 30, 0, 1, 0, 31, 0, 1, 0, 32, 0, 1, 0, 5, 4, 0];
            let (k, v) = (store(&mut rng, &s, [0, 0]), store(&mut rng, &s, [0, 0]));
            let buffers = vec![
                (1, rng.floats(4 * s.shape.qkv_stride as usize)),
                (2, k),
                (3, v),
                (4, s.rope.clone()),
                (5, rows),
                (6, s.table.clone()),
            ];
            let kernel = KvWrite {
                shape: s.shape,
                wg: 32,
            };
            let name = format!("kv_write {heads:?} {form:?} {kv:?}");
            for (binding, got, want) in run_both(
                &gpu,
                Case {
                    name: name.clone(),
                    kernel: std::sync::Arc::new(kernel),
                    buffers,
                    rows: 4,
                },
            ) {
                if binding == 2 || binding == 3 {
                    assert_close(
                        &name,
                        &kv_floats(&s.shape, &got),
                        &kv_floats(&s.shape, &want),
                        stored_budget(kv),
                    );
                }
            }
        }
    }
}

#[test]
fn plain_rows_become_activation_blocks_as_in_the_twin() {
    let (gpu, mut rng) = (device(), Rng::new(9));
    for act_out in [ActKind::F32, ActKind::Q8] {
        let kernel = Activate {
            n_values: 80,
            stride: 96,
            act_out,
        };
        // What pads a row may hold anything.
        let mut x = rng.floats(3 * 96);
        for row in x.chunks_exact_mut(96) {
            row[80..].fill(NAN);
        }
        let buffers = vec![(1, x), (2, vec![NAN; 3 * 3 * act_out.words()])];
        let case = Case {
            name: "activate".into(),
            kernel: std::sync::Arc::new(kernel),
            buffers,
            rows: 3,
        };
        for (binding, got, want) in run_both(&gpu, case) {
            if binding == 2 {
                assert_close(
                    "activate",
                    &act_values(act_out, &got),
                    &act_values(act_out, &want),
                    1e-6,
                );
            }
        }
    }
}
