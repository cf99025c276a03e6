// IQ4_NL streams: 4 words of nibbles per 32-block, f16 scale (two blocks a word, rows start on a word). w = d*table[q].
#import block_int P=${P} UNPACK=unpack_i8
#import table_iq4 P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let s = halves(s_${P}[in_row(row, (p.k_blocks + 1u) >> 1u, b >> 1u)]);
    let d = select(s.x, s.y, (b & 1u) == 1u);
    let lo = ${P}_look_up(q & vec4<u32>(0x0f0f0f0fu));
    let hi = ${P}_look_up((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu));
    return ${P}Block(lo, hi, vec2<f32>(d), vec2<f32>(0.0));
}
