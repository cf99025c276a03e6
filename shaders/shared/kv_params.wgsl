struct Params {
    n_heads: u32,
    n_kv_heads: u32,
    head_quads: u32, // head_dim / 4
    rope_dim: u32,
    rope_hi: u32, // where the table of 256-position strides starts
    qkv_stride: u32, // f32 per token of qkv
    k_off: u32, // first K value in a token's qkv (Q starts at 0)
    v_off: u32,
    seq_pages: u32, // pages a sequence may hold
    sink_pages: u32, // first pages, never recycled
    scale: f32, // on q.k
    act_blocks: u32, // activation blocks per token of the output
    tap_stride: u32,
    bias_at: u32, // BIAS: first of qkv_stride values in the RoPE buffer, as f32
    gamma_at: u32, // QK_NORM: first of 2 * head_dim weights there, q's then k's
    norm_eps: f32, // QK_NORM
    rope_lo: u32, // where the table of positions starts
    window: u32, // WINDOW: positions a row sees, its own included
    soft_cap: f32, // SOFT_CAP
    sinks_at: u32, // SINKS: first of n_heads scores in the RoPE buffer
    splits: u32, // SPLIT: workgroups that share a sequence's pages
}
