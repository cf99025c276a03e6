// Causal attention of COLS rows of a batch and GROUP query heads of one KV head, with online softmax: every page of K and V is read
// once for all of them. The rows are of one sequence, at positions that follow each other, and those that are not valid come last;
// in a ring that has gone round they share a page. One page of 32 slots a step; slots beyond the length are never read.
#import kv_params

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>; // [row, qkv_stride]
@group(0) @binding(2) var<storage, read> k: array<${KV_TYPE}>;
@group(0) @binding(3) var<storage, read> v: array<${KV_TYPE}>;
@group(0) @binding(4) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> rows: array<vec4<u32>>; // (token, position, table base, valid)
@group(0) @binding(6) var<storage, read> table: array<u32>; // [sequence, seq_pages] -> page
// [row, act_blocks] blocks; OUT_F32: [row, act_blocks] bits of f32, where a group does not fill whole blocks.
@group(0) @binding(7) var<storage, read_write> act_out: array<u32>;

const WG = ${WG}u;
const COLS = ${COLS}u; // rows per workgroup
const GROUP = ${GROUP}u; // query heads per workgroup
const SUBS = ${SUBS}u; // workgroups per KV head and COLS rows
const QUERIES = ${QUERIES}u; // COLS * GROUP
const SCORERS = ${SCORERS}u; // threads that share a page's scores of a row
const SHARES = ${SHARES}u; // shares of the queries, whose sums of values are of different threads
const LOWEST = -1.0e30; // finite, as is exp's x * log2(e): arithmetic on infinities is not dependable in WGSL

#import kv
#import kv_seen
#if SOFT_CAP
#import tanh
#endif

var<workgroup> q: array<vec4<f32>, ${Q_LEN}>; // rotated, scaled queries [COLS, GROUP, HEAD_QUADS]; later the output
var<workgroup> weight: array<f32, ${S_LEN}>; // [COLS, GROUP, 32] scores, then exp(score - maximum so far)
var<workgroup> top: array<f32, ${QUERIES}>; // maximum so far
var<workgroup> fade: array<f32, ${QUERIES}>; // exp(old maximum - new maximum)

#if !OUT_F32
fn act_value(t: u32, j: u32) -> vec4<f32> {
    return q[t + j];
}

fn act_source_ssq(t: u32) -> f32 {
    return 0.0;
}
#import pack_i8
#import act_out
#endif

fn capped(score: f32) -> f32 {
#if SOFT_CAP
    return p.soft_cap * tanh_f32(score / p.soft_cap);
#else
    return score;
#endif
}

@compute @workgroup_size(${WG})
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    let kv_head = wid.x / SUBS;
    let head0 = wid.x * GROUP;
    let r0 = wid.y * COLS;
    let first = rows[r0];
    var valid = 0u;
#for c in COLS
    valid += rows[r0 + ${c}u].w;
#endfor
    let first_pos = first.y;
    let last_pos = first.y + max(valid, 1u) - 1u;
    let n_pages = min(last_pos / PAGE + 1u, p.seq_pages);

    for (var i = lid; i < QUERIES * HEAD_QUADS; i += WG) {
        let r = r0 + i / (GROUP * HEAD_QUADS);
        let head = (head0 + i / HEAD_QUADS % GROUP) * HEAD_QUADS * 4u;
        q[i] = p.scale * rotated4(r * p.qkv_stride, head, i % HEAD_QUADS, rows[r].y, p.gamma_at);
    }
    for (var i = lid; i < QUERIES; i += WG) {
#if SINKS
        top[i] = of_layer(p.sinks_at + head0 + i % GROUP);
#else
        top[i] = LOWEST;
#endif
    }
    // This thread's row while it scores, and the positions that row sees.
    let c = lid / SCORERS;
    let pos = rows[r0 + c].y;
    let sees = c < valid;
    // Its quad of values and its queries while it sums those up.
    let share = min(lid / ${QUAD_THREADS}u, SHARES - 1u);
    let quad0 = lid % ${QUAD_THREADS}u;
#for n in SHARE_LEN
    let query_${n} = min(share * ${SHARE_LEN}u + ${n}u, QUERIES - 1u);
#if SINKS
    var l_${n} = 1.0; // the sink's own weight, relative to the maximum so far
#else
    var l_${n} = 0.0;
#endif
#for j in QUADS_EACH
    var o_${n}_${j} = vec4<f32>(0.0);
