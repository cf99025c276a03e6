//! Perplexity of `--precision fast` over the whole reference text: minutes on a software adapter.

use crate::common::*;
use chord_runtime::EngineOptions;
use serde::Deserialize;

#[derive(Deserialize)]
struct Perplexity {
    ids: Vec<u32>,
    nll: Vec<f64>,
}

#[test]
fn smollm2_perplexity_is_within_two_per_mille() {
    let reference: Perplexity =
        serde_json::from_slice(&read(&format!("ppl/{SMOL}.deq.json"))).unwrap();
    let mut engine = load(
        SMOL,
        &EngineOptions {
            context: Some(2048),
            ..base()
        },
    );
    let mut nll = 0.0;
    let rows = eval(&mut engine, &reference.ids, 32);
    for (row, next) in rows.iter().zip(&reference.ids[1..]) {
        nll -= log_softmax(row)[*next as usize];
    }
    let n = (reference.ids.len() - 1) as f64;
    let ours = (nll / n).exp();
    let theirs = (reference.nll.iter().sum::<f64>() / reference.nll.len() as f64).exp();
    println!(
        "{SMOL} fast: perplexity {ours:.4}, reference {theirs:.4}, {:+.3} %",
        100.0 * (ours / theirs - 1.0)
    );
    assert!((ours / theirs - 1.0).abs() <= 0.002);
}
