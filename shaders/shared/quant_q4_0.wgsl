// Q4_0 streams: 4 words of nibbles per 32-block, f16 scale (two blocks a word, rows start on a word). w = d*q - 8d.
#import block_unsigned P=${P} TERMS=8 NIBBLES=1

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let s = halves(s_${P}[in_row(row, (p.k_blocks + 1u) >> 1u, b >> 1u)]);
    let d = select(s.x, s.y, (b & 1u) == 1u);
    return ${P}_nibbles(q, vec2<f32>(d), vec2<f32>(-8.0 * d));
}
