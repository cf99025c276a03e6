// Writes a row's key (rotated to its absolute position) and value of one KV head. Expects what shared/kv.wgsl does, k and v writable, WG, and
// shared/pack_i8.wgsl.
#if KV_Q8
var<workgroup> peaks: array<vec2<f32>, ${HEAD_QUADS}>; // largest magnitude of each quad of the key and of the value

fn largest(v: vec4<f32>) -> f32 {
    let a = abs(v);
    return max(max(a.x, a.y), max(a.z, a.w));
}

// The largest magnitudes among the 8 quads from j on.
fn peak_of(j: u32) -> vec2<f32> {
    var peak = vec2<f32>(0.0);
    for (var i = j; i < min(j + 8u, HEAD_QUADS); i++) {
        peak = max(peak, peaks[i]);
    }
    return peak;
}

// trap: packing a value beyond the halves has no dependable result.
fn scales_of(first: f32, second: f32) -> u32 {
    return pack2x16float(min(vec2<f32>(first, second) / 127.0, vec2<f32>(65504.0)));
}
#else
#if KV_F16
fn kv_pack(v: vec4<f32>) -> vec2<u32> {
    // trap: packing a value beyond the halves has no dependable result.
    let c = clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0));
    return vec2<u32>(pack2x16float(c.xy), pack2x16float(c.zw));
}
#else
fn kv_pack(v: vec4<f32>) -> vec4<f32> {
    return v;
}
#endif
#endif

fn kv_store(row: vec4<u32>, base: u32, kv_head: u32, lid: u32) {
    let pos = row.y;
    let head = kv_head_at(table[row.z + ring_index(pos / PAGE)], kv_head);
    let slot = pos % PAGE;
    let first = kv_head * HEAD_QUADS * 4u; // value of a token's keys, and of its values
    let gamma = p.gamma_at + HEAD_QUADS * 4u;
#for n in STORE_ITEMS
    let j_${n} = lid + ${n}u * WG;
    var key_${n} = vec4<f32>(0.0);
    var value_${n} = vec4<f32>(0.0);
    if (j_${n} < HEAD_QUADS) {
        key_${n} = rotated4(base, p.k_off + first, j_${n}, pos, gamma);
        value_${n} = plain4(base, p.v_off + first, j_${n});
#if KV_Q8
        peaks[j_${n}] = vec2<f32>(largest(key_${n}), largest(value_${n}));
#endif
    }
#endfor
#if KV_Q8
    workgroupBarrier();
#endif
#for n in STORE_ITEMS
    if (j_${n} < HEAD_QUADS) {
        let at = head + slot * HEAD_QUADS + j_${n};
#if KV_Q8
        let peak = peak_of(j_${n} & ~7u);
        let inverse = select(vec2<f32>(0.0), vec2<f32>(127.0) / peak, peak > vec2<f32>(0.0));
        k[at] = pack_i8(round(key_${n} * inverse.x));
        v[at] = pack_i8(round(value_${n} * inverse.y));
        if (j_${n} % 16u == 0u) {
            let second = peak_of(j_${n} + 8u);
            let scales = scales_at(head, slot, j_${n});
            k[scales] = scales_of(peak.x, second.x);
            v[scales] = scales_of(peak.y, second.y);
        }
#else
        k[at] = kv_pack(key_${n});
        v[at] = kv_pack(value_${n});
#endif
    }
#endfor
}
