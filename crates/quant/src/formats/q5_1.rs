//! Q5_1: 24 bytes = f16 d, f16 m, 32 fifth bits, 16 bytes of nibbles; value = q * d + m.
//!
//! Streams: 4 words of nibbles per block, and two words d | m << 16 and fifth bits (bit i = value i), all GGUF's own bytes.

use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{add_bits, half, halves, nibbles, words};

pub(crate) const FORMAT: Format = Format {
    name: "q5_1",
    ggml_id: 7,
    block_elements: 32,
    block_bytes: 24,
    is_integer: true,
    halves: &[0, 2],
    quant_words: 4,
    scale_words: ScaleWords::PerBlock(2),
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for ([d0, d1, m0, m1, h0, h1, h2, h3, qs @ ..], out) in bytes
        .as_chunks::<24>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<32>().0)
    {
        let (d, m) = (half([*d0, *d1]), half([*m0, *m1]));
        let fifth = u32::from_le_bytes([*h0, *h1, *h2, *h3]);
        let mut q = [0; 32];
        for (j, byte) in qs.iter().enumerate() {
            q[j] = (byte & 15).cast_signed();
            q[j + 16] = (byte >> 4).cast_signed();
        }
        *out = add_bits(q, fifth, 4).map(|q| f32::from(q) * d + m);
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<2>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<24>().0) {
        for (to, word) in scales.iter_mut().chain(quants).zip(words(block)) {
            *to = word;
        }
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let [dm, fifth] = scales.as_chunks().0[b];
    let (d, m) = halves(dm);
    let q = add_bits(nibbles(quants.as_chunks().0[b]), fifth, 4);
    StreamBlock {
        q,
        d: [d; 2],
        m: [m; 2],
        values: q.map(|q| f32::from(q) * d + m),
    }
}
