//! MXFP4: 17 bytes = exponent e, 16 bytes of nibbles (E2M1); value = 2^(e - 128) * doubled[nibble].
//!
//! Streams: 4 words of nibbles per block; one exponent per block, four a word.

use super::codebook::{E2M1, look_up, of_bytes};
use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{nibbles, words};

pub(crate) const FORMAT: Format = Format {
    name: "mxfp4",
    ggml_id: 39,
    block_elements: 32,
    block_bytes: 17,
    is_integer: true,
    halves: &[],
    quant_words: 4,
    scale_words: ScaleWords::BytePerBlock,
    decode,
    repack_row,
    stream_block,
};

/// 2^(e - 128): half of what E8M0 says, as the table is doubled. The two smallest are denormal.
fn scale(e: u8) -> f32 {
    f32::from_bits(match e {
        0 | 1 => 0x0020_0000 << e,
        _ => (u32::from(e) - 1) << 23,
    })
}

fn decode(bytes: &[u8], out: &mut [f32]) {
    for ([e, qs @ ..], out) in bytes
        .as_chunks::<17>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<32>().0)
    {
        let d = scale(*e);
        *out = of_bytes(&E2M1, qs).map(|q| d * f32::from(q));
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let blocks = bytes.as_chunks::<17>().0;
    for ([_, qs @ ..], to) in blocks.iter().zip(quants.as_chunks_mut::<4>().0) {
        for (to, word) in to.iter_mut().zip(words(qs)) {
            *to = word;
        }
    }
    for (to, blocks) in scales.iter_mut().zip(blocks.chunks(4)) {
        let exponents = std::array::from_fn(|i| blocks.get(i).map_or(0, |block| block[0]));
        *to = u32::from_le_bytes(exponents);
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let d = scale(scales[b / 4].to_le_bytes()[b % 4]);
    let q = look_up(&E2M1, nibbles(quants.as_chunks().0[b]));
    StreamBlock {
        q,
        d: [d; 2],
        m: [0.0; 2],
        values: q.map(|q| d * f32::from(q)),
    }
}
