// Bytes of a word as f32. Shifts, not unpack4x*8: the built-ins are expanded into slow bit-field code by
// several drivers (2x on a software adapter).
fn unpack_u8(v: u32) -> vec4<f32> {
    return vec4<f32>(f32(v & 0xffu), f32((v >> 8u) & 0xffu), f32((v >> 16u) & 0xffu), f32(v >> 24u));
}

fn unpack_i8(v: u32) -> vec4<f32> {
    let s = bitcast<i32>(v);
    return vec4<f32>(f32((s << 24u) >> 24u), f32((s << 16u) >> 24u), f32((s << 8u) >> 24u), f32(s >> 24u));
}

// Halves of a word as f32.
#if OWN_HALVES
// For SwiftShader, whose built-in takes 120 instructions. Finite ones only: no weight's scale is anything else.
fn halves(w: u32) -> vec2<f32> {
    // 1.5 * 2^39: from there on f32 are the multiples of 2^16, so the upper half comes down without a shift (quants_pairs.wgsl).
    const down: f32 = 824633720832.0;
    let upper = bitcast<u32>(f32(bitcast<i32>(w & 0x7fff0000u)) + down) - bitcast<u32>(down);
    // Exponents of f32 are 112 more.
    let near = bitcast<vec2<f32>>(vec2<u32>(w & 0x7fffu, upper) * 8192u + 0x38000000u);
    // trap: SwiftShader flushes subnormals, so those of f16 are not made from f32's. Here they are 2^-15 + half of themselves.
    // The smaller one as integers, which also is the smaller one here: of f32 it takes care of NaN.
    let size = near + bitcast<vec2<f32>>(min(bitcast<vec2<i32>>(near - 6.103515625e-5), vec2<i32>(0)));
    return bitcast<vec2<f32>>(bitcast<vec2<u32>>(size) | vec2<u32>((w & 0x8000u) * 65536u, w & 0x80000000u));
}
#else
fn halves(w: u32) -> vec2<f32> {
    return unpack2x16float(w);
}
#endif
