// Copies block b of a row of W into workgroup memory from `at` on, vec4 by vec4, ROWS apart: packed bytes, then scales and minima
// of the halves (ACT_Q8), or 32 values. Beyond the row it is zero.
fn ${P}_stage(row: u32, b: u32, at: u32) {
#if ACT_Q8
    let w = ${P}_load(row, min(b, p.k_blocks - 1u));
    let inside = b < p.k_blocks;
    shared_[at] = w.lo;
    shared_[at + ROWS] = w.hi;
    shared_[at + 2u * ROWS] = bitcast<vec4<u32>>(select(vec4<f32>(0.0), vec4<f32>(w.d, w.m), inside));
#else
#if FLOAT
#for j in 8
    shared_[at + ${j}u * ROWS] = bitcast<vec4<u32>>(${P}_value(row, b, ${j}u));
#endfor
#else
    let w = ${P}_load(row, b);
#for h:s:j in lo:x:0 hi:y:4
#for k:i in x:0 y:1 z:2 w:3
    shared_[at + (${j}u + ${i}u) * ROWS] = bitcast<vec4<u32>>(fma(vec4<f32>(w.d.${s}), ${P}_unpack(w.${h}.${k}), vec4<f32>(w.m.${s})));
#endfor
#endfor
#endif
#endif
}
