// Q4_K streams: 4 words of nibbles per 32-block; per 256-superblock 4 scale words: (f16 d, f16 dmin) and the
// 12 bytes of eight 6-bit (scale, min) pairs. w = d*sc*q - dmin*mn.
#import block_int P=${P}

fn ${P}_unpack(v: u32) -> vec4<f32> {
    return unpack_u8(v);
}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[row * p.k_blocks + b];
    let h = (row * (p.k_blocks / 8u) + b / 8u) * 4u;
    let dm = unpack2x16float(s_${P}[h]);
    let j = b % 8u;
    let shift = (j % 4u) * 8u;
    // Bytes j%4 of the three words: low six bits of pairs 0..3, and the spread bits of pairs 4..7.
    let b0 = s_${P}[h + 1u] >> shift;
    let b1 = s_${P}[h + 2u] >> shift;
    let b2 = s_${P}[h + 3u] >> shift;
    let low = vec2<u32>(b0 & 63u, b1 & 63u);
    let high = vec2<u32>((b2 & 15u) | (((b0 >> 6u) & 3u) << 4u), ((b2 >> 4u) & 15u) | (((b1 >> 6u) & 3u) << 4u));
    let sm = vec2<f32>(select(low, high, j >= 4u));
    return ${P}Block(q & vec4<u32>(0x0f0f0f0fu), (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu), vec2<f32>(dm.x * sm.x), vec2<f32>(-dm.y * sm.y));
}
