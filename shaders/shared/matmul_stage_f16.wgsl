// Copies block b of a row of W into workgroup memory from `at` on: 32 values, times W_SCALE, in f16.
fn ${P}_stage(row: u32, b: u32, at: u32) {
    let w = ${P}_load(row, b);
    let d = w.d * W_SCALE;
    let m = w.m * W_SCALE;
#for h:s:k in lo:x:0 hi:y:16
#for q:i in x:0 y:4 z:8 w:12
    {
        let v = vec4<f16>(fma(vec4<f32>(d.${s}), ${P}_unpack(w.${h}.${q}), vec4<f32>(m.${s})));
        w_copy[at + ${k}u + ${i}u] = v.x;
        w_copy[at + ${k}u + ${i}u + 1u] = v.y;
        w_copy[at + ${k}u + ${i}u + 2u] = v.z;
        w_copy[at + ${k}u + ${i}u + 3u] = v.w;
    }
#endfor
#endfor
}
