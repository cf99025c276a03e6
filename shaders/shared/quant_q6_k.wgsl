// Q6_K streams, per 256-superblock: 12 vec4 of quants (8 of low nibbles, 4 of high bit pairs), 5 scale words
// (16 int8 scales, f16 d). Two scales per 32-block. w = d*sc*(q - 32).
#import block_unsigned P=${P} TERMS=2

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let supers = p.k_blocks >> 3u;
    let sb = b >> 3u;
    let j = b & 7u;
    let q = q_${P}[in_row(row, 12u * supers, 12u * sb + j)];
    let h4 = q_${P}[in_row(row, 12u * supers, 12u * sb + 8u + j / 2u)];
    let h = select(h4.xy, h4.zw, (j & 1u) == 1u);
    let up = vec4<u32>(0u, 2u, 4u, 6u);
    let hi0 = (vec4<u32>(h.x) >> up) & vec4<u32>(0x03030303u);
    let hi1 = (vec4<u32>(h.y) >> up) & vec4<u32>(0x03030303u);
    let lo = (q & vec4<u32>(0x0f0f0f0fu)) | (hi0 << vec4<u32>(4u));
    let hi = ((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | (hi1 << vec4<u32>(4u));
    let d = halves(s_${P}[in_row(row, 5u * supers, 5u * sb + 4u)]).x;
    let w = s_${P}[in_row(row, 5u * supers, 5u * sb + j / 2u)] >> ((j & 1u) * 16u);
    let sc = d * vec2<f32>(f32(bitcast<i32>(w << 24u) >> 24u), f32(bitcast<i32>(w << 16u) >> 24u));
    return ${P}_bytes(lo, hi, sc, -32.0 * sc);
}
