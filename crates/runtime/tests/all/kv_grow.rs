//! A store of K and V that takes memory as tokens come says what one says that had it all from the start.

use crate::common::*;
use chord_runtime::{
    DeviceChoice, Engine, EngineOptions, Error, Fault, FinishReason, KvType, Overflow, Session,
    Speculate,
};

/// As much memory as `tokens` take at load, of a context of 256 for each of two sequences.
fn options(kv: KvType, tokens: Option<u32>) -> EngineOptions {
    EngineOptions {
        kv,
        context: Some(256),
        max_sequences: 2,
        first_tokens: tokens,
        ..exact()
    }
}

fn text(n: usize) -> Vec<u32> {
    (0..n).map(|i| 3 + (i * i % 97) as u32).collect()
}

fn bits(engine: &mut Engine, session: &mut Session, tokens: &[u32]) -> Vec<u32> {
    let logits = pollster::block_on(session.next_logits(engine, tokens)).unwrap();
    logits.iter().map(|l| l.to_bits()).collect()
}

/// Two conversations with a common beginning, by prefill, chained decoding and single tokens: what was answered, the logits at the end, and
/// the bytes on the device at first and at last.
fn talk(options: &EngineOptions) -> (Vec<Vec<u32>>, [u64; 2]) {
    let mut engine = load(TINY, options);
    let at_first = engine.counters().gpu_bytes;
    let mut said = Vec::new();
    let mut sessions = [engine.new_session().unwrap(), engine.new_session().unwrap()];
    let mut tokens = [text(70), [text(50), text(40)].concat()];
    for _ in 0..3 {
        for (session, tokens) in sessions.iter_mut().zip(&mut tokens) {
            engine.poison_unused_kv();
            let done = generate(&mut engine, session, &greedy(tokens, 25));
            tokens.extend(&done.tokens);
            said.push(done.tokens);
            engine.poison_unused_kv();
            said.push(bits(&mut engine, session, tokens));
        }
    }
    (said, [at_first, engine.counters().gpu_bytes])
}

fn growing_equals_whole(kv: KvType, more: impl Fn(&mut EngineOptions)) {
    let [whole, growing] = [None, Some(20)].map(|tokens| {
        let mut options = options(kv, tokens);
        more(&mut options);
        talk(&options)
    });
    assert!(whole.0 == growing.0, "{kv:?}: other tokens or bits");
    let (all, [at_first, at_last]) = (whole.1[0], growing.1);
    assert_eq!(whole.1[1], all);
    assert!(at_first < at_last && at_last <= all, "{at_first} {at_last}");
}

#[test]
fn tiny_a_store_that_grows_changes_no_bit_on_both() {
    growing_equals_whole(KvType::F32, |_| ());
}

#[test]
fn tiny_a_store_that_grows_changes_no_bit_in_f16_or_q8_0() {
    growing_equals_whole(KvType::F16, |_| ());
    growing_equals_whole(KvType::Q8_0, |_| ());
}

#[test]
fn tiny_a_store_that_grows_changes_no_bit_with_tiles_or_guesses() {
    growing_equals_whole(KvType::F32, |o| o.tiled_rows = Some(64));
    growing_equals_whole(KvType::F32, |o| o.speculate = Speculate::Lookup);
}

#[test]
fn tiny_a_ring_grows_before_it_wraps() {
    let run = |tokens| {
        let mut engine = load(
            TINY,
            &EngineOptions {
                overflow: Overflow::Ring { sink_pages: 1 },
                context: Some(128),
                max_sequences: 1,
                ..options(KvType::F32, tokens)
            },
        );
        let mut session = engine.new_session().unwrap();
        engine.poison_unused_kv();
        let done = generate(&mut engine, &mut session, &greedy(&text(40), 200));
        assert_eq!(done.tokens.len(), 200);
        done.tokens
    };
    assert_eq!(run(None), run(Some(32)));
}

#[test]
fn without_memory_for_more_an_answer_ends_and_nothing_is_lost() {
    let mut engine = load(
        TINY,
        &EngineOptions {
            faults: vec![Fault::Memory],
            ..options(KvType::F32, Some(64))
        },
    );
    let mut session = engine.new_session().unwrap();
    let done = generate(&mut engine, &mut session, &greedy(&text(40), 100));
    assert_eq!(done.finish_reason, FinishReason::Length);
    // The last token has not been through the layers.
    assert_eq!(done.tokens.len(), 64 - 40 + 1);
    let whole = [text(40), done.tokens].concat();
    let refused = pollster::block_on(session.next_logits(&mut engine, &whole)).unwrap_err();
    assert!(matches!(refused, Error::KvFull(_)), "{refused}");
    assert_eq!(refused.code(), "E_KV_FULL");
    assert!(refused.to_string().contains("64 tokens"), "{refused}");
    assert!(refused.help().contains("q8_0"), "{}", refused.help());
    session.rewind(&mut engine, 40);
    let again = bits(&mut engine, &mut session, &whole[..60]);
    let mut unhurt = load(TINY, &options(KvType::F32, None));
    let mut fresh = unhurt.new_session().unwrap();
    assert!(again == bits(&mut unhurt, &mut fresh, &whole[..60]));
}

#[test]
fn memory_for_a_context_nobody_asked_for_is_not_taken_on_a_gpu() {
    let [asked, unasked] = [Some(8192), None].map(|context| {
        let engine = load(SMOL, &EngineOptions { context, ..exact() });
        assert_eq!(engine.context_length(), 8192);
        (engine.fit().kv_bytes, engine.counters().gpu_bytes)
    });
    assert_eq!(asked.0, unasked.0);
    let saved = match device() {
        // The system gives memory as it is touched.
        DeviceChoice::Cpu => 0,
        _ => asked.0 / 2,
    };
    assert_eq!(asked.1 - unasked.1, saved);
}
