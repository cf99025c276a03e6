// Which tokens the k largest logits are. A chunk's top bounds what it holds: where k tops reach a key, so do k logits or more, and of
// the chunks whose tops do not reach it no token is among the k.
const LIST = 512u; // kept tokens up to this many are gathered into workgroup memory
const FEW = 128u; // chunks that are read as quickly as fewer

var<workgroup> best_top: atomic<u32>;
var<workgroup> best_chunk: atomic<u32>;
var<workgroup> best_id: atomic<u32>;
var<workgroup> top_key: u32;
var<workgroup> histogram: array<atomic<u32>, WG>;
var<workgroup> group_counts: array<u32, 16>;
var<workgroup> digits: u32; // radix select: the digits of the k-th largest key found so far
var<workgroup> rank: u32; // its 1-based rank, from the top, among the keys that share them
var<workgroup> kept: u32; // keys at or above those digits
var<workgroup> reaching: atomic<u32>; // chunks whose tops reach the threshold
var<workgroup> chunks: array<u32, LIST>; // which, in any order
var<workgroup> listed: atomic<u32>;
var<workgroup> list: array<vec2<u32>, LIST>; // (key, id) of the kept tokens in id order
var<workgroup> list_length: u32;

fn select_init(lid: u32) {
    if (lid == 0u) {
        atomicStore(&best_top, 0u);
        atomicStore(&best_chunk, 0xffffffffu);
        atomicStore(&best_id, 0xffffffffu);
    }
    workgroupBarrier();
}

fn n_chunks() -> u32 {
    return (p.n_vocab + CHUNK - 1u) / CHUNK;
}

// Several loads are in flight wherever many are made. 0, which is no key, stands for what is beyond the end.
fn tops_of(c: vec4<u32>) -> vec4<u32> {
    let at = min(c, vec4<u32>(n_chunks() - 1u));
    let found = vec4<u32>(tops[at.x], tops[at.y], tops[at.z], tops[at.w]);
    return select(vec4<u32>(0u), found, c == at);
}

fn keys_of(id: vec4<u32>, end: u32) -> vec4<u32> {
    let at = min(id, vec4<u32>(end - 1u));
    let bits = vec4<u32>(logits[first + at.x], logits[first + at.y], logits[first + at.z], logits[first + at.w]);
    let keys = vec4<u32>(key_of(bits.x), key_of(bits.y), key_of(bits.z), key_of(bits.w));
    return select(vec4<u32>(0u), keys, id == at);
}

// The largest top, and the first chunk that has it.
fn find_top(lid: u32) -> u32 {
    var best = 0u;
    var chunk = 0u;
    for (var c = lid; c < n_chunks(); c += 4u * WG) {
        let found = tops_of(vec4<u32>(c, c + WG, c + 2u * WG, c + 3u * WG));
#for j in 4
        if (found[${j}] > best) {
            best = found[${j}];
            chunk = c + ${j}u * WG;
        }
#endfor
    }
    atomicMax(&best_top, best);
    workgroupBarrier();
    let top = atomicLoad(&best_top);
    if (best == top) {
        atomicMin(&best_chunk, chunk);
    }
    if (lid == 0u) {
        top_key = top;
    }
    return workgroupUniformLoad(&top_key);
}

// The lowest id with the largest logit.
fn find_best(top: u32, lid: u32) -> u32 {
    let id = atomicLoad(&best_chunk) * CHUNK + lid;
    if (lid < CHUNK && id < p.n_vocab && key_of(logits[first + id]) == top) {
        atomicMin(&best_id, id);
    }
    workgroupBarrier();
    return atomicLoad(&best_id);
}

