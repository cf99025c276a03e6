//! The chain behind a chain: a GPU has it before the one before is read, and where it turns out not to follow, nothing is left of it.

use crate::common::*;
use chord_runtime::{
    DeviceChoice, EngineOptions, Event, FinishReason, GenerateRequest, Sampling, Speculate,
};
use std::sync::atomic::{AtomicBool, Ordering};

/// It ends answers.
const ENDS: &str = "v2k-llama-e288-Q4_K_M";

fn prompt(name: &str) -> Vec<u32> {
    reference(name, "deq").prompts.remove(0).prompt_ids
}

fn chains_of(tokens: u32) -> EngineOptions {
    EngineOptions {
        tokens_per_submit: Some(tokens),
        context: Some(256),
        max_sequences: 2,
        ..exact()
    }
}

/// A GPU waits neither for commands to be recorded nor, where chains are long, for them to be submitted: only those of an answer's first token
/// are when they are needed, and those of a chain that is not as long as was expected.
#[test]
fn tiny_chains_are_there_before_the_device_needs_them_on_gpu() {
    gpu_only();
    let mut engine = load(TINY, &chains_of(8));
    let mut session = engine.new_session().unwrap();
    let prompt = prompt(TINY);
    let mut work = |n: u32| {
        session.clear(&mut engine);
        let before = engine.counters();
        generate(&mut engine, &mut session, &greedy(&prompt, n));
        engine.counters().since(&before)
    };
    for (tokens, chains) in [(1, 0_u64), (9, 1), (17, 2), (33, 4), (36, 5)] {
        let work = work(tokens);
        // The first has one token before it, and is too early to count on.
        let ahead = [work.recorded_ahead, work.submitted_ahead];
        assert_eq!(ahead, [chains, chains.saturating_sub(1)], "{tokens} tokens");
    }
    // Work counts when it is submitted, and what is not asked for never is.
    let (nine, all) = (work(9), work(33));
    assert_eq!(
        all.dispatches - nine.dispatches,
        3 * (nine.dispatches - work(1).dispatches)
    );
}

#[test]
fn tiny_nothing_is_submitted_ahead_that_may_not_be_on_gpu() {
    gpu_only();
    let guessing = EngineOptions {
        speculate: Speculate::Lookup,
        ..chains_of(8)
    };
    // Short chains end soon, and what were behind them would often be for nothing.
    for options in [guessing, chains_of(4)] {
        let mut engine = load(TINY, &options);
        let mut session = engine.new_session().unwrap();
        generate(&mut engine, &mut session, &greedy(&[5, 6], 33));
        assert_eq!(engine.counters().submitted_ahead, 0, "{options:?}");
    }
}

/// A seed with which the model ends its answer in the second chain of eight, behind the first token.
fn seed_that_ends(prompt: &[u32]) -> u64 {
    let mut engine = load(ENDS, &chains_of(1));
    let mut session = engine.new_session().unwrap();
    let mut ends = |seed: &u64| {
        let done = generate(&mut engine, &mut session, &ending(prompt, *seed));
        done.finish_reason == FinishReason::Stop && (10..17).contains(&done.tokens.len())
    };
    (0..300).find(&mut ends).expect("one of many ends there")
}

fn ending(prompt: &[u32], seed: u64) -> GenerateRequest {
    GenerateRequest {
        sampling: Sampling {
            temperature: 1.0,
            seed,
            ..Sampling::default()
        },
        ignore_eog: false,
        ..greedy(prompt, 40)
    }
}

/// Answers that end in a chain with another behind it, each followed by another conversation's answer and by more of its own.
fn endings(tokens_per_submit: u32, prompt: &[u32], seed: u64) -> (Vec<Vec<u32>>, u64) {
    let mut engine = load(ENDS, &chains_of(tokens_per_submit));
    let mut sessions = [(); 2].map(|()| engine.new_session().unwrap());
    let [one, other] = &mut sessions;
    let free = generate(&mut engine, one, &greedy(prompt, 20)).text;
    let middle = free.chars().skip(free.chars().count() / 2);
    let stopped = GenerateRequest {
        stop: vec![middle.take(3).collect()],
        ..greedy(prompt, 40)
    };
    let ways = [
        (ending(prompt, seed), FinishReason::Stop),
        (stopped, FinishReason::StopString),
        (greedy(prompt, 40), FinishReason::Cancelled),
    ];
    let mut answers = Vec::new();
    for (request, reason) in ways {
        one.clear(&mut engine);
        other.clear(&mut engine);
        let (cancel, mut told) = (AtomicBool::new(false), 0);
        let mut on_event = |event: Event| {
            told += u32::from(matches!(event, Event::Token { .. }));
            cancel.store(
                reason == FinishReason::Cancelled && told >= 10,
                Ordering::Relaxed,
            );
        };
        let done = one.generate(&mut engine, &request, &cancel, &mut on_event);
        let done = pollster::block_on(done).unwrap();
        assert_eq!(done.finish_reason, reason);
        // The chain in which it is cancelled is told to its end: as far as both went.
        let own = done.tokens[..done.tokens.len().min(10)].to_vec();
        engine.poison_unused_kv();
        // One that the host chooses, fewer tokens than are under way; then one on the device.
        let here = GenerateRequest {
            logprobs: Some(0),
            ..greedy(&[5, 6, 7], 5)
        };
        let here = generate(&mut engine, other, &here).tokens;
        let others = generate(&mut engine, other, &greedy(&[5, 6, 7], 20)).tokens;
        assert_eq!(here, others[..5]);
        let more = [prompt, &own, &[7, 8, 9]].concat();
        let more = generate(&mut engine, one, &greedy(&more, 20)).tokens;
        answers.extend([own, others, more]);
    }
    (answers, engine.counters().submitted_ahead)
}

#[test]
fn what_is_under_way_when_an_answer_ends_changes_nothing() {
    let prompt = prompt(ENDS);
    let seed = seed_that_ends(&prompt);
    let (expected, none) = endings(1, &prompt, seed);
    assert_eq!(none, 0);
    let (answers, ahead) = endings(8, &prompt, seed);
    assert_eq!(answers, expected);
    assert_eq!(ahead > 0, device() == DeviceChoice::Gpu);
}
