// Causal attention of one row and GROUP query heads of one KV head over the sequence's pages, with online softmax.
// K and V are read once per group (GQA); a KV head whose queries do not fit workgroup memory has SUBS workgroups. One page of 32 slots a step; slots beyond the length are never read.
// FUSED (decode): the workgroup also writes its head's new K and V first: rows are then of different sequences.
// SPLIT (decode): a sequence's pages are dealt out to p.splits workgroups along y, and attention_reduce puts together what they found.
#import kv_params

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>; // [row, qkv_stride]
#if FUSED
@group(0) @binding(2) var<storage, read_write> k: array<${KV_TYPE}>;
@group(0) @binding(3) var<storage, read_write> v: array<${KV_TYPE}>;
#else
@group(0) @binding(2) var<storage, read> k: array<${KV_TYPE}>;
@group(0) @binding(3) var<storage, read> v: array<${KV_TYPE}>;
#endif
@group(0) @binding(4) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> rows: array<vec4<u32>>; // (token, position, table base, valid)
@group(0) @binding(6) var<storage, read> table: array<u32>; // [sequence, seq_pages] -> page
#if SPLIT
// [row, split, head, 1 + HEAD_QUADS]: (maximum, sum of weights), then the sum of weighted values, both relative to the maximum.
@group(0) @binding(7) var<storage, read_write> parts: array<vec4<f32>>;
#else
// [row, act_blocks] blocks; OUT_F32: [row, act_blocks] bits of f32, where a group does not fill whole blocks.
@group(0) @binding(7) var<storage, read_write> act_out: array<u32>;
#endif
#if TAP
// Per row: n_heads * head_dim rotated queries, then n_heads * (row sum, maximum, entropy) of the weights.
@group(0) @binding(8) var<storage, read_write> tap: array<f32>;
#endif

const WG = ${WG}u;
const GROUP = ${GROUP}u; // query heads per workgroup
const SUBS = ${SUBS}u; // workgroups per KV head
const LOWEST = -1.0e30; // finite, as is exp's x * log2(e): arithmetic on infinities is not dependable in WGSL

#import kv
#import pack_i8
#import kv_seen
#if FUSED
#import kv_store
#endif
#if SOFT_CAP
#import tanh
#endif

var<workgroup> q: array<vec4<f32>, ${Q_LEN}>; // rotated, scaled queries [GROUP, HEAD_QUADS]; later the output
var<workgroup> score: array<f32, ${S_LEN}>; // [GROUP, 32]
var<workgroup> weight: array<f32, ${S_LEN}>; // [GROUP, 32] exp(score - maximum so far)
var<workgroup> top: array<f32, ${GROUP}>; // maximum so far
var<workgroup> fade: array<f32, ${GROUP}>; // exp(old maximum - new maximum)

#if OUT_BLOCKS
fn act_value(t: u32, j: u32) -> vec4<f32> {
    return q[t + j];
}

fn act_source_ssq(t: u32) -> f32 {
    return 0.0;
}
#import act_out
#endif

// q.k of every head of the group for this thread's slots of one page, into `score`.
fn score_page(page: u32, slot0: u32, n_slots: u32, kv_head: u32, lid: u32) {
    let slot = lid % PAGE;
    let seen = slot >= slot0 && slot < n_slots;
#for h in GROUP
    var s_${h} = 0.0;
#endfor
    // trap: a slot beyond the length may hold anything, NaN included; read one that is seen and drop the result.
    let head = kv_head_at(page, kv_head);
    let read = select(slot0, slot, seen);
#if KV_Q8
    var scale = 0.0;
#endif
    for (var j = 0u; j < HEAD_QUADS; j++) {
#if KV_Q8
        if (j % 8u == 0u) {
            scale = key_scale(head, read, j);
        }
        let kj = scale * key4(head, read, j);
#else
        let kj = key4(head, read, j);
#endif
#for h in GROUP
        s_${h} += dot(q[${h}u * HEAD_QUADS + j], kj);
#endfor
    }
#for h in GROUP
#if SOFT_CAP
    s_${h} = p.soft_cap * tanh_f32(s_${h} / p.soft_cap);
#endif
    score[${h}u * PAGE + slot] = select(LOWEST, s_${h}, seen);
#endfor
}

@compute @workgroup_size(${WG})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let kv_head = wid.x / SUBS;
#if SPLIT
    let r = wid.y / p.splits;
    let split = wid.y % p.splits;
    let stride = p.splits;
#else
    let r = wid.y;
    let split = 0u;
    let stride = 1u;
#endif
    let row = rows[r];
    let pos = row.y;
    let n_pages = min(pos / PAGE + 1u, p.seq_pages);
    let first = first_entry(pos) + split;
    let head0 = wid.x * GROUP;
    let base = r * p.qkv_stride;
#if SPLIT
    let part0 = (wid.y * p.n_heads + head0) * (HEAD_QUADS + 1u);
    if (first >= n_pages) {
        // Nothing to look at: no weights, so nobody reads the values.
        for (var h = lid; h < GROUP; h += WG) {
            parts[part0 + h * (HEAD_QUADS + 1u)] = vec4<f32>(LOWEST, 0.0, 0.0, 0.0);
        }
        return;
    }
#endif

#if FUSED
    // Only the workgroup that is dealt the newest page writes it, and no other reads it.
    let newest = ring_index(pos / PAGE);
    if (row.w != 0u && (newest - first_entry(pos)) % stride == split) {
        kv_store(row, base, kv_head, lid);
    }
    storageBarrier();
