// What a gated feed-forward layer does with its gate and its values. Expects tanh_f32 for GELU.
fn glu(gate: f32, up: f32) -> f32 {
#if GELU
    // The tanh form, with sqrt(2 / pi).
    return 0.5 * gate * (1.0 + tanh_f32(0.7978845608 * gate * (1.0 + 0.044715 * gate * gate))) * up;
#else
#if SWIGLU_OAI
    let g = min(gate, 7.0);
    return g / (1.0 + exp(min(-1.702 * g, 80.0))) * (clamp(up, -7.0, 7.0) + 1.0);
#else
    // exp's argument is capped: below it silu is 0 to f32 precision, beyond it exp overflows.
    return gate / (1.0 + exp(min(-gate, 80.0))) * up;
#endif
#endif
}
