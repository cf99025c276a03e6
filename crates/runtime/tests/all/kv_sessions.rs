//! Several conversations on one engine: each as if it were alone, common beginnings computed once.

use crate::common::*;
use chord_runtime::{Engine, EngineOptions, Session};
use std::collections::HashMap;

fn options(sequences: u32, context: u32) -> EngineOptions {
    EngineOptions {
        max_sequences: sequences,
        context: Some(context),
        ..exact()
    }
}

fn prompt(name: &str, which: &str) -> Vec<u32> {
    reference(name, "deq")
        .prompts
        .into_iter()
        .find(|p| p.name == which)
        .unwrap()
        .prompt_ids
}

fn next_logits(engine: &mut Engine, session: &mut Session, prompt: &[u32]) -> Vec<f32> {
    pollster::block_on(session.next_logits(engine, prompt)).unwrap()
}

/// Ids and the bits of the logits that chose them, one token at a time.
fn step(engine: &mut Engine, session: &mut Session, tokens: &mut Vec<u32>) -> Vec<u32> {
    let logits = next_logits(engine, session, tokens);
    tokens.push(argmax(&logits) as u32);
    logits.iter().map(|l| l.to_bits()).collect()
}

fn interleaved_equals_alone(name: &str, prompts: [&[u32]; 2], n: usize) {
    let mut engine = load(name, &options(2, 256));
    let alone: Vec<_> = prompts
        .iter()
        .map(|prompt| {
            let mut session = engine.new_session().unwrap();
            let mut tokens = prompt.to_vec();
            let bits: Vec<_> = (0..n)
                .map(|_| step(&mut engine, &mut session, &mut tokens))
                .collect();
            session.close(&mut engine);
            (tokens, bits)
        })
        .collect();
    let mut sessions = [engine.new_session().unwrap(), engine.new_session().unwrap()];
    let mut tokens = prompts.map(<[u32]>::to_vec);
    for i in 0..n {
        for s in 0..2 {
            let bits = step(&mut engine, &mut sessions[s], &mut tokens[s]);
            assert!(
                bits == alone[s].1[i],
                "{name}: sequence {s}, step {i}: other bits than alone"
            );
        }
    }
    assert_eq!(tokens[0], alone[0].0);
    assert_eq!(tokens[1], alone[1].0);
}

#[test]
fn tiny_two_interleaved_equal_each_alone_bit_for_bit_on_both() {
    interleaved_equals_alone(TINY, [&prompt(TINY, "unicode"), &prompt(TINY, "code")], 40);
}

#[test]
fn smollm2_two_interleaved_equal_each_alone_bit_for_bit() {
    interleaved_equals_alone(SMOL, [&prompt(SMOL, "capital"), &prompt(SMOL, "code")], 6);
}

/// The second turn begins where the first turn's page is half full, computes only what is new and answers as a fresh one.
fn second_turn_in_a_half_filled_page(name: &str, first: &[u32], more: &[u32], n: u32) {
    let mut engine = load(name, &options(1, 256));
    let mut session = engine.new_session().unwrap();
    let turn = generate(&mut engine, &mut session, &greedy(first, n));
    let held = session.held_tokens(&engine);
    // The answer's last token has not been through the layers.
    assert_eq!(held, (first.len() + turn.tokens.len() - 1) as u32);
    assert_ne!(held % 32, 0, "the page is half full");
    engine.poison_unused_kv();
    let whole = [first, &turn.tokens, more].concat();
    let before = engine.counters().prefilled_tokens;
    let second = generate(&mut engine, &mut session, &greedy(&whole, n));
    assert_eq!(second.timings.reused_tokens, held);
    assert_eq!(second.timings.prefilled_tokens, 1 + more.len() as u32);
    assert_eq!(
        engine.counters().prefilled_tokens - before,
        1 + more.len() as u64
    );
    assert_eq!(session.tokens(), [&whole[..], &second.tokens].concat());
    session.clear(&mut engine);
    let fresh = generate(&mut engine, &mut session, &greedy(&whole, n));
    assert_eq!(fresh.timings.prefilled_tokens, whole.len() as u32);
    assert_eq!(second.tokens, fresh.tokens);
}

