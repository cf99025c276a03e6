//! Greedy ids and logits of every other family against llama.cpp's.

use crate::common::*;

/// A test per model: its name in tests/data, and the steps that the reference's own margins let count.
macro_rules! greedy {
    ($($test:ident: $model:literal, $steps:literal;)*) => {$(
        #[test]
        fn $test() {
            greedy_equals_reference($model, &[], $steps);
        }
    )*};
}

greedy! {
    qwen2_with_biases: "v2k-qwen2-Q4_K_M", 213;
    qwen3_with_normed_heads: "v2k-qwen3-Q4_K_M", 174;
    qwen3moe_with_experts: "v2k-qwen3moe-Q4_K_M", 221;
    mixtral_with_experts: "v2k-mixtral-Q4_K_M", 228;
    gpt_oss_with_sinks_and_biased_experts: "v2k-gpt-oss-MXFP4", 257;
    smollm3_with_layers_that_do_not_rotate: "v2k-smollm3-Q4_K_M", 241;
    granite_with_multipliers: "v2k-granite-Q4_K_M", 268;
    gemma1_with_gelu: "v2k-gemma1-Q4_K_M", 219;
    gemma2_with_caps_windows_and_post_norms: "v2k-gemma2-Q4_K_M", 223;
    gemma3_with_two_rotations: "v2k-gemma3-Q4_K_M", 198;
    phi3_with_fused_tensors: "v2k-phi3-Q4_K_M", 288;
    phi3_with_long_factors: "v2k-phi3-longrope-Q4_K_M", 228;
    mistral_whose_window_is_not_used: "v2k-mistral-Q4_K_M", 171;
    llama_with_linear_scaling: "v2k-llama-linear-Q4_K_M", 280;
}

fn logits(names: &[&str]) {
    for name in names {
        // In this context Phi's short factors.
        logits_equal_reference(&format!("v2k-{name}"), 512);
    }
}

#[test]
fn logits_of_families_that_share_every_kernel() {
    logits(&[
        "qwen2-Q4_K_M",
        "qwen3-Q4_K_M",
        "qwen3moe-Q4_K_M",
        "smollm3-Q4_K_M",
        "granite-Q4_K_M",
        "gemma1-Q4_K_M",
        "phi3-Q4_K_M",
        "phi3-longrope-Q4_K_M",
        "mistral-Q4_K_M",
        "llama-linear-Q4_K_M",
    ]);
}

/// On SwiftShader as well: logits of 32 positions say more than ids, and take less time.
#[test]
fn logits_of_families_with_kernels_of_their_own_on_both() {
    logits(&[
        "gemma2-Q4_K_M",
        "gemma3-Q4_K_M",
        "mixtral-Q4_K_M",
        "gpt-oss-MXFP4",
    ]);
}
