//! Q4_1: 20 bytes = f16 d, f16 m, 16 bytes of nibbles; value = q * d + m.
//!
//! Streams: 4 words of nibbles and one word d | m << 16 per block, all GGUF's own bytes.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{half, halves, nibbles, words};

pub(crate) const FORMAT: Format = Format {
    name: "q4_1",
    ggml_id: 3,
    block_elements: 32,
    block_bytes: 20,
    is_integer: true,
    halves: &[0, 2],
    quant_words: 4,
    scale_words: ScaleWords::PerBlock(1),
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for ([d0, d1, m0, m1, qs @ ..], out) in bytes
        .as_chunks::<20>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<32>().0)
    {
        let (d, m) = (half([*d0, *d1]), half([*m0, *m1]));
        for (j, q) in qs.iter().enumerate() {
            out[j] = f32::from(q & 15) * d + m;
            out[j + 16] = f32::from(q >> 4) * d + m;
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants.as_chunks_mut::<4>().0.iter_mut().zip(scales);
    for ((quants, scale), [d0, d1, m0, m1, qs @ ..]) in to.zip(bytes.as_chunks::<20>().0) {
        *scale = u32::from_le_bytes([*d0, *d1, *m0, *m1]);
        for (to, word) in quants.iter_mut().zip(words(qs)) {
            *to = word;
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let (d, m) = halves(scales[b]);
    let q = nibbles(quants.as_chunks().0[b]);
    StreamBlock {
        q,
        d: [d; 2],
        m: [m; 2],
        values: q.map(|q| f32::from(q) * d + m),
    }
}
