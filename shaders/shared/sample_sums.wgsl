// Sums of probabilities in an order that the number of tokens alone fixes: each thread has so many of them in a row.
var<workgroup> parts: array<vec4<f32>, WG>; // one partial sum per thread
var<workgroup> group_sums: array<vec4<f32>, 16>; // sums of 16 parts each
var<workgroup> weights: array<f32, LIST>; // of the list
var<workgroup> top_p_key: atomic<u32>;
var<workgroup> owner: u32; // the thread in whose part the draw falls
var<workgroup> owner_target: f32; // what is left of the draw there
var<workgroup> chosen: u32;

fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}

// exp, with 0 for what is too small to count: differences may be as large as -6e38.
fn weight(difference: f32) -> f32 {
    return select(0.0, exp(max(difference, -80.0)), difference > -80.0);
}

fn weights_of(keys: vec4<u32>, top: f32, scale: f32) -> vec4<f32> {
    return vec4<f32>(weight((value_of(keys.x) - top) * scale), weight((value_of(keys.y) - top) * scale),
        weight((value_of(keys.z) - top) * scale), weight((value_of(keys.w) - top) * scale));
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

// The largest key at or above which the tokens hold the share top_p of the untempered probability of those at or above
// `threshold`, out of the whole vocabulary: two bits of it a round.
fn top_p_threshold(threshold: u32, lid: u32) -> u32 {
    let top = value_of(top_key);
    let each = (p.n_vocab + WG - 1u) / WG;
    let start = min(lid * each, p.n_vocab);
    let end = min(start + each, p.n_vocab);
    var found = 0u;
    var needed = 0.0;
    for (var round = 0u; round < 17u; round++) {
        // Round 0 measures the whole.
        let shift = 32u - 2u * max(round, 1u);
        let one = found | (1u << shift);
        let two = found | (2u << shift);
        let three = found | (3u << shift);
        let least = select(max(threshold, one), threshold, round == 0u);
        var sums = vec4<f32>(0.0);
        for (var c = start / CHUNK; c * CHUNK < end; c++) {
            if (tops[c] < least) {
                continue;
            }
            let stop = min(end, c * CHUNK + CHUNK);
            for (var i = max(start, c * CHUNK); i < stop; i += 4u) {
                let keys = keys_of(vec4<u32>(i, i + 1u, i + 2u, i + 3u), stop);
                let w = weights_of(keys, top, 1.0);
#for j in 4
                if (keys[${j}] >= least) {
                    sums += select(vec4<f32>(0.0), vec4<f32>(w[${j}]),
                        vec4<bool>(true, keys[${j}] >= one, keys[${j}] >= two, keys[${j}] >= three));
                }
#endfor
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

// The same out of the n tokens of the list, and the same bits: each thread makes the sums for its own tokens' keys, which are the only
// ones that matter, in the order of `share`.
fn top_p_of_list(n: u32, lid: u32) -> u32 {
    let top = value_of(top_key);
    let each = (n + WG - 1u) / WG; // 1 or 2
    let ids = vec2<u32>(lid, lid + WG);
    let own = min(ids, vec2<u32>(n - 1u));
    let keys = vec2<u32>(list[own.x].x, list[own.y].x);
    if (lid == 0u) {
        atomicStore(&top_p_key, 0u);
    }
    weights[lid] = weight(value_of(keys.x) - top);
    weights[lid + WG] = weight(value_of(keys.y) - top);
    workgroupBarrier();
    var sums = vec3<f32>(0.0); // of all, and of those at or above each key
    for (var group = 0u; group < n; group += 16u * each) {
        var of_group = vec3<f32>(0.0);
        for (var i = group; i < min(group + 16u * each, n); i += each) {
            let key = list[i].x;
            var part = select(vec3<f32>(0.0), vec3<f32>(weights[i]), vec3<bool>(true, key >= keys.x, key >= keys.y));
            if (i + 1u < min(i + each, n)) {
                let next = list[i + 1u].x;
                part += select(vec3<f32>(0.0), vec3<f32>(weights[i + 1u]), vec3<bool>(true, next >= keys.x, next >= keys.y));
            }
            of_group += part;
        }
        sums += of_group;
    }
    let needed = p.top_p * sums.x;
    let reach = (ids == own) & (sums.yz >= vec2<f32>(needed));
    atomicMax(&top_p_key, max(select(0u, keys.x, reach.x), select(0u, keys.y, reach.y)));
    workgroupBarrier();
    return atomicLoad(&top_p_key);
}

// Of the tokens at or above `threshold`, in id order: the first whose running sum of tempered weights passes u * total. They are in the
// list, of n tokens, or in the whole vocabulary.
fn draw(threshold: u32, n: u32, gathered: bool, u: f32, lid: u32) {
    let top = value_of(top_key);
    let each = (n + WG - 1u) / WG;
    let start = min(lid * each, n);
    let end = min(start + each, n);
    var sum = 0.0;
    if (gathered) {
        for (var i = start; i < end; i++) {
            sum += tempered(list[i].x, threshold, top);
        }
    } else {
        for (var c = start / CHUNK; c * CHUNK < end; c++) {
            if (tops[c] < threshold) {
                continue;
            }
            let stop = min(end, c * CHUNK + CHUNK);
            for (var i = max(start, c * CHUNK); i < stop; i += 4u) {
                let keys = keys_of(vec4<u32>(i, i + 1u, i + 2u, i + 3u), stop);
                let w = weights_of(keys, top, p.inv_temperature);
#for j in 4
                sum += select(0.0, w[${j}], keys[${j}] >= threshold);
#endfor
            }
        }
    }
    share(vec4<f32>(sum), lid);
    if (lid == 0u) {
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
    // All threads weigh the owner's tokens, and one goes through them.
    let begin = min(workgroupUniformLoad(&owner) * each, n);
    let stop = min(begin + each, n);
    var taken = 0.0;
    if (lid == 0u) {
        chosen = begin;
    }
    for (var at = begin; at < stop; at += WG) {
        workgroupBarrier();
        var key = 0u;
        if (gathered) {
            key = list[min(at + lid, stop - 1u)].x;
        } else {
            key = key_of(logits[first + min(at + lid, stop - 1u)]);
        }
        parts[lid].x = tempered(key, threshold, top);
        workgroupBarrier();
        if (lid == 0u) {
            for (var j = 0u; j < min(WG, stop - at) && taken <= owner_target; j++) {
                let w = parts[j].x;
                if (w > 0.0) {
                    chosen = at + j;
                }
                taken += w;
            }
        }
    }
    if (lid == 0u && gathered) {
        chosen = list[chosen].y;
    }
}

fn tempered(key: u32, threshold: u32, top: f32) -> f32 {
    return select(0.0, weight((value_of(key) - top) * p.inv_temperature), key >= threshold);
}
