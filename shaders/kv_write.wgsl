// K (rotated to its absolute position) and V of every row into its sequence's pages. One workgroup per KV head and row.
#import kv_params

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>; // [row, qkv_stride]
@group(0) @binding(2) var<storage, read_write> k: array<${KV_TYPE}>;
@group(0) @binding(3) var<storage, read_write> v: array<${KV_TYPE}>;
@group(0) @binding(4) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> rows: array<vec4<u32>>; // (token, position, table base, valid)
@group(0) @binding(6) var<storage, read> table: array<u32>; // [sequence, seq_pages] -> page

const WG = ${WG}u;

#import kv
#import pack_i8
#import kv_store

@compute @workgroup_size(${WG})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let row = rows[wid.y];
    if (row.w == 0u) {
        return;
    }
    kv_store(row, wid.y * p.qkv_stride, wid.x, lid);
}
