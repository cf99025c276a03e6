// Draws the next token from the logits and advances the sequence: top-k, top-p, min-p, temperature, draw, in this order.
// One workgroup. Every filter is a threshold on the logits, so all tokens tied with the last one kept are kept, and the
// result does not depend on any order of execution.
const WG = 256u;
const LIST = 512u; // kept tokens up to this many are gathered into workgroup memory
const LOG_START = 8u;
const LOG_LENGTH = 64u;
const GREEDY = 1u;
const TOP_P = 2u;
const MIN_P = 4u;

struct SampleParams {
    n_vocab: u32,
    top_k: u32, // 0 = off
    n_eog: u32,
    flags: u32, // GREEDY | TOP_P | MIN_P
    inv_temperature: f32,
    top_p: f32,
    ln_min_p: f32,
    pad: u32,
}

@group(0) @binding(0) var<uniform> p: SampleParams;
// trap: read as words; a NaN may lose its bits or compare as equal once it is an f32.
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [n_vocab] bits of f32
@group(0) @binding(2) var<storage, read_write> rows: array<vec4<u32>>; // row 0: (token, position, table base, valid)
@group(0) @binding(3) var<storage, read_write> ctl: array<u32>; // step, done, seed low, seed high, fault, drafted, logits stride, -, log[64]
@group(0) @binding(4) var<storage, read> eog: array<u32>; // [n_eog] ids that end the generation

var<private> first: u32; // where this step's logits start
var<workgroup> done: u32;
var<workgroup> bad: atomic<u32>; // a logit is NaN or infinite
var<workgroup> max_key: atomic<u32>;
var<workgroup> max_id: atomic<u32>;
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> group_counts: array<u32, 16>;
var<workgroup> digits: u32; // radix select: the digits of the k-th largest key found so far
var<workgroup> rank: u32; // its 1-based rank, from the top, among the keys that share them
var<workgroup> kept: u32; // tokens at or above the top-k threshold
var<workgroup> list: array<vec2<u32>, LIST>; // (key, id) of the kept tokens in id order
var<workgroup> parts: array<vec4<f32>, WG>; // one partial sum per thread
var<workgroup> group_sums: array<vec4<f32>, 16>; // sums of 16 parts each
var<workgroup> owner: u32; // the thread in whose chunk the draw falls
var<workgroup> owner_target: f32; // what is left of the draw there
var<workgroup> chosen: u32;

// Unsigned integers in the order of the floats; -0 and +0 are one key.
fn key_of(bits: u32) -> u32 {
    let b = select(bits, 0u, bits == 0x80000000u);
    return select(b | 0x80000000u, ~b, b >= 0x80000000u);
}

fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

// exp, with 0 for what is too small to count: differences may be as large as -6e38.
fn weight(difference: f32) -> f32 {
    return select(0.0, exp(max(difference, -80.0)), difference > -80.0);
}

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

// Element i of the tokens still in play: (key, id).
fn element(i: u32, gathered: bool) -> vec2<u32> {
    if (gathered) {
        return list[i];
    }
    return vec2<u32>(key_of(logits[first + i]), i);
}

// Publishes a thread's partial sums; after it group_sums holds the sums of 16 threads each.
fn share(part: vec4<f32>, lid: u32) {
    workgroupBarrier();
    parts[lid] = part;
    workgroupBarrier();
    if (lid < 16u) {
        var s = vec4<f32>(0.0);
        for (var j = 0u; j < 16u; j++) {
            s += parts[16u * lid + j];
        }
        group_sums[lid] = s;
    }
    workgroupBarrier();
}

fn shared_total() -> vec4<f32> {
    var s = vec4<f32>(0.0);
    for (var g = 0u; g < 16u; g++) {
        s += group_sums[g];
    }
    return s;
}

// Sum of the parts of all threads before this one.
fn shared_before(lid: u32) -> f32 {
    var s = 0.0;
    for (var g = 0u; g < lid / 16u; g++) {
        s += group_sums[g].x;
    }
    for (var t = lid & ~15u; t < lid; t++) {
        s += parts[t].x;
    }
    return s;
}

