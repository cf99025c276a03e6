// What the epilogues of a tile read and write. Expects tile_quad(i): values 4i..4i+3 of y [token, row] in workgroup memory.
#if !PLAIN
var<private> tile_blk: u32; // block index within a token, for gamma

fn act_value(t: u32, j: u32) -> vec4<f32> {
#if RESID
    return tile_quad(t + j) * gamma[tile_blk * 8u + j];
#else
    return tile_quad(t + j);
#endif
}

fn act_source_ssq(t: u32) -> f32 {
    var s = 0.0;
#if RESID
    for (var j = 0u; j < 8u; j++) {
        let v = tile_quad(t + j);
        s += dot(v, v);
    }
#endif
    return s;
}
#import pack_i8
#import act_out
#endif

#if GLU
#import glu
#endif
