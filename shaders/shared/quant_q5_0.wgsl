// Q5_0 streams: 4 words of nibbles per 32-block; a row's scales are one word of fifth bits per block, then the f16 scales
// (two blocks a word). w = d*q - 16d.
#import block_int P=${P}

fn ${P}_unpack(v: u32) -> vec4<f32> {
    return unpack_u8(v);
}

// Bits 4j..4j+3 of h as bit 4 of the four bytes of word j.
fn ${P}_fifth(h: u32) -> vec4<u32> {
    let n = (vec4<u32>(h) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    return ((n * vec4<u32>(0x00204081u)) & vec4<u32>(0x01010101u)) << vec4<u32>(4u);
}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[row * p.k_blocks + b];
    let scales = row * (p.k_blocks + (p.k_blocks + 1u) / 2u);
    let h = s_${P}[scales + b];
    let s = unpack2x16float(s_${P}[scales + p.k_blocks + b / 2u]);
    let d = select(s.x, s.y, (b & 1u) == 1u);
    let lo = (q & vec4<u32>(0x0f0f0f0fu)) | ${P}_fifth(h);
    let hi = ((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | ${P}_fifth(h >> 16u);
    return ${P}Block(lo, hi, vec2<f32>(d), vec2<f32>(-16.0 * d));
}
