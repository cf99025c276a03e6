// Activation blocks of plain f32 rows: where the step that made them does not work in whole blocks.
// One workgroup per 32-value block and row.
struct Params {
    k_blocks: u32,
    n_values: u32, // per row; what pads the last block is zero
    stride: u32, // f32 per row
    pad0: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [row, stride]
@group(0) @binding(2) var<storage, read_write> act_out: array<u32>; // [row, k_blocks] blocks

var<workgroup> tile: array<vec4<f32>, 8>;

fn act_value(t: u32, j: u32) -> vec4<f32> {
    return tile[j];
}

fn act_source_ssq(t: u32) -> f32 {
    return 0.0;
}
#import pack_i8
#import act_out

fn value(row: u32, i: u32) -> f32 {
    return select(0.0, x[row * p.stride + i], i < p.n_values);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let i = wid.x * 32u + 4u * lid;
    tile[lid] = vec4<f32>(value(wid.y, i), value(wid.y, i + 1u), value(wid.y, i + 2u), value(wid.y, i + 3u));
    workgroupBarrier();
    act_emit(wid.y * p.k_blocks + wid.x, 0u, lid);
}
