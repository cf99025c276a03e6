// Writes activation blocks (crates/kernels/src/act.rs has the layout). Expects act_out: array<u32> and
// act_value(tile, j) -> vec4<f32>: values 4j..4j+3 of the block staged at `tile` in workgroup memory, and
// act_source_ssq(tile) -> f32: sum of squares of the residual values behind it (0 where no norm follows).
#if OUT_Q8
const ACT_OUT_WORDS = 12u;
#else
const ACT_OUT_WORDS = 36u;
#endif

// Quad j (of 8) of block `blk`; quad 0 also writes the trailer.
fn act_emit(blk: u32, tile: u32, j: u32) {
    let at = blk * ACT_OUT_WORDS;
#if OUT_Q8
    var amax = vec2<f32>(0.0); // of values 0..15 and 16..31
    for (var i = 0u; i < 4u; i++) {
        let a = abs(act_value(tile, i));
        let b = abs(act_value(tile, i + 4u));
        amax = max(amax, vec2<f32>(max(max(a.x, a.y), max(a.z, a.w)), max(max(b.x, b.y), max(b.z, b.w))));
    }
    let inverse = select(vec2<f32>(0.0), vec2<f32>(127.0) / amax, amax > vec2<f32>(0.0));
    act_out[at + j] = pack_i8(round(act_value(tile, j) * select(inverse.x, inverse.y, j >= 4u)));
    if (j == 0u) {
        var s = vec2<f32>(0.0);
        for (var i = 0u; i < 4u; i++) {
            s += vec2<f32>(dot(round(act_value(tile, i) * inverse.x), vec4<f32>(1.0)), dot(round(act_value(tile, i + 4u) * inverse.y), vec4<f32>(1.0)));
        }
        let sums = (bitcast<u32>(i32(s.x)) & 0xffffu) | (bitcast<u32>(i32(s.y)) << 16u);
        let d = bitcast<vec2<u32>>(amax / 127.0);
        act_trailer(at + 8u, vec4<u32>(d, sums, bitcast<u32>(act_source_ssq(tile))));
    }
#else
    let v = bitcast<vec4<u32>>(act_value(tile, j));
    act_out[at + 4u * j] = v.x;
    act_out[at + 4u * j + 1u] = v.y;
    act_out[at + 4u * j + 2u] = v.z;
    act_out[at + 4u * j + 3u] = v.w;
    if (j == 0u) {
        var s = vec2<f32>(0.0);
        for (var i = 0u; i < 4u; i++) {
            s += vec2<f32>(dot(act_value(tile, i), vec4<f32>(1.0)), dot(act_value(tile, i + 4u), vec4<f32>(1.0)));
        }
        act_trailer(at + 32u, bitcast<vec4<u32>>(vec4<f32>(1.0, s.x, s.y, act_source_ssq(tile))));
    }
#endif
}

fn act_trailer(at: u32, u: vec4<u32>) {
    act_out[at] = u.x;
    act_out[at + 1u] = u.y;
    act_out[at + 2u] = u.z;
    act_out[at + 3u] = u.w;
}
