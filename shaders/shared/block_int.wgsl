// A decoded 32-block of an integer type: lo = values 0..15, hi = values 16..31, packed 4 bytes a word;
// w = d[half]*q + m[half]. UNPACK makes f32 of bytes. Expects ${P}_load(row, block).
struct ${P}Block {
    lo: vec4<u32>,
    hi: vec4<u32>,
    d: vec2<f32>,
    m: vec2<f32>,
}

fn ${P}_unpack(v: u32) -> vec4<f32> {
    return ${UNPACK}(v);
}

// Four weights 4j..4j+3 of block b.
fn ${P}_value(row: u32, b: u32, j: u32) -> vec4<f32> {
    let w = ${P}_load(row, b);
    let half = j / 4u;
    // trap: a vector indexed by a variable costs a spill on some compilers; select the word instead.
    let v = select(w.lo, w.hi, half == 1u);
    let pair = select(v.xy, v.zw, (j & 2u) == 2u);
    let word = select(pair.x, pair.y, (j & 1u) == 1u);
    let d = select(w.d.x, w.d.y, half == 1u);
    let m = select(w.m.x, w.m.y, half == 1u);
    return fma(vec4<f32>(d), ${P}_unpack(word), vec4<f32>(m));
}

#if DOTS
// Dot product with one int8 activation block: d = the scales of its halves, sums = the sums of their quants.
fn ${P}_dot8(w: ${P}Block, x: Quants, d: vec2<f32>, sums: vec2<f32>) -> f32 {
#if PAIRS
    let y = vec2<f32>(float_dot(w.lo, x.f_lo), float_dot(w.hi, x.f_hi)) - 128.0 * x.three;
#else
    let lo = dot4I8Packed(w.lo.x, x.lo.x) + dot4I8Packed(w.lo.y, x.lo.y) + dot4I8Packed(w.lo.z, x.lo.z) + dot4I8Packed(w.lo.w, x.lo.w);
    let hi = dot4I8Packed(w.hi.x, x.hi.x) + dot4I8Packed(w.hi.y, x.hi.y) + dot4I8Packed(w.hi.z, x.hi.z) + dot4I8Packed(w.hi.w, x.hi.w);
    let y = vec2<f32>(f32(lo), f32(hi));
#endif
    return dot(d, w.d * y + w.m * sums);
}
#endif
