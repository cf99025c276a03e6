// Scales of Q4_K and Q5_K: per 256-superblock 4 words, (f16 d, f16 dmin) and the 12 bytes of eight 6-bit (scale, min) pairs.
// (scale, offset) of a block: w = scale*q + offset.
fn ${P}_scales(row: u32, b: u32) -> vec2<f32> {
    let words = p.k_blocks >> 1u;
    let h = (b >> 3u) * 4u;
    let dm = halves(s_${P}[in_row(row, words, h)]);
    let j = b % 8u;
    let shift = (j % 4u) * 8u;
    // Bytes j%4 of the three words: low six bits of pairs 0..3, and the spread bits of pairs 4..7.
    let b0 = s_${P}[in_row(row, words, h + 1u)] >> shift;
    let b1 = s_${P}[in_row(row, words, h + 2u)] >> shift;
    let b2 = s_${P}[in_row(row, words, h + 3u)] >> shift;
    let low = vec2<u32>(b0 & 63u, b1 & 63u);
    let high = vec2<u32>((b2 & 15u) | (((b0 >> 6u) & 3u) << 4u), ((b2 >> 4u) & 15u) | (((b1 >> 6u) & 3u) << 4u));
    let sm = vec2<f32>(select(low, high, j >= 4u));
    return vec2<f32>(dm.x * sm.x, -dm.y * sm.y);
}