#endif
    for (var i = lid; i < GROUP * HEAD_QUADS; i += WG) {
        let rq = rotated4(base, (head0 + i / HEAD_QUADS) * HEAD_QUADS * 4u, i % HEAD_QUADS, pos, p.gamma_at);
#if TAP
        let o = r * p.tap_stride + (head0 * HEAD_QUADS + i) * 4u;
        tap[o] = rq.x;
        tap[o + 1u] = rq.y;
        tap[o + 2u] = rq.z;
        tap[o + 3u] = rq.w;
#endif
        q[i] = rq * p.scale;
    }
    for (var h = lid; h < GROUP; h += WG) {
#if SINKS
        top[h] = select(LOWEST, of_layer(p.sinks_at + head0 + h), split == 0u);
#else
        top[h] = LOWEST;
#endif
    }
#for n in ITEMS
    var o_${n} = vec4<f32>(0.0);
#if SINKS
    var l_${n} = select(0.0, 1.0, split == 0u); // the sink's own weight, relative to the maximum so far
#else
    var l_${n} = 0.0;
#endif
#endfor
    workgroupBarrier();

    for (var i = first; i < n_pages; i += stride) {
        let page = table[row.z + i];
        let start = logical(i, pos) * PAGE;
        let slot0 = first_slot(start, pos);
        let n_slots = end_slot(start, pos);
#if WINDOW
        if (slot0 >= n_slots) {
            continue;
        }
#endif
        if (lid < PAGE) {
            score_page(page, slot0, n_slots, kv_head, lid);
        }
        workgroupBarrier();
        for (var h = lid; h < GROUP; h += WG) {
            var m = top[h];
            for (var s = slot0; s < n_slots; s++) {
                m = max(m, score[h * PAGE + s]);
            }
            fade[h] = exp(top[h] - m);
            top[h] = m;
        }
        workgroupBarrier();
        for (var s = lid; s < GROUP * PAGE; s += WG) {
            weight[s] = select(0.0, exp(score[s] - top[s / PAGE]), s % PAGE >= slot0 && s % PAGE < n_slots);
        }
        workgroupBarrier();
#for n in ITEMS
        {
            let item = min(lid + ${n}u * WG, GROUP * HEAD_QUADS - 1u);
            let h = item / HEAD_QUADS;
            let j = item % HEAD_QUADS;
            let head = kv_head_at(page, kv_head);
            o_${n} *= fade[h];
            l_${n} *= fade[h];
            for (var s = slot0; s < n_slots; s++) {
                let w = weight[h * PAGE + s];
                o_${n} += w * value4(head, s, j);
                l_${n} += w;
            }
        }
#endfor
    }
#if TAP
    // Some threads may still read `fade` of the last page.
    workgroupBarrier();
    // A second pass with the final maximum: sum, largest and entropy of the weights as they were used.
#for n in ITEMS
    if (lid + ${n}u * WG < GROUP * HEAD_QUADS && (lid + ${n}u * WG) % HEAD_QUADS == 0u) {
        fade[(lid + ${n}u * WG) / HEAD_QUADS] = l_${n};
    }
#endfor
    workgroupBarrier();
    var sum = 0.0;
    var largest = 0.0;
    var entropy = 0.0;
    for (var i = first; i < n_pages; i++) {
        let start = logical(i, pos) * PAGE;
        let slot0 = first_slot(start, pos);
        let n_slots = end_slot(start, pos);
#if WINDOW
        if (slot0 >= n_slots) {
            continue;
        }
#endif
        if (lid < PAGE) {
            score_page(table[row.z + i], slot0, n_slots, kv_head, lid);
        }
        workgroupBarrier();
        if (lid < GROUP) {
            for (var s = slot0; s < n_slots; s++) {
                let w = exp(score[lid * PAGE + s] - top[lid]) / fade[lid];
                sum += w;
                largest = max(largest, w);
                entropy -= select(0.0, w * log(max(w, 1e-38)), w > 0.0);
            }
        }
        workgroupBarrier();
    }
    if (lid < GROUP) {
        let o = r * p.tap_stride + p.n_heads * HEAD_QUADS * 4u + (head0 + lid) * 3u;
        tap[o] = sum;
        tap[o + 1u] = largest;
        tap[o + 2u] = entropy;
    }
#endif
#if SPLIT
#for n in ITEMS
    if (lid + ${n}u * WG < GROUP * HEAD_QUADS) {
        let h = (lid + ${n}u * WG) / HEAD_QUADS;
        let j = (lid + ${n}u * WG) % HEAD_QUADS;
        let at = part0 + h * (HEAD_QUADS + 1u);
        parts[at + 1u + j] = o_${n};
        if (j == 0u) {
            parts[at] = vec4<f32>(top[h], l_${n}, 0.0, 0.0);
        }
    }
#endfor
#else
    workgroupBarrier();
#for n in ITEMS
    if (lid + ${n}u * WG < GROUP * HEAD_QUADS) {
        q[lid + ${n}u * WG] = o_${n} / l_${n};
    }
#endfor
    workgroupBarrier();
#if OUT_F32
    for (var i = lid; i < GROUP * HEAD_QUADS; i += WG) {
        let o = r * p.act_blocks + (head0 * HEAD_QUADS + i) * 4u;
        let u = bitcast<vec4<u32>>(q[i]);
        act_out[o] = u.x;
        act_out[o + 1u] = u.y;
        act_out[o + 2u] = u.z;
        act_out[o + 3u] = u.w;
    }
#else
    let blk0 = r * p.act_blocks + head0 * HEAD_QUADS / 8u;
    for (var i = lid; i < GROUP * HEAD_QUADS; i += WG) {
        act_emit(blk0 + i / 8u, (i / 8u) * 8u, i % 8u);
    }
#endif
#endif
}
