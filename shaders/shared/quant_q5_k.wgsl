// Q5_K streams, per 256-superblock: 10 vec4 of quants (8 of nibbles, 2 of fifth bits, a word a block). w = d*sc*q - dmin*mn.
#import block_unsigned P=${P} TERMS=4
#import k_scales P=${P}
#import spread_bits P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let quads = 10u * (p.k_blocks >> 3u);
    let sb = 10u * (b >> 3u);
    let j = b & 7u;
    let q = q_${P}[in_row(row, quads, sb + j)];
    let h4 = q_${P}[in_row(row, quads, sb + 8u + j / 4u)];
    let pair = select(h4.xy, h4.zw, (j & 2u) == 2u);
    let h = select(pair.x, pair.y, (j & 1u) == 1u);
    let lo = (q & vec4<u32>(0x0f0f0f0fu)) | (${P}_spread(h) << vec4<u32>(4u));
    let hi = ((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | (${P}_spread(h >> 16u) << vec4<u32>(4u));
    let s = ${P}_scales(row, b);
    return ${P}_bytes(lo, hi, vec2<f32>(s.x), vec2<f32>(s.y));
}
