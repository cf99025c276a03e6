// The activation blocks of the norm that follows, of a residual that lies in workgroup memory: 8 blocks of 8 quads. Expects WG, gamma
// and act_out.
var<workgroup> tile: array<vec4<f32>, WG>;
var<private> tile_blk: u32; // block index within a row, for gamma

fn act_value(t: u32, j: u32) -> vec4<f32> {
    return tile[t + j] * gamma[tile_blk * 8u + j];
}

fn act_source_ssq(t: u32) -> f32 {
    var s = 0.0;
    for (var j = 0u; j < 8u; j++) {
        s += dot(tile[t + j], tile[t + j]);
    }
    return s;
}
#import pack_i8
#import act_out
