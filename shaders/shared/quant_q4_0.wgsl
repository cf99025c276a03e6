// Q4_0 streams: 4 words of nibbles per 32-block, f16 scale (two blocks a word, rows start on a word). w = d*q - 8d.
#import block_int P=${P}

fn ${P}_unpack(v: u32) -> vec4<f32> {
    return unpack_u8(v);
}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[row * p.k_blocks + b];
    let s = unpack2x16float(s_${P}[row * ((p.k_blocks + 1u) / 2u) + b / 2u]);
    let d = select(s.x, s.y, (b & 1u) == 1u);
    return ${P}Block(q & vec4<u32>(0x0f0f0f0fu), (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu), vec2<f32>(d), vec2<f32>(-8.0 * d));
}
