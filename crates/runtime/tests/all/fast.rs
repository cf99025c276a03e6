//! `--precision fast` against the exact reference: no further from it than llama.cpp's own int8 activations are.

use crate::common::*;
use chord_runtime::{EngineOptions, KvType, Precision};

fn fast(kv: KvType) -> EngineOptions {
    EngineOptions {
        precision: Precision::Fast,
        kv,
        context: Some(2048),
        ..base()
    }
}

/// llama.cpp's own distance from the reference on these 32 tokens (tests/data/PROVENANCE.md: `.cpu` against `.deq`).
const LLAMA_CPP_MEAN_KL: f64 = 3.34e-3;

#[test]
fn smollm2_mean_kl_is_no_larger_than_llama_cpps() {
    let theirs = npy(&format!("logits/{SMOL}.deq.full.npy"));
    for kv in KvType::ALL {
        let mut engine = load(SMOL, &fast(kv));
        let ours = eval(&mut engine, &logits_ids(SMOL), 32);
        let kls: Vec<f64> = theirs.iter().zip(&ours).map(|(t, o)| kl(t, o)).collect();
        let mean = kls.iter().sum::<f64>() / kls.len() as f64;
        let worst = kls.iter().fold(0.0f64, |a, k| a.max(*k));
        let agree = theirs
            .iter()
            .zip(&ours)
            .filter(|(t, o)| argmax(t) == argmax(o))
            .count();
        println!(
            "{SMOL} fast, KV {kv:?}: mean KL {mean:.3e} (llama.cpp {LLAMA_CPP_MEAN_KL:.2e}), largest {worst:.3e}, top-1 {agree}/{}",
            ours.len()
        );
        assert!(mean <= LLAMA_CPP_MEAN_KL, "mean KL {mean:e}");
    }
}
