// The largest key of every 64 logits. The whole device reads the vocabulary once, so that the sampler, which is one workgroup, reads a
// sixty-fourth of it and the few chunks that matter.
// LANES: threads of a chunk. 8 read 32 bytes at a time together, the least that a GPU fetches; software adapters, where barriers are
// dear, have 1.
#import sample_keys

@group(0) @binding(0) var<uniform> p: SampleParams;
// trap: read as words; a NaN may lose its bits or compare as equal once it is an f32.
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [n_vocab] bits of f32, or that for every step
@group(0) @binding(2) var<storage, read> ctl: array<u32>; // as in sample.wgsl
@group(0) @binding(3) var<storage, read_write> tops: array<u32>; // [ceil(n_vocab / CHUNK)] keys, or NOT_FINITE

const WG = 256u;
const LANES = ${LANES}u;
const CHUNKS = WG / LANES;

#if LANES == 1
#else
var<workgroup> best: array<u32, WG>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
    // Steps of this submit that come after the end of the generation change nothing.
    if (ctl[1] != 0u) {
        return;
    }
    let step_at = ctl[0] * ctl[6];
    let group = (wid.x + wid.z * 32768u) * CHUNKS;
    let at = (group + lid / LANES) * CHUNK + lid % LANES;
    // Keys but for -0, which is below +0 here: nothing lies between them.
    var top = 0u;
    var magnitude = 0u;
    for (var i = at; i < at + CHUNK; i += 8u * LANES) {
        // All loads are in flight at once. What lies beyond the vocabulary is its last logit again: in the last chunk that changes nothing.
#for j in 8
        let bits${j} = logits[step_at + min(i + ${j}u * LANES, p.n_vocab - 1u)];
#endfor
#for j in 8
        top = max(top, bits${j} ^ (0x80000000u | (0u - (bits${j} >> 31u))));
        magnitude = max(magnitude, bits${j} & 0x7fffffffu);
#endfor
    }
    top = select(top, NOT_FINITE, magnitude >= 0x7f800000u);
#if LANES == 1
    keep(group + lid, top);
#else
    best[lid] = top;
    workgroupBarrier();
    if (lid < CHUNKS) {
        var of_chunk = 0u;
        for (var j = 0u; j < LANES; j++) {
            of_chunk = max(of_chunk, best[LANES * lid + j]);
        }
        keep(group + lid, of_chunk);
    }
#endif
}

fn keep(chunk: u32, top: u32) {
    if (chunk < (p.n_vocab + CHUNK - 1u) / CHUNK) {
        tops[chunk] = select(top, key_of(0u), top == key_of(0u) - 1u);
    }
}
