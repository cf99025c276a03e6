// Q5_0 streams: 4 words of nibbles per 32-block; a row's scales are one word of fifth bits per block, then the f16 scales
// (two blocks a word). w = d*q - 16d.
#import block_unsigned P=${P} TERMS=4
#import spread_bits P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let words = p.k_blocks + ((p.k_blocks + 1u) >> 1u);
    let h = s_${P}[in_row(row, words, b)];
    let s = halves(s_${P}[in_row(row, words, p.k_blocks + (b >> 1u))]);
    let d = select(s.x, s.y, (b & 1u) == 1u);
    let lo = (q & vec4<u32>(0x0f0f0f0fu)) | (${P}_spread(h) << vec4<u32>(4u));
    let hi = ((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | (${P}_spread(h >> 16u) << vec4<u32>(4u));
    return ${P}_bytes(lo, hi, vec2<f32>(d), vec2<f32>(-16.0 * d));
}
