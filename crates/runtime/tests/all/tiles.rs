//! Prompts by tiles: the same logits as by single columns, whatever the batches, in every family, and weights read once for 64 rows.

use crate::common::*;
use chord_runtime::{Engine, EngineOptions, Fault, Precision};

/// A mixture of experts.
const MOE: &str = "v2k-qwen3moe-Q4_K_M";

fn tiled(rows: u32, options: EngineOptions) -> EngineOptions {
    EngineOptions {
        tiled_rows: Some(rows),
        ..options
    }
}

/// Tokens of no meaning, the same every time.
fn tokens(engine: &Engine, n: u32) -> Vec<u32> {
    let n_vocab = engine.config().n_vocab;
    (0..n).map(|i| (i * i * 31 + i * 7 + 3) % n_vocab).collect()
}

/// Logits behind a prompt of `n` tokens in a session of its own.
fn logits(engine: &mut Engine, n: u32) -> Vec<f32> {
    let prompt = tokens(engine, n);
    let mut session = engine.new_session().unwrap();
    let row = pollster::block_on(session.next_logits(engine, &prompt)).unwrap();
    session.close(engine);
    row
}

#[test]
fn families_by_tiles_equal_those_by_columns_on_gpu() {
    gpu_only();
    for name in [
        // Rows that fill no whole tiles, post-norms, experts, those with biases and a bias behind attention.
        "v2k-llama-e288-Q4_K_M",
        "v2k-gemma3-Q4_K_M",
        MOE,
        "v2k-gpt-oss-MXFP4",
    ] {
        let mut plain = load(name, &tiled(0, exact()));
        let mut by_tiles = load(name, &tiled(128, exact()));
        assert_eq!(described(&plain, "batches"), "of 32 rows");
        assert_eq!(
            described(&by_tiles, "batches"),
            "of 128 rows by tiles, from 24 tokens on"
        );
        assert_eq!(by_tiles.self_test().fallbacks, [""; 0]);
        let (ours, theirs) = (logits(&mut by_tiles, 150), logits(&mut plain, 150));
        let mean = kl(&theirs, &ours);
        assert!(mean.abs() < 1e-9, "{name}: KL {mean:e}");
        assert_eq!(argmax(&ours), argmax(&theirs), "{name}");
    }
}

#[test]
fn where_a_batch_ends_changes_no_bit_on_gpu() {
    gpu_only();
    for (name, precision) in [
        (TINY, Precision::Exact),
        (TINY, Precision::Fast),
        (MOE, Precision::Fast),
    ] {
        let options = EngineOptions {
            precision,
            ..base()
        };
        let row = |rows, n| logits(&mut load(name, &tiled(rows, options.clone())), n);
        let want = row(512, 200);
        for rows in [64, 128] {
            assert_eq!(
                row(rows, 200),
                want,
                "{name}, batches of {rows}, {precision:?}"
            );
        }
    }
}

#[test]
fn the_reference_answers_follow_a_prompt_by_tiles_on_gpu() {
    gpu_only();
    let run = reference(TINY, "deq");
    let long = run.prompts.iter().find(|p| p.prompt_ids.len() >= 24);
    let prompt = long.expect("a prompt long enough for tiles");
    let mut engine = load(TINY, &tiled(64, exact()));
    let n = prompt.ids.len().min(16);
    let mut session = engine.new_session().unwrap();
    let request = greedy(&prompt.prompt_ids, n as u32);
    let done = generate(&mut engine, &mut session, &request);
    assert_eq!(done.tokens, prompt.ids[..n]);
}

#[test]
fn a_batch_by_tiles_reads_the_weights_once_for_64_rows_on_gpu() {
    gpu_only();
    let read = |rows: u32| {
        let mut engine = load(TINY, &tiled(rows, exact()));
        let before = engine.counters();
        let prompt = tokens(&engine, 128);
        let mut session = engine.new_session().unwrap();
        let request = greedy(&prompt, 1);
        generate(&mut engine, &mut session, &request);
        engine.counters().since(&before).weight_bytes as f64
    };
    let (by_columns, by_tiles) = (read(0), read(128));
    let head = {
        let mut engine = load(TINY, &tiled(0, exact()));
        let before = engine.counters();
        logits(&mut engine, 1);
        engine.counters().since(&before).weight_bytes as f64
    };
    // 32 groups of 4 tokens against two of 64; what is left is the head, once.
    assert!(by_columns > 20.0 * head, "{by_columns} {head}");
    assert!(by_tiles < 3.0 * head, "{by_tiles} {head}");
}

