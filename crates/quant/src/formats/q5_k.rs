//! Q5_K: 176 bytes = Q4_K's f16 d and dmin and 12 bytes of pairs, 32 bytes of fifth bits, 128 bytes of nibbles;
//! value = q * (d * scale) - dmin * minimum, one pair per 32 values.
//!
//! Nibbles lie as in Q4_K; bit j of byte l of the fifth bits belongs to value l of block j. Streams, per 256 values: 8 x 4
//! words of nibbles, then 8 words of fifth bits (bit i = value i of the block); scales as in Q4_K.

use super::k_scales::{self, scale_min};
use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{add_bits, gather_bits, half, nibbles, pack_paired_nibbles, words};

pub(crate) const FORMAT: Format = Format {
    name: "q5_k",
    ggml_id: 13,
    block_elements: 256,
    block_bytes: 176,
    is_integer: true,
    halves: &[0, 2],
    quant_words: 5,
    scale_words: ScaleWords::PerBlock(4),
    decode,
    repack_row,
    stream_block,
};

/// Header, fifth bits and nibbles of a block.
fn parts(block: &[u8; 176]) -> (&[u8; 16], &[u8; 32], &[u8]) {
    let (header, rest) = block
        .as_chunks::<16>()
        .0
        .split_first()
        .map_or((&[0; 16], &[][..]), |(h, r)| (h, r));
    let bytes = rest.as_flattened();
    bytes
        .split_first_chunk::<32>()
        .map_or((header, &[0; 32], &[]), |(high, low)| (header, high, low))
}

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes
        .as_chunks::<176>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<256>().0)
    {
        let ([d0, d1, m0, m1, scales @ ..], high, low) = parts(block);
        let (d, dmin) = (half([*d0, *d1]), half([*m0, *m1]));
        for (j, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (scale, min) = scale_min(scales, j);
            let (d, m) = (d * f32::from(scale), dmin * f32::from(min));
            let low = &low.as_chunks::<32>().0[j / 2];
            for (l, value) in out.iter_mut().enumerate() {
                let q = low[l] >> (4 * (j % 2)) & 15 | (high[l] >> j & 1) << 4;
                *value = d * f32::from(q) - m;
            }
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<40>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<4>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<176>().0) {
        let (header, high, low) = parts(block);
        for (to, word) in scales.iter_mut().zip(words(header)) {
            *to = word;
        }
        let (to_low, to_high) = quants.split_at_mut(32);
        pack_paired_nibbles(low, to_low);
        for (j, to) in to_high.iter_mut().enumerate() {
            *to = gather_bits(high, j);
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let (low, high) = quants.as_chunks::<40>().0[b / 8].split_at(32);
    let (d, m) = k_scales::of_block(scales, b);
    let q = add_bits(nibbles(low.as_chunks().0[b % 8]), high[b % 8], 4);
    StreamBlock {
        q,
        d: [d; 2],
        m: [m; 2],
        values: q.map(|q| d * f32::from(q) + m),
    }
}
