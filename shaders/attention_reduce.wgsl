// Puts together what the splits of attention found: softmax over all of them, as activation blocks.
// One workgroup per 32-value block and row: a thread for each quad of the block and each of LANES shares of the splits.
struct Params {
    k_blocks: u32,
    n_heads: u32,
    head_quads: u32, // head_dim / 4
    splits: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
// [row, split, head, 1 + head_quads]: (maximum, sum of weights), then the sum of weighted values. A split with nothing to look
// at has a sum of 0 and values that were not written.
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> act_out: array<u32>; // [row, k_blocks] blocks

const LANES = 8u;
const LOWEST = -1.0e30; // finite, as is exp's x * log2(e): arithmetic on infinities is not dependable in WGSL

var<workgroup> tops: array<f32, 64>; // [LANES, quad of the block], as the next two
var<workgroup> sums: array<f32, 64>;
var<workgroup> values: array<vec4<f32>, 64>;
var<workgroup> tile: array<vec4<f32>, 8>;

fn act_value(t: u32, j: u32) -> vec4<f32> {
    return tile[j];
}

fn act_source_ssq(t: u32) -> f32 {
    return 0.0;
}
#import pack_i8
#import act_out

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let quad = wid.x * 8u + lid % 8u;
    let head = min(quad / p.head_quads, p.n_heads - 1u); // what pads the last block has none
    var top = LOWEST;
    var sum = 0.0;
    var value = vec4<f32>(0.0);
    for (var s = lid / 8u; s < p.splits; s += LANES) {
        let at = ((wid.y * p.splits + s) * p.n_heads + head) * (p.head_quads + 1u);
        let part = parts[at];
        if (part.y > 0.0) {
            let both = max(top, part.x);
            let fade = exp(top - both);
            let weight = exp(part.x - both);
            sum = sum * fade + part.y * weight;
            value = value * fade + parts[at + 1u + quad % p.head_quads] * weight;
            top = both;
        }
    }
    tops[lid] = top;
    sums[lid] = sum;
    values[lid] = value;
    workgroupBarrier();
    if (lid < 8u) {
        for (var i = lid + 8u; i < 64u; i += 8u) {
            top = max(top, tops[i]);
        }
        sum = 0.0;
        value = vec4<f32>(0.0);
        for (var i = lid; i < 64u; i += 8u) {
            let weight = exp(tops[i] - top);
            sum += sums[i] * weight;
            value += values[i] * weight;
        }
        tile[lid] = select(vec4<f32>(0.0), value / sum, quad < p.n_heads * p.head_quads);
    }
    workgroupBarrier();
    if (lid < 8u) {
        act_emit(wid.y * p.k_blocks + wid.x, 0u, lid);
    }
}
