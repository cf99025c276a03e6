// A decoded 32-block as pairs (quants_pairs.wgsl): values 0 and 2 (e), 1 and 3 (o) of each four of a half, the latter in the upper half;
// w = d[half]*q + m[half]. Quants are below 64; of pairs of them TERMS products fit in a sum.
struct ${P}Block {
    e_lo: vec4<u32>,
    o_lo: vec4<u32>,
    e_hi: vec4<u32>,
    o_hi: vec4<u32>,
    d: vec2<f32>,
    m: vec2<f32>,
}

#if NIBBLES
// Values 0..15 are the low nibbles of q, 16..31 the high ones. What `down` adds, and the 8 by which the topmost nibble loses its sign,
// stays here and is taken from the sums (x.extra).
fn ${P}_nibbles(q: vec4<u32>, d: vec2<f32>, m: vec2<f32>) -> ${P}Block {
    let o_lo = down(q & vec4<u32>(0x0f000f00u), DOWN_8);
    let e_hi = down(q & vec4<u32>(0x00f000f0u), DOWN_4);
    let o_hi = down((q & vec4<u32>(0xf000f000u)) ^ vec4<u32>(0x80000000u), DOWN_12);
    return ${P}Block(q & vec4<u32>(0x000f000fu), o_lo, e_hi, o_hi, d, m);
}
#else
fn ${P}_bytes(lo: vec4<u32>, hi: vec4<u32>, d: vec2<f32>, m: vec2<f32>) -> ${P}Block {
    let mask = vec4<u32>(0x003f003fu);
    let odd = vec4<u32>(0xff00ff00u);
    return ${P}Block(lo & mask, down(lo & odd, DOWN_8) & mask, hi & mask, down(hi & odd, DOWN_8) & mask, d, m);
}
#endif

#if DOTS
// Dot product with one int8 activation block: d = the scales of its halves, sums = the sums of their quants.
fn ${P}_dot8(w: ${P}Block, x: Quants, d: vec2<f32>, sums: vec2<f32>) -> f32 {
    let lo = w.e_lo * x.e_lo + w.o_lo * x.o_lo;
    let hi = w.e_hi * x.e_hi + w.o_hi * x.o_hi;
#if TERMS == 8
    let s = vec2<u32>((lo.x + lo.y) + (lo.z + lo.w), (hi.x + hi.y) + (hi.z + hi.w));
#if NIBBLES
    let y = upper(s - x.extra);
#else
    let y = upper(s);
#endif
#endif
#if TERMS == 4
    let y = upper(vec2<u32>(lo.x + lo.y, hi.x + hi.y)) + upper(vec2<u32>(lo.z + lo.w, hi.z + hi.w));
#endif
#if TERMS == 2
    let y = (upper(vec2<u32>(lo.x, hi.x)) + upper(vec2<u32>(lo.y, hi.y))) + (upper(vec2<u32>(lo.z, hi.z)) + upper(vec2<u32>(lo.w, hi.w)));
#endif
    return dot(d, w.d * y + w.m * sums);
}
#endif
