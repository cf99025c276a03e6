// MXFP4 streams: 4 words of nibbles per 32-block, exponents e (four blocks a word, rows start on a word). w = 2^(e-128)*table[q].
#import block_int P=${P} UNPACK=unpack_i8
#import table_e2m1 P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let e = (s_${P}[in_row(row, (p.k_blocks + 3u) >> 2u, b >> 2u)] >> (8u * (b & 3u))) & 255u;
    // The two smallest are denormal, which devices may flush: 0 here.
    let d = bitcast<f32>((max(e, 1u) - 1u) << 23u);
    let lo = ${P}_look_up(q & vec4<u32>(0x0f0f0f0fu));
    let hi = ${P}_look_up((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu));
    return ${P}Block(lo, hi, vec2<f32>(d), vec2<f32>(0.0));
}
