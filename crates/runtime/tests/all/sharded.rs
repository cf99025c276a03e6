//! Models whose matrices pass a device's binding limit are cut by rows (experts between experts), and answer the same.

use crate::common::*;
use chord_model::GraphOptions;
use chord_runtime::EngineOptions;

/// Bytes of a binding: below the larger matrices of most tiny models, above their scratch.
const LIMIT: u64 = 96 << 10;
/// KV of so few tokens stays within it.
const CONTEXT: u32 = 64;

/// Parts of the matrix of each segment, and bytes of the largest weight buffer.
fn parts(name: &str, limit: u64) -> (usize, u64) {
    let options = GraphOptions {
        seq_pages: 2,
        pages: 2,
        positions: CONTEXT,
        max_binding: limit,
        ..graph_options()
    };
    let (plan, _) = plan_of(name, &options);
    let cut = plan.segments.iter().filter(|s| s.row0 > 0).count();
    let streams = plan.segments.iter().flat_map(|s| [s.quants, s.scales]);
    let largest = streams.map(|id| 4 * plan.buffers[id].words).max();
    assert!(plan.head.len() > 1, "{name}: the head is one part");
    (cut, largest.unwrap())
}

fn answers_the_same(name: &str, limit: u64, least: usize) {
    let (cut, largest) = parts(name, limit);
    assert!(cut >= least, "{name}: {cut} cuts");
    assert!(largest <= limit, "{name}: a buffer of {largest} bytes");
    let whole = EngineOptions {
        context: Some(CONTEXT),
        ..exact()
    };
    let limited = EngineOptions {
        max_binding: limit,
        ..whole.clone()
    };
    let tokens = logits_ids(name);
    let mut engines = [whole, limited].map(|options| load(name, &options));
    let [whole, limited] = engines.each_mut().map(|e| eval(e, &tokens, 32));
    // Rows are computed as before; only a sum over experts may be taken in another order.
    let difference = worst(&whole, &limited);
    println!("{name}: {cut} cuts, largest difference {difference:.1e}");
    assert!(difference < 1e-4, "{name}: {difference}");
    // And one token at a time, from the head in parts to the embedding in parts.
    let [whole, limited] = engines.each_mut().map(|engine| {
        let mut session = engine.new_session().unwrap();
        generate(engine, &mut session, &greedy(&tokens[..4], 12)).tokens
    });
    assert_eq!(whole, limited, "{name}");
}

#[test]
fn a_dense_model_in_parts() {
    answers_the_same(TINY, LIMIT, 5);
}

#[test]
fn fused_tensors_in_parts() {
    answers_the_same("v2k-phi3-Q4_K_M", LIMIT, 6);
}

#[test]
fn a_tied_head_and_normed_residuals_in_parts_on_both() {
    // Its heads are wider.
    answers_the_same("v2k-gemma2-Q4_K_M", 132 << 10, 3);
}

#[test]
fn experts_in_parts() {
    answers_the_same("v2k-mixtral-Q4_K_M", LIMIT, 10);
    answers_the_same("v2k-qwen3moe-Q4_K_M", LIMIT, 4);
}
