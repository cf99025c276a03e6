//! F16. Stream: 16 words per 32 values, two halves a word in order.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{half, halves, pack_pairs};

pub(crate) const FORMAT: Format = Format {
    name: "f16",
    ggml_id: 1,
    block_elements: 1,
    block_bytes: 2,
    is_integer: false,
    halves: &[0],
    quant_words: 16,
    scale_words: ScaleWords::None,
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *value = half(*bytes);
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], _scales: &mut [u32]) {
    pack_pairs(bytes, quants);
}

fn stream_block(quants: &[u32], _scales: &[u32], b: usize) -> StreamBlock {
    let mut block = StreamBlock::ZERO;
    for (pair, word) in block
        .values
        .as_chunks_mut::<2>()
        .0
        .iter_mut()
        .zip(&quants[16 * b..16 * b + 16])
    {
        (pair[0], pair[1]) = halves(*word);
    }
    block
}
