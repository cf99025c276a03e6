// Q8_0 streams: 8 words of int8 per 32-block, f16 scale (two blocks a word, rows start on a word). w = d*q.
#import block_int P=${P} UNPACK=unpack_i8

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let s = halves(s_${P}[in_row(row, (p.k_blocks + 1u) >> 1u, b >> 1u)]);
    let d = select(s.x, s.y, (b & 1u) == 1u);
    return ${P}Block(q_${P}[in_row(row, 2u * p.k_blocks, 2u * b)], q_${P}[in_row(row, 2u * p.k_blocks, 2u * b + 1u)], vec2<f32>(d), vec2<f32>(0.0));
}
