//! Q2_K: 84 bytes = 16 bytes of (scale, minimum) nibbles, 64 bytes of bit pairs, f16 d, f16 dmin;
//! value = d * scale * q - dmin * minimum, one pair per 16 values.
//!
//! Byte 32h + l holds value l of blocks 4h to 4h + 3, the t-th in bits 2t. Streams, per 256 values: 8 x 2 words of bit pairs
//! (word h of a block: bits 2j of byte i = value 16h + 4j + i); the 4 words of nibbles as they are, then d | dmin << 16.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{bit_pairs, half, halves, pack_bit_pairs, words};

pub(crate) const FORMAT: Format = Format {
    name: "q2_k",
    ggml_id: 10,
    block_elements: 256,
    block_bytes: 84,
    is_integer: true,
    halves: &[80, 82],
    quant_words: 2,
    scale_words: ScaleWords::PerBlock(5),
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes
        .as_chunks::<84>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<256>().0)
    {
        let (scales, rest) = block.split_at(16);
        let (qs, dm) = rest.split_at(64);
        let (d, dmin) = (half([dm[0], dm[1]]), half([dm[2], dm[3]]));
        for (e, value) in out.iter_mut().enumerate() {
            let (h, t, l) = (e / 128, e / 32 % 4, e % 32);
            let q = qs[32 * h + l] >> (2 * t) & 3;
            let scale = scales[e / 16];
            *value = d * f32::from(scale & 15) * f32::from(q) - dmin * f32::from(scale >> 4);
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<16>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<5>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<84>().0) {
        let (pairs, rest) = block.split_at(16);
        let (qs, dm) = rest.split_at(64);
        for (to, word) in scales.iter_mut().zip(words(pairs).chain(words(dm))) {
            *to = word;
        }
        for (b, to) in quants.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *to = pack_bit_pairs(&qs.as_chunks::<32>().0[b / 4], 2 * (b as u32 % 4));
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let scales = scales.as_chunks::<5>().0[b / 8];
    let (d, dmin) = halves(scales[4]);
    let [first, second, ..] = (scales[b % 8 / 2] >> (16 * (b % 2))).to_le_bytes();
    let d = [first, second].map(|s| d * f32::from(s & 15));
    let m = [first, second].map(|s| -(dmin * f32::from(s >> 4)));
    let q = bit_pairs(quants.as_chunks().0[b]);
    let mut values = [0.0; 32];
    for (i, (value, q)) in values.iter_mut().zip(q).enumerate() {
        *value = d[i / 16] * f32::from(q) + m[i / 16];
    }
    StreamBlock { q, d, m, values }
}
