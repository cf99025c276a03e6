//! The ring: what it sees when it has wrapped, and that it sees nothing else. The reference is a dense model in f64 that
//! keeps no cache (kv_dense) and is given the same mask.

use crate::common::*;
use crate::kv_dense::Dense;
use chord_runtime::{Engine, EngineOptions, FinishReason, KvType, Overflow, Session};

const PAGE: usize = 32;
const EQUAL: f32 = 1e-4;

fn ring(context: u32, sink_pages: u32) -> EngineOptions {
    EngineOptions {
        overflow: Overflow::Ring { sink_pages },
        context: Some(context),
        ..exact()
    }
}

/// Tokens that repeat nothing for a while: any page that is mistaken for another changes the logits.
fn tokens(name: &str, n: usize) -> Vec<u32> {
    let run = reference(name, "deq");
    let long = run.prompts.into_iter().find(|p| p.name == "long").unwrap();
    let all = [long.prompt_ids, long.ids].concat();
    assert!(all.len() >= n, "{} tokens", all.len());
    all[..n].to_vec()
}

/// What a ring of `pages` pages sees: its sinks and the last pages up to the token's own.
fn seen(pages: usize, sinks: usize) -> impl Fn(usize, usize) -> bool {
    move |t, j| j / PAGE < sinks || j / PAGE + (pages - sinks) > t / PAGE
}

fn next_logits(engine: &mut Engine, session: &mut Session, prompt: &[u32]) -> Vec<f32> {
    pollster::block_on(session.next_logits(engine, prompt)).unwrap()
}

#[test]
fn tiny_without_overflow_equals_a_dense_model_in_f64() {
    let tokens = tokens(TINY, 100);
    let dense = Dense::new(&model(TINY).0).logits(&tokens, 0..100, |_, _| true);
    let ours = eval(&mut load(TINY, &exact()), &tokens, 32);
    let difference = worst(&dense, &ours);
    println!("{TINY}: dense f64 and engine differ by {difference:.1e}");
    assert!(difference <= EQUAL, "{difference}");
}

/// Every logit of a sequence that goes round the ring and on, by prefill and by decode.
fn wrapped_equals_dense_under_the_same_mask(context: u32, sinks: u32, n: usize) {
    let tokens = tokens(TINY, n);
    let pages = (context as usize).div_ceil(PAGE);
    let dense = Dense::new(&model(TINY).0);
    let expected = dense.logits(&tokens, 0..n, seen(pages, sinks as usize));
    let causal = dense.logits(&tokens, n - 1..n, |_, _| true);
    assert!(
        worst(&causal, &expected[n - 1..]) > 0.01,
        "the mask makes a difference, or this test shows nothing"
    );

    let mut engine = load(TINY, &ring(context, sinks));
    for chunk in [32, 15] {
        let difference = worst(&expected, &eval(&mut engine, &tokens, chunk));
        println!("ring of {pages} pages, {sinks} sinks, chunks of {chunk}: {difference:.1e}");
        assert!(difference <= EQUAL, "chunks of {chunk}: {difference}");
    }
    let mut session = engine.new_session().unwrap();
    let mut difference = 0.0f32;
    for t in 0..n {
        // Whatever the next token must not see is NaN.
        engine.poison_unused_kv();
        let logits = next_logits(&mut engine, &mut session, &tokens[..=t]);
        difference = difference.max(worst(&expected[t..=t], &[logits]));
    }
    assert_eq!(session.held_tokens(&engine) as usize, n);
    println!("ring of {pages} pages, {sinks} sinks, token by token: {difference:.1e}");
    assert!(difference <= EQUAL, "token by token: {difference}");
}

#[test]
fn tiny_ring_with_a_sink_equals_dense_under_the_same_mask_on_both() {
    wrapped_equals_dense_under_the_same_mask(128, 1, 260);
}

#[test]
fn tiny_ring_with_two_sinks_equals_dense_under_the_same_mask() {
    // 100 tokens are asked for, 4 whole pages are held.
    wrapped_equals_dense_under_the_same_mask(100, 2, 200);
}

