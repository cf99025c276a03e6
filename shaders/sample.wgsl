// Draws the next token from the logits and advances the sequence: top-k, top-p, min-p, temperature, draw, in this order.
// One workgroup. Every filter is a threshold on the logits, so all tokens tied with the last one kept are kept, and the
// result does not depend on any order of execution.
#import sample_keys

const WG = 256u;
const LOG_START = 8u;
const LOG_LENGTH = 64u;
const GREEDY = 1u;
const TOP_P = 2u;
const MIN_P = 4u;

@group(0) @binding(0) var<uniform> p: SampleParams;
// trap: read as words; a NaN may lose its bits or compare as equal once it is an f32.
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [n_vocab] bits of f32, or that for every step
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>; // row 0: (token, position, table base, valid)
@group(0) @binding(3) var<storage, read_write> ctl: array<u32>; // step, done, seed low, seed high, fault, drafted, logits stride, -, log[64]
@group(0) @binding(4) var<storage, read> eog: array<u32>; // [n_eog] ids that end the generation
@group(0) @binding(5) var<storage, read> tops: array<u32>; // [ceil(n_vocab / CHUNK)] of these logits, by sample_tops.wgsl

var<private> first: u32; // where this step's logits start
var<workgroup> done: u32;

#import sample_select
#import sample_sums

// pcg4d: M. Jarzynski, M. Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020. 32-bit operations only.
fn pcg4d(seed: vec4<u32>) -> vec4<u32> {
    var v = seed * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v ^= v >> vec4<u32>(16u);
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

fn emit(token: u32) {
    let step = ctl[0];
    rows[0].x = token;
    rows[0].y += 1u;
    if (step < LOG_LENGTH) {
        // The steps behind a draft's token that was not chosen have logits that do not follow from what was.
        if (step < ctl[5] && ctl[LOG_START + step] != token) {
            ctl[1] = 1u;
        }
        ctl[LOG_START + step] = token;
    }
    ctl[0] = step + 1u;
    for (var e = 0u; e < p.n_eog; e++) {
        if (eog[e] == token) {
            ctl[1] = 1u;
        }
    }
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lid: u32) {
    if (lid == 0u) {
        done = ctl[1];
    }
    // Steps of this submit that come after the end of the generation change nothing.
    if (workgroupUniformLoad(&done) != 0u) {
        return;
    }
    first = ctl[0] * ctl[6];
    select_init(lid);
    let top = find_top(lid);
    if (top == NOT_FINITE) {
        if (lid == 0u) {
            ctl[4] = 1u;
            ctl[1] = 1u;
        }
        return;
    }
    if ((p.flags & GREEDY) != 0u) {
        let best = find_best(top, lid);
        if (lid == 0u) {
            emit(best);
        }
        return;
    }
    // No key of a finite logit is 0, so that 1 is below them all.
    var threshold = 1u;
    var n = p.n_vocab;
    var gathered = false;
    let k = select(p.n_vocab, p.top_k, p.top_k > 0u && p.top_k < p.n_vocab);
    if (k < p.n_vocab || k <= LIST) {
        // What k tops reach is a lower bound, and what reaches it is mostly a few more tokens than k.
        let bounded = k <= n_chunks();
        if (bounded) {
            threshold = max(1u, kth_key(k, true, 1u, lid));
        }
        var found = LIST + 1u;
        if (k <= LIST && (bounded || p.n_vocab <= LIST)) {
            found = gather(threshold, lid);
        }
        if (found > LIST) {
            threshold = kth_key(k, false, threshold, lid);
            if (workgroupUniformLoad(&kept) <= LIST) {
                found = gather(threshold, lid);
            }
        }
        if (found <= LIST) {
            threshold = keep_largest(found, k, lid);
            n = workgroupUniformLoad(&kept);
            gathered = true;
        }
    }
    if ((p.flags & TOP_P) != 0u) {
        if (gathered) {
            threshold = max(threshold, top_p_of_list(n, lid));
        } else {
            threshold = max(threshold, top_p_threshold(threshold, lid));
        }
    }
    if ((p.flags & MIN_P) != 0u) {
        threshold = max(threshold, key_of(bitcast<u32>(value_of(top) + p.ln_min_p)));
    }
    // At least the best token stays.
    threshold = min(threshold, top);
    let hash = pcg4d(vec4<u32>(ctl[2], ctl[3], rows[0].y + 1u, 0u));
    draw(threshold, n, gathered, f32(hash.x >> 8u) * 0x1p-24, lid);
    if (lid == 0u) {
        emit(chosen);
    }
}
