//! Greedy ids and logits against llama.cpp's.

use crate::common::*;

#[test]
fn tiny_llama_greedy_on_both() {
    greedy_equals_reference(TINY, &[], 208);
}

#[test]
fn tiny_llama_with_fallback_types_greedy_on_both() {
    greedy_equals_reference("v2k-llama-e288-Q4_K_M", &[], 236);
}

#[test]
fn tiny_llama_with_rope_factors_greedy_on_both() {
    greedy_equals_reference("v2k-llama-ropefreqs-Q4_K_M", &[], 288);
}

#[test]
fn tiny_llama_with_yarn_greedy_on_both() {
    greedy_equals_reference("v2k-llama-yarn-Q4_K_M", &[], 216);
}

#[test]
fn tiny_llama_logits_on_both() {
    for name in [
        TINY,
        "v2k-llama-e288-Q4_K_M",
        "v2k-llama-ropefreqs-Q4_K_M",
        "v2k-llama-yarn-Q4_K_M",
    ] {
        logits_equal_reference(name, 1024);
    }
}

#[test]
fn smollm2_logits() {
    logits_equal_reference(SMOL, 1024);
}

#[test]
fn smollm2_short_prompts_greedy() {
    greedy_equals_reference(SMOL, &["capital", "chat"], 78);
}
