// IQ4_XS streams: 4 words of nibbles per 32-block; per 256-superblock 2 scale words: f16 d with eight high bit pairs, and eight
// low nibbles of scales. w = d*(sc - 32)*table[q].
#import block_int P=${P} UNPACK=unpack_i8
#import table_iq4 P=${P}

fn ${P}_load(row: u32, b: u32) -> ${P}Block {
    let q = q_${P}[in_row(row, p.k_blocks, b)];
    let words = p.k_blocks >> 2u;
    let h = 2u * (b >> 3u);
    let j = b & 7u;
    let high = s_${P}[in_row(row, words, h)];
    let sc = ((s_${P}[in_row(row, words, h + 1u)] >> (4u * j)) & 15u) | (((high >> (16u + 2u * j)) & 3u) << 4u);
    let d = halves(high).x * (f32(sc) - 32.0);
    let lo = ${P}_look_up(q & vec4<u32>(0x0f0f0f0fu));
    let hi = ${P}_look_up((q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu));
    return ${P}Block(lo, hi, vec2<f32>(d), vec2<f32>(0.0));
}
