// Whole numbers of -128 to 127 as signed bytes of a word.
fn pack_i8(v: vec4<f32>) -> u32 {
    let i = vec4<i32>(v);
    return (bitcast<u32>(i.x) & 0xffu) | ((bitcast<u32>(i.y) & 0xffu) << 8u) | ((bitcast<u32>(i.z) & 0xffu) << 16u) | (bitcast<u32>(i.w) << 24u);
}
