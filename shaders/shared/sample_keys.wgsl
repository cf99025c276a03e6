// What both steps of the sampler agree on.
const CHUNK = 64u; // logits that share a top
const NOT_FINITE = 0xffffffffu; // the top of a chunk with a logit that is NaN or infinite: above every key of a finite one, as 0 is below

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

// Unsigned integers in the order of the floats; -0 and +0 are one key.
fn key_of(bits: u32) -> u32 {
    let b = select(bits, 0u, bits == 0x80000000u);
    return select(b | 0x80000000u, ~b, b >= 0x80000000u);
}
