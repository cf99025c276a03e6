// F16: 16 words per 32-block, two halves a word. No packed form: dotted as f32.
fn ${P}_value(row: u32, b: u32, j: u32) -> vec4<f32> {
    let v = q_${P}[in_row(row, 4u * p.k_blocks, 4u * b + j / 2u)];
    let w = select(v.xy, v.zw, (j & 1u) == 1u);
    return vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
}