// A key that the k largest logits reach, or the k largest tops, and what is tied with them, but no other: the k-th largest, by radix
// select on 8-bit digits, whose last are left 0 where they decide nothing any more. Of tops where few reach it, too: they are a lower
// bound anyway. `least`: a lower bound of what is looked for. Sets `kept`.
fn kth_key(k: u32, of_tops: bool, least: u32, lid: u32) -> u32 {
    let n = select(p.n_vocab, n_chunks(), of_tops);
    if (lid == 0u) {
        digits = 0u;
        rank = k;
    }
    var known = 0u; // mask of the digits found so far
    for (var shift = 32u; shift > 0u;) {
        shift -= 8u;
        atomicStore(&histogram[lid], 0u);
        workgroupBarrier();
        let prefix = digits;
        let wanted = rank;
        let bound = vec4<u32>(max(least, prefix));
        for (var i = lid; i < n; i += 4u * WG) {
            let at = vec4<u32>(i, i + WG, i + 2u * WG, i + 3u * WG);
            var keys = vec4<u32>(0u);
            if (of_tops) {
                keys = tops_of(at);
            } else if (bound.x == 1u || any(tops_of(at / CHUNK) >= bound)) {
                keys = keys_of(at, n);
            }
#for j in 4
            if (keys[${j}] != 0u && (keys[${j}] & known) == prefix) {
                atomicAdd(&histogram[(keys[${j}] >> shift) & 255u], 1u);
            }
#endfor
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
        // Each thread has a digit: is it the one in which the rank falls?
        var above = 0u;
        for (var g = lid / 16u + 1u; g < 16u; g++) {
            above += group_counts[g];
        }
        for (var d = lid + 1u; d < (lid | 15u) + 1u; d++) {
            above += atomicLoad(&histogram[d]);
        }
        let here = atomicLoad(&histogram[lid]);
        if (above < wanted && wanted <= above + here) {
            digits = prefix | (lid << shift);
            rank = wanted - above;
            kept = k - rank + here;
        }
        if (workgroupUniformLoad(&kept) <= max(k, select(0u, FEW, of_tops))) {
            break;
        }
        known |= 255u << shift;
    }
    return workgroupUniformLoad(&digits);
}

// Gathers the tokens at or above `least` into `list`, in any order; returns how many there are, or where they do not fit, more
// than LIST.
fn gather(least: u32, lid: u32) -> u32 {
    if (lid == 0u) {
        atomicStore(&reaching, 0u);
        atomicStore(&listed, 0u);
    }
    workgroupBarrier();
    for (var c = lid; c < n_chunks(); c += 4u * WG) {
        let found = tops_of(vec4<u32>(c, c + WG, c + 2u * WG, c + 3u * WG));
#for j in 4
        if (found[${j}] >= least) {
            let at = atomicAdd(&reaching, 1u);
            if (at < LIST) {
                chunks[at] = c + ${j}u * WG;
            }
        }
#endfor
    }
    workgroupBarrier();
    let n = atomicLoad(&reaching);
    // Each has such a token.
    if (n <= LIST) {
        for (var c = lid / CHUNK; c < n; c += 4u * (WG / CHUNK)) {
            let at = vec4<u32>(c, c + WG / CHUNK, c + 2u * (WG / CHUNK), c + 3u * (WG / CHUNK));
            let within = min(at, vec4<u32>(n - 1u));
            let chunk = vec4<u32>(chunks[within.x], chunks[within.y], chunks[within.z], chunks[within.w]);
            let id = chunk * CHUNK + lid % CHUNK;
            let keys = select(vec4<u32>(0u), keys_of(id, p.n_vocab), at == within);
#for j in 4
            if (keys[${j}] >= least) {
                let to = atomicAdd(&listed, 1u);
                if (to < LIST) {
                    list[to] = vec2<u32>(keys[${j}], id[${j}]);
                }
            }
#endfor
        }
    }
    workgroupBarrier();
    if (lid == 0u) {
        list_length = select(atomicLoad(&listed), n, n > LIST);
    }
    return workgroupUniformLoad(&list_length);
}

// Puts the list of n tokens into id order without those below its k-th largest key, which is returned; sets `kept`.
fn keep_largest(n: u32, k: u32, lid: u32) -> u32 {
    // Two tokens a thread.
    let ids = vec2<u32>(lid, lid + WG);
    let own = min(ids, vec2<u32>(n - 1u));
    let there = ids == own;
    let a = list[own.x];
    let b = list[own.y];
    var larger = vec2<u32>(0u);
    var equal = vec2<u32>(0u);
    var earlier = vec2<u32>(0u); // of equal ones
    for (var i = 0u; i < n; i++) {
        let e = list[i];
        let same = vec2<bool>(e.x == a.x, e.x == b.x);
        larger += select(vec2<u32>(0u), vec2<u32>(1u), vec2<bool>(e.x > a.x, e.x > b.x));
        equal += select(vec2<u32>(0u), vec2<u32>(1u), same);
        earlier += select(vec2<u32>(0u), vec2<u32>(1u), same & vec2<bool>(e.y < a.y, e.y < b.y));
    }
    let is_kth = there & ((larger + earlier) == vec2<u32>(k - 1u));
    if (any(is_kth)) {
        digits = select(a.x, b.x, is_kth.y);
        kept = select(larger.x + equal.x, larger.y + equal.y, is_kth.y);
    }
    let threshold = workgroupUniformLoad(&digits);
    var before = vec2<u32>(0u);
    for (var i = 0u; i < n; i++) {
        let e = list[i];
        let counts = vec2<bool>(e.x >= threshold) & vec2<bool>(e.y < a.y, e.y < b.y);
        before += select(vec2<u32>(0u), vec2<u32>(1u), counts);
    }
    workgroupBarrier();
    if (there.x && a.x >= threshold) {
        list[min(before.x, LIST - 1u)] = a;
    }
    if (there.y && b.x >= threshold) {
        list[min(before.y, LIST - 1u)] = b;
    }
    workgroupBarrier();
    return threshold;
}
