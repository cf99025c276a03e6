// What the nibbles of IQ4 stand for, four bytes a word: ggml's kvalues_iq4nl,
// -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113, chosen bit by bit.
// trap: an array indexed by a variable costs a spill, or a pass through memory, on some compilers.
fn ${P}_look_up(n: vec4<u32>) -> vec4<u32> {
    // Bytes of all ones where the bit is set.
    let m0 = (n & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m1 = ((n >> vec4<u32>(1u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m2 = ((n >> vec4<u32>(2u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m3 = ((n >> vec4<u32>(3u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let a0 = vec4<u32>(0x81818181u) ^ (m0 & vec4<u32>(0x19191919u));
    let a1 = vec4<u32>(0xadadadadu) ^ (m0 & vec4<u32>(0x12121212u));
    let a2 = vec4<u32>(0xcfcfcfcfu) ^ (m0 & vec4<u32>(0x12121212u));
    let a3 = vec4<u32>(0xeaeaeaeau) ^ (m0 & vec4<u32>(0x1c1c1c1cu));
    let a4 = vec4<u32>(0x01010101u) ^ (m0 & vec4<u32>(0x0c0c0c0cu));
    let a5 = vec4<u32>(0x19191919u) ^ (m0 & vec4<u32>(0x3f3f3f3fu));
    let a6 = vec4<u32>(0x35353535u) ^ (m0 & vec4<u32>(0x70707070u));
    let a7 = vec4<u32>(0x59595959u) ^ (m0 & vec4<u32>(0x28282828u));
    let b0 = a0 ^ (m1 & (a0 ^ a1));
    let b1 = a2 ^ (m1 & (a2 ^ a3));
    let b2 = a4 ^ (m1 & (a4 ^ a5));
    let b3 = a6 ^ (m1 & (a6 ^ a7));
    let c0 = b0 ^ (m2 & (b0 ^ b1));
    let c1 = b2 ^ (m2 & (b2 ^ b3));
    return c0 ^ (m3 & (c0 ^ c1));
}
