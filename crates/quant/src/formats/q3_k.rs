//! Q3_K: 110 bytes = 32 bytes of third bits, 64 bytes of bit pairs, 12 bytes of sixteen 6-bit scales, f16 d;
//! value = d * (scale - 32) * (q - 4), one scale per 16 values.
//!
//! Bit pairs lie as in Q2_K; bit j of byte l of the third bits belongs to value l of block j. Streams, per 256 values: 8 x 2
//! words of bit pairs, then 8 words of third bits (bit i = value i of the block); 4 words of scale - 32 as signed bytes, then
//! one word with d in its low half.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{add_bits, bit_pairs, gather_bits, half, halves, pack_bit_pairs};

pub(crate) const FORMAT: Format = Format {
    name: "q3_k",
    ggml_id: 11,
    block_elements: 256,
    block_bytes: 110,
    is_integer: true,
    halves: &[108],
    quant_words: 3,
    scale_words: ScaleWords::PerBlock(5),
    decode,
    repack_row,
    stream_block,
};

/// Scales less 32: byte i % 8 has the low four bits, low nibble for i < 8, and byte 8 + i % 4 the high two, in bits 2(i / 4).
fn scales_of(packed: &[u8]) -> [i8; 16] {
    std::array::from_fn(|i| {
        let low = packed[i % 8] >> (4 * (i / 8)) & 15;
        let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        (low | high << 4).cast_signed() - 32
    })
}

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes
        .as_chunks::<110>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<256>().0)
    {
        let (high, rest) = block.split_at(32);
        let (qs, rest) = rest.split_at(64);
        let (scales, d) = rest.split_at(12);
        let (scales, d) = (scales_of(scales), half([d[0], d[1]]));
        for (e, value) in out.iter_mut().enumerate() {
            let (h, t, l) = (e / 128, e / 32 % 4, e % 32);
            let q = qs[32 * h + l] >> (2 * t) & 3 | (high[l] >> (e / 32) & 1) << 2;
            *value = d * f32::from(scales[e / 16]) * (f32::from(q) - 4.0);
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<24>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<5>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<110>().0) {
        let (qs, rest) = block[32..].split_at(64);
        let (packed, d) = rest.split_at(12);
        for (to, four) in scales.iter_mut().zip(scales_of(packed).as_chunks::<4>().0) {
            *to = u32::from_le_bytes(four.map(i8::cast_unsigned));
        }
        scales[4] = u32::from_le_bytes([d[0], d[1], 0, 0]);
        let (to_low, to_high) = quants.split_at_mut(16);
        for (b, to) in to_low.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *to = pack_bit_pairs(&qs.as_chunks::<32>().0[b / 4], 2 * (b as u32 % 4));
        }
        let high = &block.as_chunks::<32>().0[0];
        for (b, to) in to_high.iter_mut().enumerate() {
            *to = gather_bits(high, b);
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let (low, high) = quants.as_chunks::<24>().0[b / 8].split_at(16);
    let scales = scales.as_chunks::<5>().0[b / 8];
    let (d, _) = halves(scales[4]);
    let [first, second, ..] = (scales[b % 8 / 2] >> (16 * (b % 2))).to_le_bytes();
    let d = [first, second].map(|s| d * f32::from(s.cast_signed()));
    let q = add_bits(bit_pairs(low.as_chunks().0[b % 8]), high[b % 8], 2);
    let mut values = [0.0; 32];
    for (i, (value, q)) in values.iter_mut().zip(q).enumerate() {
        *value = d[i / 16] * (f32::from(q) - 4.0);
    }
    StreamBlock {
        q,
        d,
        m: d.map(|d| -4.0 * d),
        values,
    }
}
