// BF16: 16 words per 32-block, two upper halves of f32 a word. No packed form: dotted as f32.
fn ${P}_value(row: u32, b: u32, j: u32) -> vec4<f32> {
    let v = q_${P}[in_row(row, 4u * p.k_blocks, 4u * b + j / 2u)];
    let w = select(v.xy, v.zw, (j & 1u) == 1u);
    return bitcast<vec4<f32>>(vec4<u32>(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u));
}
