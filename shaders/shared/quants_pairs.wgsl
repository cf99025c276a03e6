// The 32 quants of an int8 activation block for GPUs in software, which have no dot products of bytes (dot4I8Packed takes 130 instructions of
// SwiftShader's): forms that need fewer, with the same whole numbers as results.
//
// Weights that are not negative go two to a multiplication: of (a + 2^16 c) * (z + 2^16 x) the upper half is a*x + c*z, and the lower
// one carries too little to matter. Sums of such products keep both apart as long as 16 bits hold them.
// Weights with signs go byte by byte as f32, each times 256^byte, as it lies in its word.
//
// trap: SwiftShader shifts lane by lane, 45 instructions for four. Bits are moved down by adding a large f32 here, and up by multiplying.
struct Quants {
    // Pairs: values 2 and 0 (e), 3 and 1 (o) of each four of a half, the latter in the upper half.
    e_lo: vec4<u32>,
    o_lo: vec4<u32>,
    e_hi: vec4<u32>,
    o_hi: vec4<u32>,
    extra: vec2<u32>, // what `down` leaves in the sums of nibbles (block_pairs.wgsl)
    // [byte]: of each word, times 256^-byte; and sums of bytes 0 to 2.
    f_lo: array<vec4<f32>, 4>,
    f_hi: array<vec4<f32>, 4>,
    three: vec2<f32>,
}

// 1.5 * 2^23 times a power of two, from where on f32 are the multiples of that power.
const DOWN_4: f32 = 201326592.0;
const DOWN_8: f32 = 3221225472.0;
const DOWN_12: f32 = 51539607552.0;
const DOWN_16: f32 = 824633720832.0;
const DOWN_24: f32 = 211106232532992.0;

// Signed v, of which 22 bits are used, moved down by the bits that DOWN_ has in its name, plus the bits of that constant.
fn down(v: vec4<u32>, by: f32) -> vec4<u32> {
    return bitcast<vec4<u32>>(vec4<f32>(bitcast<vec4<i32>>(v)) + by);
}

// The upper halves of sums of products, as signed numbers.
fn upper(v: vec2<u32>) -> vec2<f32> {
    return floor(vec2<f32>(bitcast<vec2<i32>>(v)) * (1.0 / 65536.0) + 0.5);
}

fn sum(v: vec4<u32>) -> u32 {
    return (v.x + v.y) + (v.z + v.w);
}

// Bytes + 128: without signs.
fn biased(v: vec4<u32>) -> vec4<u32> {
    return v ^ vec4<u32>(0x80808080u);
}

fn even(v: vec4<u32>) -> vec4<u32> {
    let u = biased(v);
    return (u & vec4<u32>(0xffu)) * 65536u + (down(u & vec4<u32>(0x00ff0000u), DOWN_16) - (bitcast<u32>(DOWN_16) + 0x00800080u));
}

fn odd(v: vec4<u32>) -> vec4<u32> {
    let u = biased(v);
    return (u & vec4<u32>(0xff00u)) * 256u + (down(v & vec4<u32>(0xff000000u), DOWN_24) - (bitcast<u32>(DOWN_24) + 0x00800000u));
}

fn floats(v: vec4<u32>) -> array<vec4<f32>, 4> {
    let u = bitcast<vec4<i32>>(biased(v));
    let top = bitcast<vec4<i32>>(v & vec4<u32>(0xff000000u));
    return array<vec4<f32>, 4>(
        vec4<f32>(u & vec4<i32>(0xff)) - 128.0,
        vec4<f32>(u & vec4<i32>(0xff00)) * (1.0 / 65536.0) - 0.5,
        vec4<f32>(u & vec4<i32>(0xff0000)) * (1.0 / 4294967296.0) - (1.0 / 512.0),
        vec4<f32>(top) * (1.0 / 281474976710656.0),
    );
}

fn three(f: array<vec4<f32>, 4>) -> f32 {
    return dot(f[0], vec4<f32>(1.0)) + dot(f[1], vec4<f32>(256.0)) + dot(f[2], vec4<f32>(65536.0));
}

fn quants(lo: vec4<u32>, hi: vec4<u32>) -> Quants {
    let o_lo = odd(lo);
    let e_hi = even(hi);
    let o_hi = odd(hi);
    let extra = vec2<u32>(
        sum(o_lo) * bitcast<u32>(DOWN_8),
        sum(e_hi) * bitcast<u32>(DOWN_4) + sum(o_hi) * (bitcast<u32>(DOWN_12) - 0x00080000u),
    );
    let f_lo = floats(lo);
    let f_hi = floats(hi);
    return Quants(even(lo), o_lo, e_hi, o_hi, extra, f_lo, f_hi, vec2<f32>(three(f_lo), three(f_hi)));
}

// Sum of signed bytes q times those of f, but for 128 times what `three` has of them.
fn float_dot(q: vec4<u32>, f: array<vec4<f32>, 4>) -> f32 {
    let u = bitcast<vec4<i32>>(biased(q));
    let top = bitcast<vec4<i32>>(q & vec4<u32>(0xff000000u));
    let low = dot(vec4<f32>(u & vec4<i32>(0xff)), f[0]) + dot(vec4<f32>(u & vec4<i32>(0xff00)), f[1]);
    return low + (dot(vec4<f32>(u & vec4<i32>(0xff0000)), f[2]) + dot(vec4<f32>(top), f[3]));
}

// The sums of the quants of both halves, 16 bits each.
fn quant_sums(word: u32) -> vec2<f32> {
    return vec2<f32>(f32(bitcast<i32>(word * 65536u)), f32(bitcast<i32>(word & 0xffff0000u))) * (1.0 / 65536.0);
}
