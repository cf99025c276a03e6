// F32: 32 words per 32-block. No packed form: dotted as f32.
fn ${P}_value(row: u32, b: u32, j: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(q_${P}[in_row(row, 8u * p.k_blocks, 8u * b + j)]);
}
