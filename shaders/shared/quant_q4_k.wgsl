// Q4_K streams: 4 words of nibbles per 32-block. w = d*sc*q - dmin*mn.
#import block_unsigned P=${P} TERMS=8 NIBBLES=1
#import k_scales P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let s = ${P}_scales(row, b);
    return ${P}_nibbles(q, vec2<f32>(s.x), vec2<f32>(s.y));
}
