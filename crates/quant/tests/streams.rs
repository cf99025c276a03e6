//! Repacked streams read back to the decoder's values, on random data, odd shapes and hostile scales; and the words lie
//! where the shaders look for them.

mod common;

use chord_quant::{Error, WeightType, decode, layout, repack_rows, stream_block};
use common::{Rng, finite_blocks, same};
use half::f16;

/// Row lengths to try: one block, odd block counts, SmolLM2's and the tiny models' widths.
fn widths(ty: WeightType) -> &'static [usize] {
    match ty.block_elements() {
        1 => &[1, 2, 31, 32, 33, 100, 576],
        32 => &[32, 64, 96, 288, 576],
        _ => &[256, 512, 768, 1536],
    }
}

fn has_table(ty: WeightType) -> bool {
    matches!(
        ty,
        WeightType::Iq4Nl | WeightType::Iq4Xs | WeightType::Mxfp4
    )
}

struct Repacked {
    sizes: chord_quant::StreamLayout,
    quants: Vec<u32>,
    scales: Vec<u32>,
}

fn repack(ty: WeightType, rows: usize, k: usize, bytes: &[u8]) -> Repacked {
    let sizes = layout(ty, rows, k).unwrap();
    // Poisoned, so that a word left unwritten shows.
    let (mut quants, mut scales) = (
        vec![0xdead_beef; sizes.quant_words],
        vec![0xdead_beef; sizes.scale_words],
    );
    repack_rows(ty, k, bytes, &mut quants, &mut scales).unwrap();
    Repacked {
        sizes,
        quants,
        scales,
    }
}

