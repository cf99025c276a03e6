// x[row] += the sum over the row's USED routes of weight * (scale * y[route] + the expert's bias), and the activation blocks of the norm
// that follows: behind products that take a batch's routes expert by expert. Routes in their order, so that a row's sum is the same
// in any batch. One workgroup per 8 blocks and row.
struct Params {
    k_blocks: u32, // 32-value blocks per row
    n_values: u32, // per row, and per expert's biases
    bias_at: u32, // BIAS: first of [expert, n_values] biases in routes
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>; // [row, USED, k_blocks*8]
@group(0) @binding(2) var<storage, read> routes: array<u32>; // [row, USED] (expert, bits of its weight), then biases
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>; // [row, k_blocks*8]
@group(0) @binding(4) var<storage, read> gamma: array<vec4<f32>>; // weight of the norm that follows, [k_blocks*8]
@group(0) @binding(5) var<storage, read_write> act_out: array<u32>; // [row, k_blocks] blocks

const WG = 64u;
const USED = ${USED}u;

#import residual_tile

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.y;
    let j = lid % 8u;
    let b = wid.x * 8u + lid / 8u;
    if (b < p.k_blocks) {
        let quads = p.k_blocks * 8u;
        let q = b * 8u + j;
        let at = vec4<u32>(4u * q) + vec4<u32>(0u, 1u, 2u, 3u);
        var sum = vec4<f32>(0.0);
        for (var slot = 0u; slot < USED; slot++) {
            let route = row * USED + slot;
            var v = p.scale * y[route * quads + q];
#if BIAS
            let bias = vec4<u32>(p.bias_at + routes[2u * route] * p.n_values) + min(at, vec4<u32>(p.n_values - 1u));
            v += bitcast<vec4<f32>>(vec4<u32>(routes[bias.x], routes[bias.y], routes[bias.z], routes[bias.w]));
#endif
            sum += bitcast<f32>(routes[2u * route + 1u]) * v;
        }
        // What pads the last block is whatever the product left there.
        let v = x[row * quads + q] + select(vec4<f32>(0.0), sum, at < vec4<u32>(p.n_values));
        x[row * quads + q] = v;
        tile[lid] = v;
    }
    workgroupBarrier();
    if (b < p.k_blocks) {
        tile_blk = b;
        act_emit(row * p.k_blocks + b, lid - j, j);
    }
}
