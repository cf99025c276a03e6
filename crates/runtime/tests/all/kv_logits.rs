//! The KV store changes nothing: whatever way a prompt gets into it, the logits are the same.

use crate::common::*;
use chord_runtime::{Engine, Session};

/// Largest difference of two logits that count as equal.
const EQUAL: f32 = 1e-4;

fn next_logits(engine: &mut Engine, session: &mut Session, prompt: &[u32]) -> Vec<f32> {
    pollster::block_on(session.next_logits(engine, prompt)).unwrap()
}

/// The ids of a reference prompt and its answer.
fn sequence(name: &str, prompt: &str) -> Vec<u32> {
    let run = reference(name, "deq");
    let found = run.prompts.iter().find(|p| p.name == prompt).unwrap();
    [&found.prompt_ids[..], &found.ids].concat()
}

/// Logits after every token, each token through the decode kernels (the first through prefill's).
fn token_by_token(engine: &mut Engine, tokens: &[u32]) -> Vec<Vec<f32>> {
    let mut session = engine.new_session().unwrap();
    let rows = (1..=tokens.len())
        .map(|n| next_logits(engine, &mut session, &tokens[..n]))
        .collect();
    session.close(engine);
    rows
}

fn chunks_equal_whole(name: &str, tokens: &[u32], chunks: &[u32]) {
    let mut engine = load(name, &exact());
    let whole = eval(&mut engine, tokens, 32);
    for chunk in chunks {
        let difference = worst(&whole, &eval(&mut engine, tokens, *chunk));
        println!("{name}: chunks of {chunk} differ from the whole by {difference:.1e}");
        assert!(difference <= EQUAL, "chunks of {chunk}: {difference}");
    }
}

fn decode_equals_prefill(name: &str, tokens: &[u32]) {
    let mut engine = load(name, &exact());
    let difference = worst(
        &eval(&mut engine, tokens, 32),
        &token_by_token(&mut engine, tokens),
    );
    println!("{name}: decode differs from prefill by {difference:.1e}");
    assert!(difference <= EQUAL, "{difference}");
}

#[test]
fn tiny_prefill_in_chunks_equals_whole() {
    chunks_equal_whole(TINY, &sequence(TINY, "code")[..67], &[1, 7, 32, 33]);
}

#[test]
fn tiny_token_by_token_equals_prefill_on_both() {
    decode_equals_prefill(TINY, &sequence(TINY, "code")[..67]);
}

/// Families whose layers see different things, with windows within a page, and routes of experts that a batch must not mix up.
const FAMILIES: [&str; 3] = [
    "v2k-gemma3-Q4_K_M",
    "v2k-qwen3moe-Q4_K_M",
    "v2k-gpt-oss-MXFP4",
];

#[test]
fn families_in_chunks_token_by_token_and_rewound_equal_whole() {
    for name in FAMILIES {
        let tokens = &sequence(name, "unicode")[..40];
        chunks_equal_whole(name, tokens, &[7]);
        decode_equals_prefill(name, tokens);
        rewound_equals_fresh(name, tokens, &[15, 32]);
    }
}

// SmolLM2: a whole page and a bit, so that every chunk size has a remainder.

#[test]
fn smollm2_prefill_in_chunks_equals_whole() {
    let tokens = &sequence(SMOL, "chat")[..34];
    chunks_equal_whole(SMOL, tokens, &[7, 32, 33]);
    // A batch of one costs as much as one of eight; decode crosses the page one by one below.
    chunks_equal_whole(SMOL, &tokens[..10], &[1]);
}

#[test]
fn smollm2_token_by_token_equals_prefill() {
    decode_equals_prefill(SMOL, &sequence(SMOL, "chat")[..34]);
}

/// Every token chosen by a session that holds nothing and computes everything, against one that keeps its cache.
fn cache_off_equals_cache_on(name: &str, prompt: &[u32], n: u32) {
    let mut engine = load(name, &exact());
    let mut kept = engine.new_session().unwrap();
    let cached = generate(&mut engine, &mut kept, &greedy(prompt, n));
    kept.clear(&mut engine);
    let mut tokens = prompt.to_vec();
    let mut difference = 0.0f32;
    for chosen in &cached.tokens {
        let on = next_logits(&mut engine, &mut kept, &tokens);
        // Closed, so that the fresh one has nobody to share with.
        let log = kept.tokens().to_vec();
        kept.close(&mut engine);
        let mut fresh = engine.new_session().unwrap();
        let before = engine.counters().prefilled_tokens;
        let off = next_logits(&mut engine, &mut fresh, &tokens);
        assert_eq!(
            engine.counters().prefilled_tokens - before,
            tokens.len() as u64,
            "nothing was reused"
        );
        difference = difference.max(worst(std::slice::from_ref(&on), std::slice::from_ref(&off)));
        assert_eq!(argmax(&off) as u32, *chosen);
        assert_eq!(log, tokens);
        kept = fresh;
        tokens.push(*chosen);
    }
    println!("{name}: cache on differs from cache off by {difference:.1e}");
    assert!(difference <= EQUAL, "{difference}");
}

#[test]
fn tiny_cache_off_equals_cache_on() {
    cache_off_equals_cache_on(TINY, &sequence(TINY, "single")[..3], 40);
}

#[test]
fn smollm2_cache_off_equals_cache_on() {
    cache_off_equals_cache_on(SMOL, &sequence(SMOL, "capital")[..5], 6);
}

/// Cut to each length, the conversation goes on with the logits of one that was never longer.
fn rewound_equals_fresh(name: &str, tokens: &[u32], lengths: &[u32]) {
    let mut engine = load(name, &exact());
    let mut session = engine.new_session().unwrap();
    for length in lengths {
        next_logits(&mut engine, &mut session, tokens);
        session.rewind(&mut engine, *length);
        assert_eq!(session.held_tokens(&engine), *length);
        assert_eq!(session.tokens(), &tokens[..*length as usize]);
        engine.poison_unused_kv();
        // Goes on with other tokens than those it had.
        let mut other = tokens[..*length as usize].to_vec();
        other.extend(tokens.iter().rev().take(3));
        let before = engine.counters().prefilled_tokens;
        let rewound = next_logits(&mut engine, &mut session, &other);
        assert_eq!(
            engine.counters().prefilled_tokens - before,
            3,
            "only what is new is computed"
        );
        session.close(&mut engine);
        session = engine.new_session().unwrap();
        let fresh = next_logits(&mut engine, &mut session, &other);
        let difference = worst(&[rewound], &[fresh]);
        assert!(difference <= EQUAL, "{name} cut to {length}: {difference}");
    }
}

#[test]
fn tiny_rewound_to_any_length_equals_fresh() {
    let tokens = &sequence(TINY, "unicode")[..100];
    rewound_equals_fresh(
        TINY,
        tokens,
        &[0, 1, 2, 31, 32, 33, 50, 63, 64, 65, 95, 96, 97, 99, 100],
    );
}

#[test]
fn smollm2_rewound_equals_fresh() {
    rewound_equals_fresh(SMOL, &sequence(SMOL, "chat")[..35], &[31, 33]);
}
