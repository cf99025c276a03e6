// Q3_K streams, per 256-superblock: 6 vec4 of quants (4 of bit pairs, 2 of third bits, a word a block), 5 scale words
// (16 int8 scales, f16 d). Two scales per 32-block. w = d*sc*(q - 4).
#import block_unsigned P=${P} TERMS=8
#import spread_bits P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let supers = p.k_blocks >> 3u;
    let sb = b >> 3u;
    let j = b & 7u;
    let q4 = q_${P}[in_row(row, 6u * supers, 6u * sb + j / 2u)];
    let q = select(q4.xy, q4.zw, (j & 1u) == 1u);
    let h4 = q_${P}[in_row(row, 6u * supers, 6u * sb + 4u + j / 4u)];
    let pair = select(h4.xy, h4.zw, (j & 2u) == 2u);
    let h = select(pair.x, pair.y, (j & 1u) == 1u);
    let at = vec4<u32>(0u, 2u, 4u, 6u);
    let lo = ((vec4<u32>(q.x) >> at) & vec4<u32>(0x03030303u)) | (${P}_spread(h) << vec4<u32>(2u));
    let hi = ((vec4<u32>(q.y) >> at) & vec4<u32>(0x03030303u)) | (${P}_spread(h >> 16u) << vec4<u32>(2u));
    let d = halves(s_${P}[in_row(row, 5u * supers, 5u * sb + 4u)]).x;
    let w = s_${P}[in_row(row, 5u * supers, 5u * sb + j / 2u)] >> ((j & 1u) * 16u);
    let sc = d * vec2<f32>(f32(bitcast<i32>(w << 24u) >> 24u), f32(bitcast<i32>(w << 16u) >> 24u));
    return ${P}_bytes(lo, hi, sc, -4.0 * sc);
}
