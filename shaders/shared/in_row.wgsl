// Where vec4 (of quants) or word (of scales) i of a row lies, a row having per_row of them.
#if PANELS
// Rows lie in panels of 32, their first vec4 or word, then their second: threads of a workgroup read what lies together.
fn in_row(row: u32, per_row: u32, i: u32) -> u32 {
    return (row & 0xffffffe0u) * per_row + i * 32u + (row & 31u);
}
#else
fn in_row(row: u32, per_row: u32, i: u32) -> u32 {
    return row * per_row + i;
}
#endif
