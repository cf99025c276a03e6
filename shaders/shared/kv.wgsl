// Rotary embedding and the paged KV store. Expects p: KvParams-shaped fields, qkv, rope, rows, table and the k, v
// buffers in scope.
const PAGE = 32u; // slots per page

#if KV_F16
// Four halves in two words: no f16 extension is needed, on any tier.
fn kv_unpack(v: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
fn kv_pack(v: vec4<f32>) -> vec2<u32> {
    return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}
#else
fn kv_unpack(v: vec4<f32>) -> vec4<f32> {
    return v;
}
fn kv_pack(v: vec4<f32>) -> vec4<f32> {
    return v;
}
#endif

// Index (in vec4 of head_dim) of the first quad of a slot: [page, kv_head, slot, head_dim/4].
fn kv_at(page: u32, kv_head: u32, slot: u32) -> u32 {
    return ((page * p.n_kv_heads + kv_head) * PAGE + slot) * p.head_quads;
}

// Table index of a sequence's logical page: the ring of non-sink pages starts after the sinks.
fn ring_index(page: u32) -> u32 {
    if (page < p.seq_pages) {
        return page;
    }
    return p.sink_pages + (page - p.sink_pages) % (p.seq_pages - p.sink_pages);
}

// (cos, sin) of pair i at a position, from two exact tables: 256-position strides and positions within one.
fn rope_cs(pos: u32, i: u32) -> vec2<f32> {
    let half = p.rope_dim / 2u;
    let lo = rope[(pos & 255u) * half + i];
    let hi = rope[p.rope_hi + (pos >> 8u) * half + i];
    return vec2<f32>(hi.x * lo.x - hi.y * lo.y, hi.y * lo.x + hi.x * lo.y);
}

// Element d of the head that starts at qkv[base], rotated to its absolute position.
fn rotated(base: u32, d: u32, pos: u32) -> f32 {
    let v = qkv[base + d];
    if (d >= p.rope_dim) {
        return v;
    }
#if NEOX
    let half = p.rope_dim / 2u;
    let i = d % half;
    let first = d < half;
    let other = qkv[base + select(i, i + half, first)];
#else
    let i = d / 2u;
    let first = (d & 1u) == 0u;
    let other = qkv[base + (d ^ 1u)];
#endif
    let cs = rope_cs(pos, i);
    return fma(v, cs.x, select(other, -other, first) * cs.y);
}

fn rotated4(base: u32, j: u32, pos: u32) -> vec4<f32> {
    return vec4<f32>(rotated(base, 4u * j, pos), rotated(base, 4u * j + 1u, pos), rotated(base, 4u * j + 2u, pos), rotated(base, 4u * j + 3u, pos));
}