#endfor
#endfor
    workgroupBarrier();

    for (var i = first_entry(first_pos); i < n_pages; i++) {
        let start = logical(i, first_pos) * PAGE;
        // Slots that any row sees.
        let slot0 = first_slot(start, first_pos);
        let end = end_slot(start, last_pos);
#if WINDOW
        if (slot0 >= end) {
            continue;
        }
#endif
        let head = kv_head_at(table[first.z + i], kv_head);
        {
            let row_slot0 = first_slot(start, pos);
            let row_end = end_slot(start, pos);
#for s in SCORER_SLOTS
            let slot_${s} = lid % SCORERS + ${s}u * SCORERS;
            // trap: a slot beyond the length may hold anything, NaN included; read one that is seen and drop the result.
            // trap: `&&` is a branch, and with 32 of them SwiftShader takes half a minute to compile this.
            let read_${s} = select(slot0, slot_${s}, (slot_${s} >= slot0) & (slot_${s} < end));
            let seen_${s} = sees & (slot_${s} >= row_slot0) & (slot_${s} < row_end);
#for h in GROUP
            var s_${s}_${h} = 0.0;
#endfor
#endfor
#if KV_Q8
#for s in SCORER_SLOTS
            var scale_${s} = 0.0;
#endfor
#endif
            for (var j = 0u; j < HEAD_QUADS; j++) {
#for h in GROUP
                let q_${h} = q[(c * GROUP + ${h}u) * HEAD_QUADS + j];
#endfor
#for s in SCORER_SLOTS
#if KV_Q8
                if (j % 8u == 0u) {
                    scale_${s} = key_scale(head, read_${s}, j);
                }
                let k_${s} = scale_${s} * key4(head, read_${s}, j);
#else
                let k_${s} = key4(head, read_${s}, j);
#endif
#for h in GROUP
                s_${s}_${h} += dot(q_${h}, k_${s});
#endfor
#endfor
            }
#for s in SCORER_SLOTS
#for h in GROUP
            weight[(c * GROUP + ${h}u) * PAGE + slot_${s}] = select(LOWEST, capped(s_${s}_${h}), seen_${s});
#endfor
#endfor
        }
        workgroupBarrier();
        for (var t = lid; t < QUERIES; t += WG) {
            var m = top[t];
            for (var s = slot0; s < end; s++) {
                m = max(m, weight[t * PAGE + s]);
            }
            fade[t] = exp(top[t] - m);
            top[t] = m;
        }
        workgroupBarrier();
        for (var s = lid; s < QUERIES * PAGE; s += WG) {
            // What a row does not see weighs nothing, even where it has seen nothing so far.
            weight[s] = select(0.0, exp(weight[s] - top[s / PAGE]), weight[s] > LOWEST);
        }
        workgroupBarrier();
#for n in SHARE_LEN
        let fade_${n} = fade[query_${n}];
        l_${n} *= fade_${n};
#for j in QUADS_EACH
        o_${n}_${j} *= fade_${n};
#endfor
#endfor
        for (var s = slot0; s < end; s++) {
#for j in QUADS_EACH
            let v_${j} = value4(head, s, min(quad0 + ${j}u * WG, HEAD_QUADS - 1u));
#endfor
#for n in SHARE_LEN
            let w_${n} = weight[query_${n} * PAGE + s];
            l_${n} += w_${n};
#for j in QUADS_EACH
            o_${n}_${j} += w_${n} * v_${j};
#endfor
#endfor
        }
        // The next page's scores go where these weights are.
        workgroupBarrier();
    }
#for n in SHARE_LEN
#for j in QUADS_EACH
    if (lid < SHARES * ${QUAD_THREADS}u && share * ${SHARE_LEN}u + ${n}u < QUERIES && quad0 + ${j}u * WG < HEAD_QUADS) {
        // A row that is not valid has seen nothing.
        q[query_${n} * HEAD_QUADS + quad0 + ${j}u * WG] = select(vec4<f32>(0.0), o_${n}_${j} / l_${n}, l_${n} > 0.0);
    }
#endfor
#endfor
    workgroupBarrier();
    for (var i = lid; i < QUERIES * HEAD_QUADS; i += WG) {
        let r = r0 + i / (GROUP * HEAD_QUADS);
        let of_row = i % (GROUP * HEAD_QUADS);
#if OUT_F32
        let o = r * p.act_blocks + (head0 * HEAD_QUADS + of_row) * 4u;
        let u = bitcast<vec4<u32>>(q[i]);
        act_out[o] = u.x;
        act_out[o + 1u] = u.y;
        act_out[o + 2u] = u.z;
        act_out[o + 3u] = u.w;
#else
        act_emit(r * p.act_blocks + (head0 * HEAD_QUADS + of_row) / 8u, i - i % 8u, i % 8u);
#endif
    }
}
