//! Greedy ids of SmolLM2 for every reference prompt: minutes on a software adapter.

use crate::common::*;

#[test]
fn smollm2_every_short_prompt_greedy() {
    greedy_equals_reference(SMOL, &["capital", "code", "unicode", "chat", "single"], 222);
}

#[test]
fn smollm2_long_prompt_greedy() {
    greedy_equals_reference(SMOL, &["long"], 11);
}
