//! BF16: the upper half of an f32. Stream: 16 words per 32 values, two a word in order.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::pack_pairs;

pub(crate) const FORMAT: Format = Format {
    name: "bf16",
    ggml_id: 30,
    block_elements: 1,
    block_bytes: 2,
    is_integer: false,
    halves: &[],
    quant_words: 16,
    scale_words: ScaleWords::None,
    decode,
    repack_row,
    stream_block,
};

fn value([low, high]: [u8; 2]) -> f32 {
    f32::from_le_bytes([0, 0, low, high])
}

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (to, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
        *to = value(*bytes);
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], _scales: &mut [u32]) {
    pack_pairs(bytes, quants);
}

fn stream_block(quants: &[u32], _scales: &[u32], b: usize) -> StreamBlock {
    let mut block = StreamBlock::ZERO;
    let pairs = block.values.as_chunks_mut::<2>().0;
    for (pair, word) in pairs.iter_mut().zip(&quants[16 * b..16 * b + 16]) {
        let [a, b, c, d] = word.to_le_bytes();
        *pair = [value([a, b]), value([c, d])];
    }
    block
}
