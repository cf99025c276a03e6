//! Q5_0: 22 bytes = f16 d, 32 fifth bits, 16 bytes of nibbles; value = (q - 16) * d.
//!
//! Streams: 4 words of nibbles per block; a row's scale words are one word of fifth bits per block (bit i = value i), then
//! one f16 per block, two a word.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{add_bits, half, nibbles, pack_scale_pairs, scale_of_pair, words};

pub(crate) const FORMAT: Format = Format {
    name: "q5_0",
    ggml_id: 6,
    block_elements: 32,
    block_bytes: 22,
    is_integer: true,
    halves: &[0],
    quant_words: 4,
    scale_words: ScaleWords::WordAndHalfPerBlock,
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for ([d0, d1, h0, h1, h2, h3, qs @ ..], out) in bytes
        .as_chunks::<22>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<32>().0)
    {
        let d = half([*d0, *d1]);
        let fifth = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
        let mut q = [0; 32];
        for (j, byte) in qs.iter().enumerate() {
            q[j] = (byte & 15).cast_signed();
            q[j + 16] = (byte >> 4).cast_signed();
        }
        *out = add_bits(q, fifth, 4).map(|q| (f32::from(q) - 16.0) * d);
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let blocks = bytes.as_chunks::<22>().0;
    for ([_, _, _, _, _, _, qs @ ..], to) in blocks.iter().zip(quants.as_chunks_mut::<4>().0) {
        for (to, word) in to.iter_mut().zip(words(qs)) {
            *to = word;
        }
    }
    let (fifth, pairs) = scales.split_at_mut(blocks.len());
    for ([_, _, h0, h1, h2, h3, ..], to) in blocks.iter().zip(fifth) {
        *to = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
    }
    pack_scale_pairs(pairs, blocks.iter().map(|[d0, d1, ..]| [*d0, *d1]));
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let blocks = quants.len() / 4;
    let d = scale_of_pair(&scales[blocks..], b);
    let q = add_bits(nibbles(quants.as_chunks().0[b]), scales[b], 4);
    StreamBlock {
        q,
        d: [d; 2],
        m: [-16.0 * d; 2],
        values: q.map(|q| (f32::from(q) - 16.0) * d),
    }
}
