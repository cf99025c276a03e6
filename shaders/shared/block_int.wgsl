// A decoded 32-block of an integer type: lo = values 0..15, hi = values 16..31, packed 4 bytes a word;
// w = d[half]*q + m[half]. Expects ${P}_unpack(u32) -> vec4<f32> and ${P}_load(row, block).
struct ${P}Block {
    lo: vec4<u32>,
    hi: vec4<u32>,
    d: vec2<f32>,
    m: vec2<f32>,
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

// Dot product with one int8 activation block: x0, x1 = its 32 bytes, d = the scales of its halves, sums = the sums of
// their quants.
fn ${P}_dot8(w: ${P}Block, x0: vec4<u32>, x1: vec4<u32>, d: vec2<f32>, sums: vec2<f32>) -> f32 {
    let lo = dot4I8Packed(w.lo.x, x0.x) + dot4I8Packed(w.lo.y, x0.y) + dot4I8Packed(w.lo.z, x0.z) + dot4I8Packed(w.lo.w, x0.w);
    let hi = dot4I8Packed(w.hi.x, x1.x) + dot4I8Packed(w.hi.y, x1.y) + dot4I8Packed(w.hi.z, x1.z) + dot4I8Packed(w.hi.w, x1.w);
    return dot(d, w.d * vec2<f32>(f32(lo), f32(hi)) + w.m * sums);
}
