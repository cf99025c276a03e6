// x[row] += rms_norm(y[row]) * weight * scale, and the activation blocks of the norm that follows: for families that norm what a
// layer's half adds to the residual. One workgroup per row.
struct Params {
    k_blocks: u32, // 32-value blocks per row
    n_values: u32, // values the norm averages over
    stride: u32, // f32 per row of y
    eps: f32,
    scale: f32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>; // [row, stride]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [k_blocks*32], zero beyond n_values
@group(0) @binding(3) var<storage, read_write> x: array<f32>; // [row, k_blocks*32]
@group(0) @binding(4) var<storage, read> gamma: array<vec4<f32>>; // weight of the norm that follows, [k_blocks*8]
@group(0) @binding(5) var<storage, read_write> act_out: array<u32>; // [row, k_blocks] blocks

const WG = 64u;

var<workgroup> red: array<f32, WG>;
#import residual_tile

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.y;
    var ssq = 0.0;
    for (var i = lid; i < p.n_values; i += WG) {
        let v = y[row * p.stride + i];
        ssq += v * v;
    }
    red[lid] = ssq;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < WG; i++) {
        total += red[i];
    }
    let s = p.scale * inverseSqrt(total / f32(p.n_values) + p.eps);
    let j = lid % 8u;
    for (var b0 = 0u; b0 < p.k_blocks; b0 += WG / 8u) {
        let b = b0 + lid / 8u;
        let at = b * 32u + 4u * j;
        if (b < p.k_blocks) {
            let o = row * p.k_blocks * 32u + at;
            var v = vec4<f32>(0.0);
            for (var i = 0u; i < 4u; i++) {
                // What pads the last block is whatever the product left there.
                let add = select(0.0, y[row * p.stride + at + i] * weight[at + i] * s, at + i < p.n_values);
                v[i] = x[o + i] + add;
                x[o + i] = v[i];
            }
            tile[lid] = v;
        }
        workgroupBarrier();
        if (b < p.k_blocks) {
            tile_blk = b;
            act_emit(row * p.k_blocks + b, lid - j, j);
        }
        workgroupBarrier();
    }
}