// The largest logit, the lowest id that has it, and whether any logit is not finite.
fn find_max(lid: u32) {
    var best = 0u;
    var best_id = 0u;
    var not_finite = false;
    for (var i = lid; i < p.n_vocab; i += WG) {
        let bits = logits[first + i];
        not_finite = not_finite || (bits & 0x7f800000u) == 0x7f800000u;
        let key = key_of(bits);
        if (key > best) {
            best = key;
            best_id = i;
        }
    }
    if (not_finite) {
        atomicStore(&bad, 1u);
    }
    atomicMax(&max_key, best);
    workgroupBarrier();
    if (best == atomicLoad(&max_key)) {
        atomicMin(&max_id, best_id);
    }
    workgroupBarrier();
}

// The key of the k-th largest logit, by radix select on 8-bit digits; sets `kept`.
fn top_k_threshold(lid: u32) -> u32 {
    var known = 0u; // mask of the digits found so far
    for (var shift = 32u; shift > 0u;) {
        shift -= 8u;
        atomicStore(&histogram[lid], 0u);
        workgroupBarrier();
        let prefix = digits;
        for (var i = lid; i < p.n_vocab; i += WG) {
            let key = key_of(logits[first + i]);
            if ((key & known) == prefix) {
                atomicAdd(&histogram[(key >> shift) & 255u], 1u);
            }
        }
        workgroupBarrier();
        if (lid < 16u) {
            var s = 0u;
            for (var j = 0u; j < 16u; j++) {
                s += atomicLoad(&histogram[16u * lid + j]);
            }
            group_counts[lid] = s;
        }
        workgroupBarrier();
        if (lid == 0u) {
            var r = rank;
            var g = 15u;
            while (g > 0u && group_counts[g] < r) {
                r -= group_counts[g];
                g--;
            }
            var digit = 16u * g + 15u;
            while (digit > 16u * g && atomicLoad(&histogram[digit]) < r) {
                r -= atomicLoad(&histogram[digit]);
                digit--;
            }
            digits = prefix | (digit << shift);
            rank = r;
            kept = p.top_k - r + atomicLoad(&histogram[digit]);
        }
        workgroupBarrier();
        known |= 255u << shift;
    }
    return digits;
}

// Gathers the (key, id) of the tokens at or above `threshold` into `list`, in id order. There are at most LIST.
fn gather(threshold: u32, lid: u32) {
    let chunk = (p.n_vocab + WG - 1u) / WG;
    let start = min(lid * chunk, p.n_vocab);
    let end = min(start + chunk, p.n_vocab);
    var count = 0u;
    for (var i = start; i < end; i++) {
        count += select(0u, 1u, key_of(logits[first + i]) >= threshold);
    }
    // Counts up to 2^24 are exact in f32.
    share(vec4<f32>(f32(count)), lid);
    var at = u32(shared_before(lid));
    for (var i = start; i < end; i++) {
        let key = key_of(logits[first + i]);
        if (key >= threshold) {
            list[min(at, LIST - 1u)] = vec2<u32>(key, i);
            at++;
        }
    }
    workgroupBarrier();
}

// The largest key at or above which the tokens hold the share top_p of the untempered probability of those at or above
// `threshold`: two bits of it a round.
fn top_p_threshold(threshold: u32, n: u32, gathered: bool, lid: u32) -> u32 {
    let top = value_of(atomicLoad(&max_key));
    let chunk = (n + WG - 1u) / WG;
    let start = min(lid * chunk, n);
    let end = min(start + chunk, n);
    var found = 0u;
    var needed = 0.0;
    for (var round = 0u; round < 17u; round++) {
        // Round 0 measures the whole.
        let shift = 32u - 2u * max(round, 1u);
        let one = found | (1u << shift);
        let two = found | (2u << shift);
        let three = found | (3u << shift);
        var sums = vec4<f32>(0.0);
        for (var i = start; i < end; i++) {
            let key = element(i, gathered).x;
            if (key >= threshold) {
                let w = weight(value_of(key) - top);
                sums += select(vec4<f32>(0.0), vec4<f32>(w), vec4<bool>(true, key >= one, key >= two, key >= three));
            }
        }
        share(sums, lid);
        let total = shared_total();
        if (round == 0u) {
            needed = p.top_p * total.x;
        } else if (total.w >= needed) {
            found = three;
        } else if (total.z >= needed) {
            found = two;
        } else if (total.y >= needed) {
            found = one;
        }
    }
    return found;
}

