// K (rotated to its absolute position) and V of every row into its sequence's pages. One workgroup per KV head and row.
#import kv_params

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>; // [row, qkv_stride]
@group(0) @binding(2) var<storage, read_write> k: array<${KV_TYPE}>;
@group(0) @binding(3) var<storage, read_write> v: array<${KV_TYPE}>;
@group(0) @binding(4) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> rows: array<vec4<u32>>; // (token, position, table base, valid)
@group(0) @binding(6) var<storage, read> table: array<u32>; // [sequence, seq_pages] -> page

#import kv

@compute @workgroup_size(${WG})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let kv_head = wid.x;
    let row = rows[wid.y];
    let pos = row.y;
    if (row.w == 0u) {
        return;
    }
    let page = table[row.z + ring_index(pos / PAGE)];
    let at = kv_at(page, kv_head, pos % PAGE);
    let base = wid.y * p.qkv_stride;
    let head = kv_head * p.head_quads * 4u;
    for (var j = lid; j < p.head_quads; j += ${WG}u) {
        k[at + j] = kv_pack(rotated4(base, p.k_off + head, j, pos, p.gamma_at + p.head_quads * 4u));
        v[at + j] = kv_pack(plain4(base, p.v_off + head, j));
    }
}
