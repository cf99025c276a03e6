// x[row] = row of the embedding table for rows[row].token, and the activation blocks of the first norm.
// One workgroup per 32-value block and row.
struct Params {
    k_blocks: u32,
    n_tiles: u32, // = k_blocks
    n_vocab: u32,
    scale: f32, // multiplies the embedding (1 for llama)
    first: u32, // first row of the table in these streams
    rows: u32, // how many they have
    pad0: u32,
    pad1: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q_a: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> s_a: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<vec4<u32>>; // (token, position, table base, valid)
@group(0) @binding(4) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>; // [row, k_blocks*32]
@group(0) @binding(6) var<storage, read_write> act_out: array<u32>;

#import unpack
#import in_row
#import quant_${A} P=a

var<workgroup> tile: array<vec4<f32>, 8>;
var<private> tile_blk: u32;

fn act_value(t: u32, j: u32) -> vec4<f32> {
    return tile[j] * gamma[tile_blk * 8u + j];
}

fn act_source_ssq(t: u32) -> f32 {
    var s = 0.0;
    for (var j = 0u; j < 8u; j++) {
        s += dot(tile[j], tile[j]);
    }
    return s;
}
#import pack_i8
#import act_out

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let b = wid.x;
    let r = wid.y;
    // A token id beyond the table cannot come from our sampler or tokenizer; clamp rather than read elsewhere.
    let token = min(rows[r].x, p.n_vocab - 1u);
    if (token < p.first || token - p.first >= p.rows) {
        return;
    }
    let v = a_value(token - p.first, b, lid) * p.scale;
    tile[lid] = v;
    let o = (r * p.k_blocks + b) * 32u + 4u * lid;
    x[o] = v.x;
    x[o + 1u] = v.y;
    x[o + 2u] = v.z;
    x[o + 3u] = v.w;
    workgroupBarrier();
    tile_blk = b;
    act_emit(r * p.k_blocks + b, 0u, lid);
}
