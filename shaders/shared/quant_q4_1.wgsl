// Q4_1 streams: 4 words of nibbles per 32-block, one word (f16 d, f16 m) per block. w = d*q + m.
#import block_int P=${P}

fn ${P}_unpack(v: u32) -> vec4<f32> {
    return unpack_u8(v);
}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let i = row * p.k_blocks + b;
    let q = q_${P}[i];
    let s = unpack2x16float(s_${P}[i]);
    return ${P}Block(q & vec4<u32>(0x0f0f0f0fu), (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu), vec2<f32>(s.x), vec2<f32>(s.y));
}
