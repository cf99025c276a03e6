//! Greedy ids and logits against llama.cpp's.

mod common;

use common::*;

/// Mean KL and top-1 agreement with the reference logits. Tiny models: the first 512 logits are compared as numbers.
fn logits_equal_reference(name: &str) {
    let mut engine = load(name, &exact());
    let ours = eval(&mut engine, &logits_ids(name), 32);
    let theirs = npy(&format!(
        "logits/{name}.deq.{}.npy",
        if name == SMOL { "full" } else { "slice" }
    ));
    if name == SMOL {
        let mean = theirs.iter().zip(&ours).map(|(t, o)| kl(t, o)).sum::<f64>() / ours.len() as f64;
        let agree = theirs
            .iter()
            .zip(&ours)
            .filter(|(t, o)| argmax(t) == argmax(o))
            .count();
        println!(
            "{name} exact: mean KL {mean:.3e}, top-1 {agree}/{}",
            ours.len()
        );
        assert!(mean <= 1e-6, "mean KL {mean:e}");
        assert_eq!(agree, ours.len());
    } else {
        let ours: Vec<Vec<f32>> = ours.iter().map(|r| r[..512].to_vec()).collect();
        let worst = worst(&ours, &theirs);
        println!("{name} exact: largest logit difference {worst:.2e}");
        assert!(worst < 2e-3, "largest difference {worst}");
    }
}

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
        logits_equal_reference(name);
    }
}

#[test]
fn tiny_qwen2_with_biases_greedy() {
    greedy_equals_reference("v2k-qwen2-Q4_K_M", &[], 213);
}

#[test]
fn tiny_qwen3_with_normed_heads_greedy() {
    greedy_equals_reference("v2k-qwen3-Q4_K_M", &[], 174);
}

#[test]
fn tiny_smollm3_with_layers_that_do_not_rotate_greedy() {
    greedy_equals_reference("v2k-smollm3-Q4_K_M", &[], 241);
}

#[test]
fn tiny_granite_with_multipliers_greedy() {
    greedy_equals_reference("v2k-granite-Q4_K_M", &[], 268);
}

/// On SwiftShader as well: logits of 32 positions say more than ids, and take less time.
#[test]
fn tiny_families_logits_on_both() {
    for name in ["qwen2", "qwen3", "smollm3", "granite"] {
        logits_equal_reference(&format!("v2k-{name}-Q4_K_M"));
    }
}

#[test]
fn smollm2_logits() {
    logits_equal_reference(SMOL);
}

#[test]
fn smollm2_short_prompts_greedy() {
    greedy_equals_reference(SMOL, &["capital", "chat"], 78);
}
