//! IQ4_XS: 136 bytes = f16 d, eight high bit pairs and eight low nibbles of 6-bit scales, 128 bytes of nibbles;
//! value = d * (scale - 32) * table[nibble], one scale per 32 values.
//!
//! Streams: 4 words of nibbles per block; per 256 values two words, d | high pairs << 16 and the low nibbles, GGUF's own bytes.

use super::codebook::{IQ4, look_up, of_bytes};
use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{halves, nibbles, words};

pub(crate) const FORMAT: Format = Format {
    name: "iq4_xs",
    ggml_id: 23,
    block_elements: 256,
    block_bytes: 136,
    is_integer: true,
    halves: &[0],
    quant_words: 4,
    scale_words: ScaleWords::PerBlock(2),
    decode,
    repack_row,
    stream_block,
};

/// d * (scale - 32) of block `j` in 0..8.
fn scale(header: [u32; 2], j: usize) -> f32 {
    let low = header[1] >> (4 * j) & 15;
    let high = header[0] >> (16 + 2 * j) & 3;
    let scale = (low | high << 4) as i8 - 32;
    halves(header[0]).0 * f32::from(scale)
}

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes
        .as_chunks::<136>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<256>().0)
    {
        let [h0, h1, h2, h3, l0, l1, l2, l3, qs @ ..] = block;
        let header = [[*h0, *h1, *h2, *h3], [*l0, *l1, *l2, *l3]].map(u32::from_le_bytes);
        let blocks = out.as_chunks_mut::<32>().0.iter_mut();
        for (j, (out, qs)) in blocks.zip(qs.as_chunks::<16>().0).enumerate() {
            let d = scale(header, j);
            *out = of_bytes(&IQ4, qs).map(|q| d * f32::from(q));
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<32>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<2>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<136>().0) {
        for (to, word) in scales.iter_mut().chain(quants).zip(words(block)) {
            *to = word;
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let d = scale(scales.as_chunks().0[b / 8], b % 8);
    let q = look_up(&IQ4, nibbles(quants.as_chunks().0[b]));
    StreamBlock {
        q,
        d: [d; 2],
        m: [0.0; 2],
        values: q.map(|q| d * f32::from(q)),
    }
}