// The tokens at or above `threshold`, in id order: the first whose running sum of tempered weights passes u * total.
fn draw(threshold: u32, n: u32, gathered: bool, lid: u32) {
    let top = value_of(atomicLoad(&max_key));
    let chunk = (n + WG - 1u) / WG;
    let start = min(lid * chunk, n);
    let end = min(start + chunk, n);
    var sum = 0.0;
    for (var i = start; i < end; i++) {
        let key = element(i, gathered).x;
        if (key >= threshold) {
            sum += weight((value_of(key) - top) * p.inv_temperature);
        }
    }
    share(vec4<f32>(sum), lid);
    if (lid == 0u) {
        let hash = pcg4d(vec4<u32>(ctl[2], ctl[3], rows[0].y + 1u, 0u));
        let u = f32(hash.x >> 8u) * 0x1p-24;
        // Of 16 groups, then of 16 threads: the first that the target falls in, and where rounding leaves none, the last
        // that holds anything.
        var left = u * shared_total().x;
        var group = 0u;
        var taken = 0.0;
        var before = 0.0;
        for (var g = 0u; g < 16u; g++) {
            let s = group_sums[g].x;
            if (s > 0.0 && taken <= left) {
                group = g;
                before = taken;
            }
            taken += s;
        }
        left -= before;
        var thread = 0u;
        taken = 0.0;
        before = 0.0;
        for (var t = 16u * group; t < 16u * group + 16u; t++) {
            let s = parts[t].x;
            if (s > 0.0 && taken <= left) {
                thread = t;
                before = taken;
            }
            taken += s;
        }
        owner = thread;
        owner_target = left - before;
    }
    workgroupBarrier();
    if (lid == owner) {
        var taken = 0.0;
        for (var i = start; i < end; i++) {
            let e = element(i, gathered);
            if (e.x >= threshold) {
                let w = weight((value_of(e.x) - top) * p.inv_temperature);
                if (w > 0.0 && taken <= owner_target) {
                    chosen = e.y;
                }
                taken += w;
            }
        }
    }
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
        atomicStore(&bad, 0u);
        atomicStore(&max_key, 0u);
        atomicStore(&max_id, 0xffffffffu);
        digits = 0u;
        rank = p.top_k;
        kept = p.n_vocab;
    }
    // Steps of this submit that come after the end of the generation change nothing.
    if (workgroupUniformLoad(&done) != 0u) {
        return;
    }
    first = ctl[0] * ctl[6];
    find_max(lid);
    if (lid == 0u) {
        chosen = atomicLoad(&max_id);
    }
    if ((p.flags & GREEDY) == 0u) {
        var threshold = 0u;
        if (p.top_k > 0u && p.top_k < p.n_vocab) {
            threshold = top_k_threshold(lid);
        }
        let n_kept = workgroupUniformLoad(&kept);
        let gathered = n_kept <= LIST;
        let n = select(p.n_vocab, n_kept, gathered);
        if (gathered) {
            gather(threshold, lid);
        }
        let after_top_k = threshold;
        if ((p.flags & TOP_P) != 0u) {
            threshold = max(threshold, top_p_threshold(after_top_k, n, gathered, lid));
        }
        if ((p.flags & MIN_P) != 0u) {
            let least = value_of(atomicLoad(&max_key)) + p.ln_min_p;
            threshold = max(threshold, key_of(bitcast<u32>(least)));
        }
        // At least the best token stays.
        threshold = min(threshold, atomicLoad(&max_key));
        draw(threshold, n, gathered, lid);
    }
    workgroupBarrier();
    if (lid == 0u) {
        if (atomicLoad(&bad) != 0u) {
            ctl[4] = 1u;
            ctl[1] = 1u;
        } else {
            emit(chosen);
        }
    }
}
