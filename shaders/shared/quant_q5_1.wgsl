// Q5_1 streams: 4 words of nibbles per 32-block; two scale words a block, (f16 d, f16 m) and the fifth bits. w = d*q + m.
#import block_unsigned P=${P} TERMS=4
#import spread_bits P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let s = halves(s_${P}[in_row(row, 2u * p.k_blocks, 2u * b)]);
    let h = s_${P}[in_row(row, 2u * p.k_blocks, 2u * b + 1u)];
    let lo = (q & vec4<u32>(0x0f0f0f0fu)) | (${P}_spread(h) << vec4<u32>(4u));
    let hi = ((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | (${P}_spread(h >> 16u) << vec4<u32>(4u));
    return ${P}_bytes(lo, hi, vec2<f32>(s.x), vec2<f32>(s.y));
}
