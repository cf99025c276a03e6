//! Scales of Q4_K and Q5_K: f16 d and dmin, then 12 bytes of eight 6-bit (scale, minimum) pairs; in the stream 4 words per 256
//! values, GGUF's own bytes.

use crate::bits::halves;

/// The 6-bit (scale, minimum) of block `j` in 0..8. Pairs 4..8 keep their high two bits atop pairs 0..4.
pub(super) fn scale_min(s: &[u8; 12], j: usize) -> (u8, u8) {
    if j < 4 {
        (s[j] & 63, s[j + 4] & 63)
    } else {
        (
            s[j + 4] & 15 | (s[j - 4] >> 6) << 4,
            s[j + 4] >> 4 | (s[j] >> 6) << 4,
        )
    }
}

/// (scale, offset) of block `b` of a row from the row's scale words.
pub(super) fn of_block(scales: &[u32], b: usize) -> (f32, f32) {
    let [head, rest @ ..] = scales.as_chunks::<4>().0[b / 8];
    let (d, dmin) = halves(head);
    let mut pairs = [0; 12];
    for (to, byte) in pairs
        .iter_mut()
        .zip(rest.into_iter().flat_map(u32::to_le_bytes))
    {
        *to = byte;
    }
    let (scale, min) = scale_min(&pairs, b % 8);
    (d * f32::from(scale), -(dmin * f32::from(min)))
}
