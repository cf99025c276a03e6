// The USED experts of each row with the largest router logits, best first (the lower id of equals), and the softmax over
// those as their weights. That is also what a softmax over all experts gives once its chosen weights are made to sum to 1.
// One workgroup per row; what is chosen stays on the GPU.
// COUNT: how many rows there are, for products that take a batch's routes expert by expert.
// QUANTISE: a router of floats takes f32 activation blocks, its experts int8: they are written again as such.
struct Params {
    n_experts: u32,
    stride: u32, // f32 per row of logits
    bias_at: u32, // BIAS: first bias of the logits in routes
    k_blocks: u32, // QUANTISE: activation blocks per row
    rows_at: u32, // COUNT: where it goes in routes
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [row, stride]
@group(0) @binding(2) var<storage, read_write> routes: array<u32>; // [row, USED] (expert, bits of its weight), then biases

#if QUANTISE
@group(0) @binding(3) var<storage, read> act: array<vec4<u32>>; // [row, k_blocks] blocks of f32
@group(0) @binding(4) var<storage, read_write> act_out: array<u32>; // the same of int8

const ACT_VEC4 = 9u;

fn act_value(blk: u32, j: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(act[blk * ACT_VEC4 + j]);
}

fn act_source_ssq(blk: u32) -> f32 {
    return bitcast<f32>(act[blk * ACT_VEC4 + 8u].w);
}
#import pack_i8
#import act_out
#endif

const WG = 64u;
const USED = ${USED}u;

var<workgroup> score: array<f32, ${EXPERTS}>;
var<workgroup> chosen: array<u32, ${USED}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = wid.y;
#if COUNT
    if (row == 0u && lid == 0u) {
        routes[p.rows_at] = groups.y;
    }
#endif
    // trap: logits that are NaN leave some ranks to nobody, and what is chosen is an index.
    if (lid < USED) {
        chosen[lid] = 0u;
    }
    for (var e = lid; e < p.n_experts; e += WG) {
#if BIAS
        score[e] = logits[row * p.stride + e] + bitcast<f32>(routes[p.bias_at + e]);
#else
        score[e] = logits[row * p.stride + e];
#endif
    }
    workgroupBarrier();
    for (var e = lid; e < p.n_experts; e += WG) {
        let mine = score[e];
        var rank = 0u;
        for (var other = 0u; other < p.n_experts; other++) {
            let s = score[other];
            rank += select(0u, 1u, s > mine || (s == mine && other < e));
        }
        if (rank < USED) {
            chosen[rank] = e;
        }
    }
    workgroupBarrier();
    if (lid < USED) {
        let top = score[chosen[0]];
        var sum = 0.0;
        for (var i = 0u; i < USED; i++) {
            sum += exp(score[chosen[i]] - top);
        }
        let e = chosen[lid];
        let o = 2u * (row * USED + lid);
        routes[o] = e;
        routes[o + 1u] = bitcast<u32>(exp(score[e] - top) / sum);
    }
#if QUANTISE
    for (var i = lid; i < p.k_blocks * 8u; i += WG) {
        let blk = row * p.k_blocks + i / 8u;
        act_emit(blk, blk, i % 8u);
    }
#endif
}
