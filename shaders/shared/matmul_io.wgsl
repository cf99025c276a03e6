// Parameters and bindings of a matrix product. Expects A and, where HAS_B, B; PLAIN, RESID or GLU.
struct Params {
    k_blocks: u32, // 32-value blocks per row
    rows_a: u32,
    rows_b: u32, // 0 without B (PLAIN)
    n_tiles: u32, // row tiles in the dispatch
    out_stride: u32, // PLAIN: f32 per token of out; else: blocks per token of act_out
    norm_k: f32, // values the norm averages over
    eps: f32,
    tap_stride: u32, // f32 per token of tap
    out_base: u32, // PLAIN: first value in out
    scale: f32, // on y
    soft_cap: f32, // SOFT_CAP: y becomes cap * tanh(y / cap)
    first_tile: u32, // where this dispatch's rows start in the output
    expert0: u32, // EXPERTS: first expert of these matrices
    experts: u32, // EXPERTS: how many there are
    bias_a: u32, // EXPERTS, BIAS: first of [expert, row] biases of A in routes
    bias_b: u32,
    rows_at: u32, // EXPERTS by tiles: where routes has the rows of the batch
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q_a: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> s_a: array<u32>;
#if HAS_B
@group(0) @binding(3) var<storage, read> q_b: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> s_b: array<u32>;
#endif
@group(0) @binding(5) var<storage, read> act: array<vec4<u32>>; // [token, k_blocks] blocks
#if PLAIN
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [token, out_stride]
#endif
#if RESID
@group(0) @binding(6) var<storage, read_write> x: array<f32>; // [token, out_stride*32]
// Weight of the norm that follows, [out_stride*8]; BIAS: as many biases of y behind it.
@group(0) @binding(7) var<storage, read> gamma: array<vec4<f32>>;
#endif
#if !PLAIN
@group(0) @binding(8) var<storage, read_write> act_out: array<u32>; // [token, out_stride] blocks
#endif
#if EXPERTS
// [token, USED] (expert, bits of its weight), then biases.
@group(0) @binding(10) var<storage, read> routes: array<u32>;
const USED = ${USED}u;
#endif