/// Every value of every block of the streams against `decode`; returns how many were compared.
fn check_against_decode(ty: WeightType, rows: usize, k: usize, bytes: &[u8]) -> usize {
    let mut expected = vec![0.0; rows * k];
    decode(ty, bytes, &mut expected).unwrap();
    let r = repack(ty, rows, k, bytes);
    let mut compared = 0;
    for (row, expected) in expected.chunks_exact(k).enumerate() {
        for b in 0..r.sizes.blocks_per_row {
            let block = stream_block(ty, &r.sizes, &r.quants, &r.scales, row, b).unwrap();
            for (i, got) in block.values.into_iter().enumerate() {
                let want = expected.get(32 * b + i).copied().unwrap_or(0.0);
                assert!(
                    same(got, want),
                    "{ty} k={k} row {row} block {b} value {i}: {want} decoded, {got} in the stream"
                );
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn random_blocks_read_back_to_decode() {
    let mut rng = Rng(1);
    for &ty in WeightType::all() {
        for &k in widths(ty) {
            for rows in [1, 2, 5] {
                let bytes = finite_blocks(ty, &mut rng, rows * ty.row_bytes(k).unwrap());
                assert_eq!(
                    check_against_decode(ty, rows, k, &bytes),
                    rows * k.div_ceil(32) * 32
                );
            }
        }
    }
}

#[test]
fn scale_and_offset_form_is_the_same_number() {
    let mut rng = Rng(2);
    for &ty in WeightType::all().iter().filter(|ty| ty.is_integer()) {
        let (rows, k) = (64, 768);
        let bytes = finite_blocks(ty, &mut rng, rows * ty.row_bytes(k).unwrap());
        let r = repack(ty, rows, k, &bytes);
        for (row, b) in (0..rows).flat_map(|row| (0..k / 32).map(move |b| (row, b))) {
            let block = stream_block(ty, &r.sizes, &r.quants, &r.scales, row, b).unwrap();
            for (i, value) in block.values.into_iter().enumerate() {
                let (d, q, m) = (block.d[i / 16], f32::from(block.q[i]), block.m[i / 16]);
                // Numeric equality: the two forms may differ in the sign of a zero, and in nothing else.
                assert!(
                    d * q + m == value,
                    "{ty} {d} * {q} + {m} = {} against {value}",
                    d * q + m
                );
                assert!(
                    d.mul_add(q, m) == value,
                    "{ty}, fused: {d} * {q} + {m} against {value}"
                );
            }
        }
    }
}

#[test]
fn hostile_scales_pass_through() {
    let specials = [
        f16::NAN,
        f16::INFINITY,
        f16::NEG_INFINITY,
        f16::MAX,
        f16::MIN_POSITIVE_SUBNORMAL,
        f16::NEG_ZERO,
    ];
    let mut rng = Rng(3);
    for &ty in WeightType::all() {
        let k = 2 * ty.block_elements().max(32);
        for (first, second) in specials
            .iter()
            .flat_map(|a| specials.iter().map(move |b| (a, b)))
        {
            let mut bytes = rng.bytes(3 * ty.row_bytes(k).unwrap());
            for block in bytes.chunks_exact_mut(ty.block_bytes()) {
                for (at, value) in ty.half_fields().iter().zip([first, second]) {
                    block[*at..at + 2].copy_from_slice(&value.to_le_bytes());
                }
            }
            check_against_decode(ty, 3, k, &bytes);
        }
    }
    // Completely random bits, NaN and infinities of every payload among them.
    for &ty in WeightType::all() {
        let k = 8 * ty.block_elements();
        let bytes = rng.bytes(500 * ty.row_bytes(k).unwrap());
        check_against_decode(ty, 500, k, &bytes);
    }
}

#[test]
fn ranges_of_rows_repack_like_the_whole() {
    let mut rng = Rng(4);
    for &ty in WeightType::all() {
        let (rows, k) = (7, widths(ty)[2]);
        let row_bytes = ty.row_bytes(k).unwrap();
        let bytes = rng.bytes(rows * row_bytes);
        let whole = repack(ty, rows, k, &bytes);
        for (from, to) in [(0, 3), (3, 4), (4, 7)] {
            let (q, s) = (
                whole.sizes.quant_words_per_row,
                whole.sizes.scale_words_per_row,
            );
            let mut quants = vec![!0; (to - from) * q];
            let mut scales = vec![!0; (to - from) * s];
            repack_rows(
                ty,
                k,
                &bytes[from * row_bytes..to * row_bytes],
                &mut quants,
                &mut scales,
            )
            .unwrap();
            assert_eq!(quants, whole.quants[from * q..to * q], "{ty}");
            if ty.is_integer() {
                assert_eq!(scales, whole.scales[from * s..to * s], "{ty}");
            }
        }
    }
}

/// Where the shaders look: the layout contract written out value by value, from the quants that `stream_block` reports
/// (themselves held to `decode` above).
#[test]
fn words_lie_where_the_contract_says() {
    let mut rng = Rng(5);
    let (rows, k) = (3, 768);
    // Those with a table report what their quants stand for; their round trip covers them.
    let plain = |ty: &&WeightType| ty.is_integer() && !has_table(**ty);
    for &ty in WeightType::all().iter().filter(plain) {
        let bytes = finite_blocks(ty, &mut rng, rows * ty.row_bytes(k).unwrap());
        let r = repack(ty, rows, k, &bytes);
        let mut expected = vec![0u32; r.sizes.quant_words];
        for (row, b) in (0..rows).flat_map(|row| (0..k / 32).map(move |b| (row, b))) {
            let q = stream_block(ty, &r.sizes, &r.quants, &r.scales, row, b)
                .unwrap()
                .q;
            let words = &mut expected[row * r.sizes.quant_words_per_row..];
            for (v, q) in q.into_iter().enumerate() {
                let byte = u32::from(q.cast_unsigned());
                let (half, j, i) = (v / 16, v % 16 / 4, v % 4);
                match ty {
                    WeightType::Q8_0 => words[8 * b + v / 4] |= byte << (8 * i),
                    WeightType::Q6K => {
                        let superblock = &mut words[48 * (b / 8)..];
                        superblock[4 * (b % 8) + j] |= (byte & 15) << (8 * i + 4 * half);
                        superblock[32 + 2 * (b % 8) + half] |= (byte >> 4) << (8 * i + 2 * j);
                    }
                    WeightType::Q5K => {
                        let superblock = &mut words[40 * (b / 8)..];
                        superblock[4 * (b % 8) + j] |= (byte & 15) << (8 * i + 4 * half);
                        superblock[32 + b % 8] |= (byte >> 4) << v;
                    }
                    WeightType::Q2K => words[2 * b + half] |= byte << (8 * i + 2 * j),
                    WeightType::Q3K => {
                        let superblock = &mut words[24 * (b / 8)..];
                        superblock[2 * (b % 8) + half] |= (byte & 3) << (8 * i + 2 * j);
                        superblock[16 + b % 8] |= (byte >> 2) << v;
                    }
                    // The fifth bits of Q5_0 and Q5_1 lie with the scales.
                    _ => words[4 * b + j] |= (byte & 15) << (8 * i + 4 * half),
                }
            }
        }
        assert_eq!(r.quants, expected, "{ty}");
    }
}

#[test]
fn sizes_of_streams() {
    // (type, k, blocks per row, quant words per row, scale words per row)
    let cases = [
        (WeightType::F32, 100, 4, 128, 0),
        (WeightType::F16, 100, 4, 64, 0),
        (WeightType::BF16, 100, 4, 64, 0),
        (WeightType::Q4_0, 288, 9, 36, 5),
        (WeightType::Q4_1, 288, 9, 36, 9),
        (WeightType::Q5_0, 288, 9, 36, 14),
        (WeightType::Q5_1, 288, 9, 36, 18),
        (WeightType::Q8_0, 288, 9, 72, 5),
        (WeightType::Q2K, 768, 24, 48, 15),
        (WeightType::Q3K, 768, 24, 72, 15),
        (WeightType::Q4K, 768, 24, 96, 12),
        (WeightType::Q5K, 768, 24, 120, 12),
        (WeightType::Q6K, 768, 24, 144, 15),
        (WeightType::Iq4Nl, 288, 9, 36, 5),
        (WeightType::Iq4Xs, 768, 24, 96, 6),
        (WeightType::Mxfp4, 288, 9, 36, 3),
    ];
    for (ty, k, blocks, quants, scales) in cases {
        let sizes = layout(ty, 11, k).unwrap();
        assert_eq!(sizes.blocks_per_row, blocks, "{ty}");
        assert_eq!(
            (sizes.quant_words_per_row, sizes.scale_words_per_row),
            (quants, scales),
            "{ty}"
        );
        assert_eq!(sizes.quant_words, 11 * quants, "{ty}");
        assert_eq!(
            sizes.scale_words,
            if ty.is_integer() { 11 * scales } else { 1 },
            "{ty}"
        );
    }
}

#[test]
fn an_odd_last_scale_leaves_its_high_half_zero() {
    for ty in [WeightType::Q4_0, WeightType::Q8_0] {
        let bytes = finite_blocks(ty, &mut Rng(6), 2 * ty.row_bytes(288).unwrap());
        let r = repack(ty, 2, 288, &bytes);
        assert_eq!((r.scales[4] >> 16, r.scales[9] >> 16), (0, 0), "{ty}");
    }
}

#[test]
fn wrong_shapes_are_refused() {
    for &ty in WeightType::all() {
        let (e, bytes) = (ty.block_elements(), ty.block_bytes());
        let mut out = vec![0.0; 2 * e];
        assert!(decode(ty, &vec![0; 2 * bytes], &mut out).is_ok());
        assert!(decode(ty, &[], &mut []).is_ok());
        let code = |r: Result<(), Error>| r.unwrap_err().code();
        assert_eq!(
            code(decode(ty, &vec![0; 2 * bytes - 1], &mut out)),
            "E_BLOCK",
            "{ty}"
        );
        assert_eq!(
            code(decode(ty, &vec![0; 3 * bytes], &mut out)),
            "E_LENGTH",
            "{ty}"
        );
        assert_eq!(
            code(decode(ty, &vec![0; 2 * bytes], &mut out[1..])),
            "E_LENGTH",
            "{ty}"
        );

        let k = e.max(32);
        let row = ty.row_bytes(k).unwrap();
        let sizes = layout(ty, 2, k).unwrap();
        let mut q = vec![0; sizes.quant_words + 1];
        let mut s = vec![0; sizes.scale_words + 1];
        let (qn, sn) = (sizes.quant_words, sizes.scale_words);
        assert!(repack_rows(ty, k, &vec![0; 2 * row], &mut q[..qn], &mut s[..sn]).is_ok());
        assert!(repack_rows(ty, k, &[], &mut [], &mut []).is_ok());
        assert_eq!(
            code(repack_rows(
                ty,
                k,
                &vec![0; 2 * row + 1],
                &mut q[..qn],
                &mut s[..sn]
            )),
            "E_BLOCK",
            "{ty}"
        );
        assert_eq!(
            code(repack_rows(ty, k, &vec![0; 2 * row], &mut q, &mut s[..sn])),
            "E_LENGTH",
            "{ty}"
        );
        assert_eq!(
            code(repack_rows(
                ty,
                k,
                &vec![0; 2 * row],
                &mut q[..qn - 1],
                &mut s[..sn]
            )),
            "E_LENGTH",
            "{ty}"
        );
        assert_eq!(
            code(repack_rows(ty, 0, &[], &mut [], &mut [])),
            "E_BLOCK",
            "{ty}"
        );
        assert_eq!(
            layout(ty, usize::MAX, k).unwrap_err().code(),
            "E_TOO_LARGE",
            "{ty}"
        );
        let block = |r, b| stream_block(ty, &sizes, &q[..qn], &s[..sn], r, b);
        assert!(block(1, sizes.blocks_per_row - 1).is_ok(), "{ty}");
        for (r, b) in [
            (2, 0),
            (0, sizes.blocks_per_row),
            (usize::MAX, 0),
            (0, usize::MAX),
        ] {
            assert_eq!(
                block(r, b).unwrap_err().code(),
                "E_RANGE",
                "{ty} ({r}, {b})"
            );
        }
        if ty.is_integer() {
            assert_eq!(
                code(repack_rows(ty, k, &vec![0; 2 * row], &mut q[..qn], &mut s)),
                "E_LENGTH",
                "{ty}"
            );
            let error = layout(ty, 1, k + 16).unwrap_err();
            assert_eq!(
                error,
                Error::RowNotWholeBlocks {
                    ty,
                    k: k + 16,
                    block_elements: e
                }
            );
            assert_eq!(error.code(), "E_BLOCK");
            assert!(error.to_string().contains(ty.name()) && !error.help().is_empty());
        }
    }
}

/// The scale words, cut out of GGUF's bytes by offset.
#[test]
fn scale_words_are_gguf_bytes_in_place() {
    let mut rng = Rng(7);
    let (rows, k) = (3, 768);
    // Q5_0 sorts its fields by kind, Q3_K unpacks its scales: their own round trips cover them.
    let others = [WeightType::Q5_0, WeightType::Q3K];
    let in_place = |ty: &&WeightType| ty.is_integer() && !others.contains(*ty);
    for &ty in WeightType::all().iter().filter(in_place) {
        let bytes = rng.bytes(rows * ty.row_bytes(k).unwrap());
        let expected: Vec<u8> = bytes
            .chunks_exact(ty.block_bytes())
            .flat_map(|block| match ty {
                WeightType::Q4_1 => block[..4].to_vec(),
                WeightType::Q4K | WeightType::Q5K => block[..16].to_vec(),
                WeightType::Q5_1 | WeightType::Iq4Xs => block[..8].to_vec(),
                WeightType::Q2K => [&block[..16], &block[80..]].concat(),
                WeightType::Mxfp4 => block[..1].to_vec(),
                WeightType::Q6K => [&block[192..208], &block[208..210], &[0, 0]].concat(),
                // Two f16 a word: with an even number of blocks a row they simply follow each other.
                _ => block[..2].to_vec(),
            })
            .collect();
        let got: Vec<u8> = repack(ty, rows, k, &bytes)
            .scales
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        assert_eq!(got, expected, "{ty}");
    }
}
