// What the nibbles of MXFP4 stand for, doubled, four bytes a word: 0 1 2 3 4 6 8 12, and the same negated; chosen bit by bit
// as in table_iq4.
fn ${P}_look_up(n: vec4<u32>) -> vec4<u32> {
    // Bytes of all ones where the bit is set.
    let m0 = (n & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m1 = ((n >> vec4<u32>(1u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m2 = ((n >> vec4<u32>(2u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m3 = ((n >> vec4<u32>(3u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let a0 = vec4<u32>(0x00000000u) ^ (m0 & vec4<u32>(0x01010101u));
    let a1 = vec4<u32>(0x02020202u) ^ (m0 & vec4<u32>(0x01010101u));
    let a2 = vec4<u32>(0x04040404u) ^ (m0 & vec4<u32>(0x02020202u));
    let a3 = vec4<u32>(0x08080808u) ^ (m0 & vec4<u32>(0x04040404u));
    let a4 = vec4<u32>(0x00000000u) ^ (m0 & vec4<u32>(0xffffffffu));
    let a5 = vec4<u32>(0xfefefefeu) ^ (m0 & vec4<u32>(0x03030303u));
    let a6 = vec4<u32>(0xfcfcfcfcu) ^ (m0 & vec4<u32>(0x06060606u));
    let a7 = vec4<u32>(0xf8f8f8f8u) ^ (m0 & vec4<u32>(0x0c0c0c0cu));
    let b0 = a0 ^ (m1 & (a0 ^ a1));
    let b1 = a2 ^ (m1 & (a2 ^ a3));
    let b2 = a4 ^ (m1 & (a4 ^ a5));
    let b3 = a6 ^ (m1 & (a6 ^ a7));
    let c0 = b0 ^ (m2 & (b0 ^ b1));
    let c1 = b2 ^ (m2 & (b2 ^ b3));
    return c0 ^ (m3 & (c0 ^ c1));
}
