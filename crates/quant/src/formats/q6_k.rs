//! Q6_K: 210 bytes = 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, f16 d;
//! value = d * scale * (q - 32), one scale per 16 values.
//!
//! GGUF's half h (128 values) interleaves its four 32-value blocks t: value 128h + 32t + l has its low nibble in byte
//! 64h + 32(t % 2) + l (low nibble for t < 2, high for t >= 2) and its high bits in bits 2t of byte 32h + l.
//!
//! Streams, per 256 values: 8 x 4 words of low nibbles, then 8 x 2 words of high bits (word h of a block: bits 2j of
//! byte i = high bits of value 16h + 4j + i); 4 words of scales as they are, then one word with d in its low half.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{LOW_NIBBLES, bit_pairs, half, halves, nibbles, pack_bit_pairs, words};

pub(crate) const FORMAT: Format = Format {
    name: "q6_k",
    ggml_id: 14,
    block_elements: 256,
    block_bytes: 210,
    is_integer: true,
    halves: &[208],
    quant_words: 6,
    scale_words: ScaleWords::PerBlock(5),
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes
        .as_chunks::<210>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<256>().0)
    {
        let (low, rest) = block.split_at(128);
        let (high, rest) = rest.split_at(64);
        let (scales, d) = rest.split_at(16);
        let d = half([d[0], d[1]]);
        for (e, value) in out.iter_mut().enumerate() {
            let (h, t, l) = (e / 128, e / 32 % 4, e % 32);
            let nibble = low[64 * h + 32 * (t % 2) + l] >> (4 * (t / 2)) & 15;
            let q = nibble | (high[32 * h + l] >> (2 * t) & 3) << 4;
            let scale = scales[e / 16].cast_signed();
            *value = d * f32::from(scale) * (f32::from(q) - 32.0);
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<48>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<5>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<210>().0) {
        let (low, rest) = block.split_at(128);
        let (high, rest) = rest.split_at(64);
        let (sixteen, d) = rest.split_at(16);
        for (to, word) in scales.iter_mut().zip(words(sixteen)) {
            *to = word;
        }
        scales[4] = u32::from_le_bytes([d[0], d[1], 0, 0]);
        let (to_low, to_high) = quants.split_at_mut(32);
        // h: half of 128 values; p: blocks p and p + 2 of it share 32 bytes of low nibbles.
        for (hp, low) in low.as_chunks::<32>().0.iter().enumerate() {
            let first = 4 * (hp / 2) + hp % 2;
            let (front, back) = low.split_at(16);
            for (j, (a, b)) in words(front).zip(words(back)).enumerate() {
                to_low[4 * first + j] = a & LOW_NIBBLES | (b & LOW_NIBBLES) << 4;
                to_low[4 * (first + 2) + j] = (a >> 4) & LOW_NIBBLES | b & !LOW_NIBBLES;
            }
        }
        for (b, to) in to_high.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *to = pack_bit_pairs(&high.as_chunks::<32>().0[b / 4], 2 * (b as u32 % 4));
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let (low, high) = quants.as_chunks::<48>().0[b / 8].split_at(32);
    let scales = scales.as_chunks::<5>().0[b / 8];
    let (d, _) = halves(scales[4]);
    let within = b % 8;
    // Two scales a block, four a word.
    let pair = (scales[within / 2] >> (16 * (within % 2))).to_le_bytes();
    let d = [
        d * f32::from(pair[0].cast_signed()),
        d * f32::from(pair[1].cast_signed()),
    ];

    let mut q = nibbles(low.as_chunks().0[within]);
    for (q, high) in q.iter_mut().zip(bit_pairs(high.as_chunks().0[within])) {
        *q |= high << 4;
    }
    let mut values = [0.0; 32];
    for (i, (value, q)) in values.iter_mut().zip(q).enumerate() {
        *value = d[i / 16] * (f32::from(q) - 32.0);
    }
    StreamBlock {
        q,
        d,
        m: d.map(|d| -32.0 * d),
        values,
    }
}
