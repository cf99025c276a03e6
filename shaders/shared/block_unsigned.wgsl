// Blocks of the types whose quants are not negative; of pairs of them, TERMS products fit in a sum (block_pairs.wgsl).
#if PAIRS
#import block_pairs
#else
#import block_int UNPACK=unpack_u8

fn ${P}_bytes(lo: vec4<u32>, hi: vec4<u32>, d: vec2<f32>, m: vec2<f32>) -> ${P}Block {
    return ${P}Block(lo, hi, d, m);
}

// Values 0..15 are the low nibbles of q, 16..31 the high ones.
fn ${P}_nibbles(q: vec4<u32>, d: vec2<f32>, m: vec2<f32>) -> ${P}Block {
    return ${P}Block(q & vec4<u32>(0x0f0f0f0fu), (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu), d, m);
}
#endif
