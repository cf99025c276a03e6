//! Q4_K: 144 bytes = f16 d, f16 dmin, 12 bytes of eight 6-bit (scale, minimum) pairs, 128 bytes of nibbles;
//! value = q * (d * scale) - dmin * minimum, one pair per 32 values.
//!
//! GGUF's byte 32c + l holds value 64c + l (low nibble) and 64c + 32 + l (high nibble): the two blocks 2c and 2c+1 share
//! their bytes. Streams: 4 words of nibbles per block, and 4 words per 256 values: d | dmin << 16, then the 12 bytes as
//! they are.

use super::k_scales::{self, scale_min};
use super::{Format, ScaleWords};
use crate::StreamBlock;
use crate::bits::{half, nibbles, pack_paired_nibbles, words};

pub(crate) const FORMAT: Format = Format {
    name: "q4_k",
    ggml_id: 12,
    block_elements: 256,
    block_bytes: 144,
    is_integer: true,
    halves: &[0, 2],
    quant_words: 4,
    scale_words: ScaleWords::PerBlock(4),
    decode,
    repack_row,
    stream_block,
};

fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in bytes
        .as_chunks::<144>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<256>().0)
    {
        let [d0, d1, m0, m1, rest @ ..] = block;
        let (d, dmin) = (half([*d0, *d1]), half([*m0, *m1]));
        let Some((scales, qs)) = rest.split_first_chunk::<12>() else {
            return;
        };
        let pairs = out
            .as_chunks_mut::<64>()
            .0
            .iter_mut()
            .zip(qs.as_chunks::<32>().0);
        for (c, (out, qs)) in pairs.enumerate() {
            let (s1, n1) = scale_min(scales, 2 * c);
            let (s2, n2) = scale_min(scales, 2 * c + 1);
            let (d1, min1) = (d * f32::from(s1), dmin * f32::from(n1));
            let (d2, min2) = (d * f32::from(s2), dmin * f32::from(n2));
            for (l, q) in qs.iter().enumerate() {
                out[l] = d1 * f32::from(q & 15) - min1;
                out[l + 32] = d2 * f32::from(q >> 4) - min2;
            }
        }
    }
}

fn repack_row(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) {
    let to = quants
        .as_chunks_mut::<32>()
        .0
        .iter_mut()
        .zip(scales.as_chunks_mut::<4>().0);
    for ((quants, scales), block) in to.zip(bytes.as_chunks::<144>().0) {
        let (header, qs) = block.split_at(16);
        for (to, word) in scales.iter_mut().zip(words(header)) {
            *to = word;
        }
        pack_paired_nibbles(qs, quants);
    }
}

fn stream_block(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock {
    let (d, m) = k_scales::of_block(scales, b);
    let q = nibbles(quants.as_chunks().0[b]);
    StreamBlock {
        q,
        d: [d; 2],
        m: [m; 2],
        values: q.map(|q| d * f32::from(q) + m),
    }
}
