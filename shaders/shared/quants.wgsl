// The 32 quants of an int8 activation block, packed four a word.
struct Quants {
    lo: vec4<u32>,
    hi: vec4<u32>,
}

fn quants(lo: vec4<u32>, hi: vec4<u32>) -> Quants {
    return Quants(lo, hi);
}

// The sums of the quants of both halves, 16 bits each.
fn quant_sums(word: u32) -> vec2<f32> {
    let s = bitcast<i32>(word);
    return vec2<f32>(f32((s << 16u) >> 16u), f32(s >> 16u));
}
