// Bits 4j..4j+3 of h as bit 0 of the four bytes of word j.
fn ${P}_spread(h: u32) -> vec4<u32> {
    let n = (vec4<u32>(h) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    return (n * vec4<u32>(0x00204081u)) & vec4<u32>(0x01010101u);
}
