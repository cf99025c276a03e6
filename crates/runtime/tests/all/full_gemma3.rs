//! Gemma 3 270M Q4_K_M, the real file (tools/gemma3.sh fetches it): its head of 262,144 rows is 178 MB of Q8_0, so it is cut under the
//! 128 MiB binding that WebGPU promises.

use crate::common::*;
use chord_runtime::EngineOptions;

const NAME: &str = "gemma-3-270m-q4_k_m";
const BINDING: u64 = 128 << 20;

#[test]
fn gemma3_270m_greedy_under_the_default_binding_limit() {
    let options = EngineOptions {
        max_binding: BINDING,
        ..exact()
    };
    greedy_equals_reference_with(NAME, &options, &["capital", "unicode", "single"], 50);
}

#[test]
fn gemma3_270m_long_prompt_beyond_its_window() {
    greedy_equals_reference(NAME, &["long"], 48);
}

#[test]
fn gemma3_270m_logits() {
    let mut engine = load(NAME, &exact());
    let ours = eval(&mut engine, &logits_ids(NAME), 32);
    let ours: Vec<Vec<f32>> = ours.iter().map(|r| r[..512].to_vec()).collect();
    let worst = worst(&ours, &npy(&format!("logits/{NAME}.deq.slice.npy")));
    println!("largest logit difference {worst:.2e}");
    assert!(worst < 5e-3, "largest difference {worst}");
}