#[test]
fn a_batch_by_tiles_reads_an_expert_once_on_gpu() {
    gpu_only();
    let mut engine = load(MOE, &tiled(512, exact()));
    let experts = engine.config().experts.unwrap();
    let mut read = |tokens: u32| {
        let before = engine.counters();
        logits(&mut engine, tokens);
        engine.counters().since(&before).weight_bytes
    };
    // Beyond what chooses all experts, more tokens read more only of what is not experts', once for 64.
    let [one, two, six] = [64, 128, 384].map(&mut read);
    assert!(experts.used * 64 > experts.count);
    assert_eq!(six - two, 4 * (two - one));
    let dense = two - one;
    println!("64 tokens read {one} bytes, {dense} of them once more for each 64");
    assert!(one > 3 * dense);
}

#[test]
fn tiles_that_are_wrong_give_way_on_gpu() {
    gpu_only();
    let options = EngineOptions {
        faults: vec![Fault::Tiles],
        ..tiled(128, exact())
    };
    let mut engine = load(TINY, &options);
    assert_eq!(described(&engine, "batches"), "of 32 rows");
    let said = described(&engine, "self-test");
    assert!(said.ends_with("using no tiles"), "{said}");
    let want = logits(&mut load(TINY, &tiled(0, exact())), 100);
    assert_eq!(logits(&mut engine, 100), want);
}

#[test]
fn batches_by_tiles_stay_within_a_small_binding_on_gpu() {
    gpu_only();
    let widest = |engine: &Engine| engine.fit().limits.unwrap().max_binding;
    let options = EngineOptions {
        max_binding: 1 << 20,
        context: Some(128),
        ..tiled(4096, exact())
    };
    let mut engine = load(TINY, &options);
    assert_eq!(widest(&engine), 1 << 20);
    assert_eq!(described(&engine, "batches"), "of 32 rows");
    logits(&mut engine, 100);
}

/// Where an adapter has cooperative matrices; `tools/cooperative.sh` finds one.
#[test]
fn prompts_by_cooperative_matrices_are_no_further_from_exact_ones_on_cooperative() {
    let options = EngineOptions {
        tune: Some(true),
        ..tiled(64, base())
    };
    for name in [TINY, "v2k-gemma3-Q4_K_M", "v2k-qwen3moe-Q4_K_M"] {
        let rows = |engine: &mut Engine| [40, 70, 110, 150].map(|n| logits(engine, n));
        let exact = rows(&mut load(name, &tiled(0, exact())));
        let text = load(name, &options).tuned().unwrap().to_owned();
        let key = text.split(' ').next().unwrap();
        let by = |tiles: &str| {
            let variant = format!("row-per-thread {tiles} 24 attention 8");
            let options = EngineOptions {
                tuned: Some(format!("{key} {variant}")),
                ..options.clone()
            };
            let mut engine = load(name, &options);
            assert_eq!(described(&engine, "variant"), variant);
            assert_eq!(engine.self_test().fallbacks, [""; 0]);
            rows(&mut engine)
        };
        let (matrices, tiles) = (by("cooperative"), by("tile"));
        assert_ne!(matrices, tiles, "other kernels");
        let mean = |rows: &[Vec<f32>]| {
            let each = exact.iter().zip(rows).map(|(exact, row)| kl(exact, row));
            each.sum::<f64>() / exact.len() as f64
        };
        let (matrices, tiles) = (mean(&matrices), mean(&tiles));
        println!("{name}: KL to exact {matrices:.2e}, by tiles {tiles:.2e}");
        assert!(matrices < 1.5 * tiles, "{name}");
    }
}
