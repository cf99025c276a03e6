// Q2_K streams, per 256-superblock: 4 vec4 of bit pairs (two words a block), 5 scale words (16 bytes of scale | min << 4,
// then f16 d, f16 dmin). Two scales per 32-block. w = d*sc*q - dmin*mn.
#import block_unsigned P=${P} TERMS=8

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let supers = p.k_blocks >> 3u;
    let sb = b >> 3u;
    let j = b & 7u;
    let q4 = q_${P}[in_row(row, 4u * supers, 4u * sb + j / 2u)];
    let q = select(q4.xy, q4.zw, (j & 1u) == 1u);
    let at = vec4<u32>(0u, 2u, 4u, 6u);
    let lo = (vec4<u32>(q.x) >> at) & vec4<u32>(0x03030303u);
    let hi = (vec4<u32>(q.y) >> at) & vec4<u32>(0x03030303u);
    let dm = halves(s_${P}[in_row(row, 5u * supers, 5u * sb + 4u)]);
    let w = s_${P}[in_row(row, 5u * supers, 5u * sb + j / 2u)] >> ((j & 1u) * 16u);
    let sc = vec2<f32>(f32(w & 15u), f32((w >> 8u) & 15u));
    let mn = vec2<f32>(f32((w >> 4u) & 15u), f32((w >> 12u) & 15u));
    return ${P}_bytes(lo, hi, dm.x * sc, -dm.y * mn);
}
