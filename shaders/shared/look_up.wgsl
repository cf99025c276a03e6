// What nibbles stand for in a table of 16 signed bytes, four a word, chosen bit by bit. Each of PAIRS is i:a:b, where a is entry 2i in
// every byte and b what entry 2i + 1 differs in.
// trap: an array indexed by a variable costs a spill, or a pass through memory, on some compilers.
fn ${P}_look_up(n: vec4<u32>) -> vec4<u32> {
    // Bytes of all ones where the bit is set.
    let m0 = (n & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m1 = ((n >> vec4<u32>(1u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m2 = ((n >> vec4<u32>(2u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
    let m3 = ((n >> vec4<u32>(3u)) & vec4<u32>(0x01010101u)) * vec4<u32>(255u);
#for i:entry:flip in ${PAIRS}
    let a${i} = vec4<u32>(${entry}u) ^ (m0 & vec4<u32>(${flip}u));
#endfor
    let b0 = a0 ^ (m1 & (a0 ^ a1));
    let b1 = a2 ^ (m1 & (a2 ^ a3));
    let b2 = a4 ^ (m1 & (a4 ^ a5));
    let b3 = a6 ^ (m1 & (a6 ^ a7));
    let c0 = b0 ^ (m2 & (b0 ^ b1));
    let c1 = b2 ^ (m2 & (b2 ^ b3));
    return c0 ^ (m3 & (c0 ^ c1));
}
