// Rotary embedding and the paged KV store. Expects p: KvParams-shaped fields, qkv, rope, rows, table and the k, v buffers in scope.
const PAGE = 32u; // slots per page
const HEAD_QUADS = ${HEAD_QUADS}u; // head_dim / 4

// A KV head of a page is its slots' quads of values, then its slots' words of scales.
const HEAD_LEN = PAGE * (HEAD_QUADS + ${KV_SCALES}u);

// Where a page's KV head starts: [page, kv_head].
fn kv_head_at(page: u32, kv_head: u32) -> u32 {
    return (page * p.n_kv_heads + kv_head) * HEAD_LEN;
}

#if KV_Q8
#import unpack

// Which word has the scale of quad j of a slot of the head at `head`: a half for each 8 quads, two a word.
fn scales_at(head: u32, slot: u32, j: u32) -> u32 {
    return head + PAGE * HEAD_QUADS + slot * ${KV_SCALES}u + j / 16u;
}
fn scale_of(word: u32, j: u32) -> f32 {
    let scales = unpack2x16float(word);
    return select(scales.x, scales.y, (j & 8u) != 0u);
}
fn key_scale(head: u32, slot: u32, j: u32) -> f32 {
    return scale_of(k[scales_at(head, slot, j)], j);
}
fn kv_unpack(v: u32) -> vec4<f32> {
    return unpack_i8(v);
}
fn value4(head: u32, slot: u32, j: u32) -> vec4<f32> {
    return scale_of(v[scales_at(head, slot, j)], j) * kv_unpack(v[head + slot * HEAD_QUADS + j]);
}
#else
#if KV_F16
// Four halves in two words: no f16 extension is needed, on any tier.
fn kv_unpack(v: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
#else
fn kv_unpack(v: vec4<f32>) -> vec4<f32> {
    return v;
}
#endif

// Quad j of the value in a slot of the head at `head`.
fn value4(head: u32, slot: u32, j: u32) -> vec4<f32> {
    return kv_unpack(v[head + slot * HEAD_QUADS + j]);
}
#endif

// Quad j of the key; KV_Q8: in multiples of its key_scale.
fn key4(head: u32, slot: u32, j: u32) -> vec4<f32> {
    return kv_unpack(k[head + slot * HEAD_QUADS + j]);
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
    let lo = rope[p.rope_lo + (pos & 255u) * half + i];
    let hi = rope[p.rope_hi + (pos >> 8u) * half + i];
    return vec2<f32>(hi.x * lo.x - hi.y * lo.y, hi.y * lo.x + hi.x * lo.y);
}

#if OF_LAYER
// What belongs to the layer's heads lies behind the RoPE tables.
fn of_layer(i: u32) -> f32 {
    let v = rope[i / 2u];
    return select(v.x, v.y, (i & 1u) == 1u);
}
#endif

// Value i of the token whose q|k|v starts at qkv[base].
fn qkv_at(base: u32, i: u32) -> f32 {
#if BIAS
    return qkv[base + i] + of_layer(p.bias_at + i);
#else
    return qkv[base + i];
#endif
}

// Factor of the RMS norm over the head that starts at value `head`.
fn head_factor(base: u32, head: u32) -> f32 {
#if QK_NORM
    var ssq = 0.0;
    for (var d = 0u; d < p.head_quads * 4u; d++) {
        let v = qkv_at(base, head + d);
        ssq += v * v;
    }
    return inverseSqrt(ssq / f32(p.head_quads * 4u) + p.norm_eps);
#else
    return 1.0;
#endif
}

// Element d of the head that starts at value `head`, normed: `gamma` is where the head's weights lie.
fn head_at(base: u32, head: u32, d: u32, factor: f32, gamma: u32) -> f32 {
#if QK_NORM
    return qkv_at(base, head + d) * factor * of_layer(gamma + d);
#else
    return qkv_at(base, head + d);
#endif
}

// The same, rotated to the token's absolute position.
fn rotated(base: u32, head: u32, d: u32, pos: u32, factor: f32, gamma: u32) -> f32 {
    let v = head_at(base, head, d, factor, gamma);
    if (d >= p.rope_dim) {
        return v;
    }
#if NEOX
    let half = p.rope_dim / 2u;
    let i = d % half;
    let first = d < half;
    let other = head_at(base, head, select(i, i + half, first), factor, gamma);
#else
    let i = d / 2u;
    let first = (d & 1u) == 0u;
    let other = head_at(base, head, d ^ 1u, factor, gamma);
#endif
    let cs = rope_cs(pos, i);
    return fma(v, cs.x, select(other, -other, first) * cs.y);
}

fn rotated4(base: u32, head: u32, j: u32, pos: u32, gamma: u32) -> vec4<f32> {
    let f = head_factor(base, head);
    return vec4<f32>(rotated(base, head, 4u * j, pos, f, gamma), rotated(base, head, 4u * j + 1u, pos, f, gamma), rotated(base, head, 4u * j + 2u, pos, f, gamma), rotated(base, head, 4u * j + 3u, pos, f, gamma));
}

// Quad j of the value head that starts at value `head`.
fn plain4(base: u32, head: u32, j: u32) -> vec4<f32> {
    let o = head + 4u * j;
    return vec4<f32>(qkv_at(base, o), qkv_at(base, o + 1u), qkv_at(base, o + 2u), qkv_at(base, o + 3u));
}