#[test]
fn tiny_ring_without_sinks_equals_dense_under_the_same_mask() {
    wrapped_equals_dense_under_the_same_mask(64, 0, 135);
}

/// Prefill and decode chains go on past the wrap; NaN in every slot that is not theirs changes no token.
fn poisoned_equals_clean(
    name: &str,
    options: &EngineOptions,
    prompt: &[u32],
    turns: usize,
    n: u32,
) {
    let run = |poison: bool| {
        let mut engine = load(name, options);
        let mut session = engine.new_session().unwrap();
        let mut tokens = prompt.to_vec();
        for _ in 0..turns {
            if poison {
                engine.poison_unused_kv();
            }
            let done = generate(&mut engine, &mut session, &greedy(&tokens, n));
            assert_eq!(done.tokens.len(), n as usize);
            tokens.extend(done.tokens);
        }
        tokens
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn tiny_never_reads_an_unwritten_slot() {
    for kv in KvType::ALL {
        poisoned_equals_clean(
            TINY,
            &EngineOptions { kv, ..exact() },
            &tokens(TINY, 45),
            5,
            13,
        );
    }
}

#[test]
fn tiny_ring_never_reads_a_recycled_slot() {
    for (kv, tokens_per_submit) in [
        (KvType::F32, None),
        (KvType::F16, Some(16)),
        (KvType::Q8_0, None),
    ] {
        let options = EngineOptions {
            kv,
            tokens_per_submit,
            ..ring(128, 1)
        };
        poisoned_equals_clean(TINY, &options, &tokens(TINY, 200), 5, 13);
    }
}

#[test]
fn smollm2_ring_never_reads_a_recycled_slot() {
    poisoned_equals_clean(SMOL, &ring(64, 1), &tokens(SMOL, 70), 2, 2);
}

#[test]
fn a_new_sequence_writes_its_pages_before_it_reads_them() {
    let mut engine = load(
        TINY,
        &EngineOptions {
            context: Some(128),
            ..exact()
        },
    );
    let mut session = engine.new_session().unwrap();
    let first = generate(&mut engine, &mut session, &greedy(&tokens(TINY, 40), 8));
    assert_eq!(engine.poison_unused_kv(), 128 - 47);
    session.close(&mut engine);
    assert_eq!(engine.poison_unused_kv(), 128);
    let mut session = engine.new_session().unwrap();
    assert_eq!(
        generate(&mut engine, &mut session, &greedy(&tokens(TINY, 40), 8)).tokens,
        first.tokens
    );
}

#[test]
fn a_chain_stops_at_a_page_that_it_would_recycle() {
    // As many tokens a submit as one likes: the same ids as one by one.
    let prompt = tokens(TINY, 120);
    let ids = [Some(1), Some(16), None].map(|tokens_per_submit| {
        let mut engine = load(
            TINY,
            &EngineOptions {
                tokens_per_submit,
                ..ring(128, 1)
            },
        );
        let mut session = engine.new_session().unwrap();
        let done = generate(&mut engine, &mut session, &greedy(&prompt, 100));
        assert_eq!(done.finish_reason, FinishReason::Length);
        assert_eq!(session.held_tokens(&engine), 219);
        done.tokens
    });
    assert_eq!(ids[0].len(), 100);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
}

#[test]
fn a_wrapped_ring_rewound_behind_its_memory_computes_again() {
    let all = tokens(TINY, 250);
    let mut engine = load(TINY, &ring(128, 1));
    let mut session = engine.new_session().unwrap();
    let expected = next_logits(&mut engine, &mut session, &all[..150]);
    for length in [230, 149, 100, 20] {
        next_logits(&mut engine, &mut session, &all);
        session.rewind(&mut engine, length);
        engine.poison_unused_kv();
        let again = next_logits(&mut engine, &mut session, &all[..150]);
        assert!(
            worst(std::slice::from_ref(&expected), &[again]) <= EQUAL,
            "cut to {length}"
        );
    }
}
