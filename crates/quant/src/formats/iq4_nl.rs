//! IQ4_NL: 18 bytes = f16 d, 16 bytes of nibbles; value = d * table[nibble].
//!
//! Streams: 4 words of nibbles per block; one f16 per block, two a word.

use super::codebook::{IQ4, look_up, of_bytes};
use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{half, nibbles, pack_scale_pairs, scale_of_pair, words};

pub(crate) const FORMAT: Format = Format {
    name: "iq4_nl",
    ggml_id: 20,
    block_elements: 32,
    block_bytes: 18,
    is_integer: true,
    halves: &[0],
    quant_words: 4,
    scale_words: ScaleWords::HalfPerBlock,
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for ([d0, d1, qs @ ..], out) in bytes
        .as_chunks::<18>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<32>().0)
    {
        let d = half([*d0, *d1]);
        *out = of_bytes(&IQ4, qs).map(|q| d * f32::from(q));
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let blocks = bytes.as_chunks::<18>().0;
    for ([_, _, qs @ ..], to) in blocks.iter().zip(quants.as_chunks_mut::<4>().0) {
        for (to, word) in to.iter_mut().zip(words(qs)) {
            *to = word;
        }
    }
    pack_scale_pairs(scales, blocks.iter().map(|[d0, d1, ..]| [*d0, *d1]));
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let d = scale_of_pair(scales, b);
    let q = look_up(&IQ4, nibbles(quants.as_chunks().0[b]));
    StreamBlock {
        q,
        d: [d; 2],
        m: [0.0; 2],
        values: q.map(|q| d * f32::from(q)),
    }
}
