//! Q8_0: 34 bytes = f16 d, 32 signed bytes; value = q * d.
//!
//! Streams: 8 words of bytes in order, and one f16 per block.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{half, pack_scale_pairs, scale_of_pair, words};

pub(crate) const FORMAT: Format = Format {
    name: "q8_0",
    ggml_id: 8,
    block_elements: 32,
    block_bytes: 34,
    is_integer: true,
    halves: &[0],
    quant_words: 8,
    scale_words: ScaleWords::HalfPerBlock,
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for ([d0, d1, qs @ ..], out) in bytes
        .as_chunks::<34>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<32>().0)
    {
        let d = half([*d0, *d1]);
        for (value, q) in out.iter_mut().zip(qs) {
            *value = f32::from(q.cast_signed()) * d;
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let blocks = bytes.as_chunks::<34>().0;
    for ([_, _, qs @ ..], to) in blocks.iter().zip(quants.as_chunks_mut::<8>().0) {
        for (to, word) in to.iter_mut().zip(words(qs)) {
            *to = word;
        }
    }
    pack_scale_pairs(scales, blocks.iter().map(|[d0, d1, ..]| [*d0, *d1]));
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let d = scale_of_pair(scales, b);
    let mut q = [0; 32];
    let bytes = quants[8 * b..8 * b + 8]
        .iter()
        .flat_map(|w| w.to_le_bytes());
    for (q, byte) in q.iter_mut().zip(bytes) {
        *q = byte.cast_signed();
    }
    StreamBlock {
        q,
        d: [d; 2],
        m: [0.0; 2],
        values: q.map(|q| f32::from(q) * d),
    }
}
