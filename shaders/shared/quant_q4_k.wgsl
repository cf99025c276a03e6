// Q4_K streams: 4 words of nibbles per 32-block. w = d*sc*q - dmin*mn.
#import block_int P=${P}
#import k_scales P=${P}

fn ${P}_unpack(v: u32) -> vec4<f32> {
    return unpack_u8(v);
}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[row * p.k_blocks + b];
    let s = ${P}_scales(row, b);
    return ${P}Block(q & vec4<u32>(0x0f0f0f0fu), (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu), vec2<f32>(s.x), vec2<f32>(s.y));
}