#[test]
fn tiny_second_turn_starts_inside_a_half_filled_page() {
    let more = prompt(TINY, "chat");
    // Ends of the first turn all over a page.
    for n in [5, 10, 15, 20, 23, 24] {
        second_turn_in_a_half_filled_page(TINY, &prompt(TINY, "capital"), &more[..37], n);
    }
}

#[test]
fn smollm2_second_turn_starts_inside_a_half_filled_page() {
    second_turn_in_a_half_filled_page(SMOL, &prompt(SMOL, "chat"), &prompt(SMOL, "capital"), 8);
}

/// One conversation computes the system prompt; ten others that begin with it compute only their own question.
/// Every `compared`th answer is compared with that of a conversation alone, over two turns of `n` tokens.
fn system_prompt_computed_once(
    name: &str,
    system: &[u32],
    question: impl Fn(u32) -> Vec<u32>,
    n: u32,
    compared: usize,
) {
    let mut engine = load(name, &options(12, 256));
    let prompts: Vec<_> = (0..10).map(|i| [system, &question(i)].concat()).collect();
    let mut alone = HashMap::new();
    for (i, prompt) in prompts.iter().enumerate().step_by(compared) {
        let mut session = engine.new_session().unwrap();
        let done = generate(&mut engine, &mut session, &greedy(prompt, 2 * n));
        assert_eq!(done.timings.prefilled_tokens as usize, prompt.len());
        session.close(&mut engine);
        alone.insert(i, done.tokens);
    }

    let before = engine.counters().prefilled_tokens;
    let mut first = engine.new_session().unwrap();
    generate(&mut engine, &mut first, &greedy(system, 0));
    let mut sessions: Vec<Session> = (0..10).map(|_| engine.new_session().unwrap()).collect();
    let mut logs = Vec::new();
    for (i, session) in sessions.iter_mut().enumerate() {
        let done = generate(&mut engine, session, &greedy(&prompts[i], n));
        assert_eq!(
            done.timings.reused_tokens as usize,
            system.len(),
            "conversation {i}"
        );
        if let Some(alone) = alone.get(&i) {
            assert_eq!(done.tokens, alone[..n as usize], "conversation {i}");
        }
        logs.push(session.tokens().to_vec());
    }
    let questions: usize = prompts.iter().map(|p| p.len() - system.len()).sum();
    let computed = engine.counters().prefilled_tokens - before;
    assert_eq!(
        computed,
        (system.len() + questions) as u64,
        "the system prompt is computed once"
    );
    // Nobody has written into what is shared: everyone goes on, in another order.
    engine.poison_unused_kv();
    for (i, session) in sessions.iter_mut().enumerate().rev() {
        let done = generate(&mut engine, session, &greedy(&logs[i], n));
        assert_eq!(done.timings.prefilled_tokens, 1, "conversation {i}");
        if let Some(alone) = alone.get(&i) {
            assert_eq!(
                done.tokens,
                alone[n as usize..],
                "conversation {i}, second turn"
            );
        }
    }
}

#[test]
fn tiny_system_prompt_is_computed_once_for_ten_conversations() {
    let (system, ids) = (prompt(TINY, "chat"), prompt(TINY, "long"));
    // 54 tokens: the second page is shared half full. Questions differ from their first token on.
    system_prompt_computed_once(
        TINY,
        &system,
        |i| vec![300 + i, ids[i as usize], ids[40 + i as usize]],
        20,
        1,
    );
}

#[test]
fn smollm2_system_prompt_is_computed_once_for_ten_conversations() {
    // The second page is shared with one token in it.
    let system = &prompt(SMOL, "long")[..33];
    system_prompt_computed_once(SMOL, system, |i| vec![1000 + i], 1, 9);
}

#[test]
fn too_many_sessions_and_a_full_store_are_errors_that_leave_the_others_alone() {
    let mut engine = load(TINY, &options(2, 64));
    let (mut a, b) = (engine.new_session().unwrap(), engine.new_session().unwrap());
    let refused = engine.new_session().unwrap_err();
    assert_eq!(refused.code(), "E_KV_FULL");
    let request = greedy(&prompt(TINY, "code"), 10);
    let done = generate(&mut engine, &mut a, &request);
    b.close(&mut engine);
    let mut c = engine.new_session().unwrap();
    assert_eq!(generate(&mut engine, &mut c, &request).tokens, done.tokens);
}
