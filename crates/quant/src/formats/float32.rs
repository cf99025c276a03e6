//! F32. Stream: 32 words per 32 values.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::words;

pub(crate) const FORMAT: Format = Format {
    name: "f32",
    ggml_id: 0,
    block_elements: 1,
    block_bytes: 4,
    is_integer: false,
    halves: &[],
    quant_words: 32,
    scale_words: ScaleWords::None,
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (value, word) in out.iter_mut().zip(words(bytes)) {
        *value = f32::from_bits(word);
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], _scales: &mut [u32]) {
    let padded = words(bytes).chain(std::iter::repeat(0));
    for (to, word) in quants.iter_mut().zip(padded) {
        *to = word;
    }
}

fn stream_block(quants: &[u32], _scales: &[u32], b: usize) -> StreamBlock {
    let mut block = StreamBlock::ZERO;
    for (value, word) in block.values.iter_mut().zip(&quants[32 * b..32 * b + 32]) {
        *value = f32::from_bits(*word);
    }
    block
}
