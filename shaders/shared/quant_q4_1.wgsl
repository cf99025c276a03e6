// Q4_1 streams: 4 words of nibbles per 32-block, one word (f16 d, f16 m) per block. w = d*q + m.
#import block_unsigned P=${P} TERMS=8 NIBBLES=1

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let i = in_row(row, p.k_blocks, b);
    let q = q_${P}[i];
    let s = halves(s_${P}[i]);
    return ${P}_nibbles(q, vec2<f32>(s.x), vec2<f32>(s.y));
}
