//! Guessing ahead: every token, text and page as without it, in fewer passes where guesses hold.

use crate::common::*;
use chord_runtime::{
    DeviceChoice, Done, EngineOptions, FinishReason, GenerateRequest, Overflow, Precision,
    Sampling, Speculate, Timings,
};
use chord_text::EncodeOptions;

fn with(speculate: Speculate, options: &EngineOptions) -> EngineOptions {
    EngineOptions {
        speculate,
        ..options.clone()
    }
}

fn prompt(name: &str) -> Vec<u32> {
    reference(name, "deq").prompts.swap_remove(0).prompt_ids
}

/// Each answer, and what comes when the conversation goes on: the slots that nobody may read are NaN by then, and so is what
/// guesses that did not hold left in them.
fn answers(name: &str, options: &EngineOptions, requests: &[GenerateRequest]) -> Vec<Done> {
    let mut engine = load(name, options);
    let mut session = engine.new_session().unwrap();
    let mut all = Vec::new();
    for request in requests {
        let done = generate(&mut engine, &mut session, request);
        engine.poison_unused_kv();
        let then = GenerateRequest {
            prompt: [&done.prompt_tokens[..], &done.tokens, &[5]].concat(),
            ..request.clone()
        };
        all.push(done);
        all.push(generate(&mut engine, &mut session, &then));
        session.clear(&mut engine);
    }
    all
}

fn guesses(done: &[Done]) -> (u32, u32) {
    let sum = |of: fn(&Done) -> u32| done.iter().map(of).sum();
    (
        sum(|d| d.timings.drafted_tokens),
        sum(|d| d.timings.accepted_tokens),
    )
}

/// The requests' answers without guessing, then with: with a prediction that is right, and one with every seventh token wrong.
fn changes_nothing(name: &str, options: &EngineOptions, requests: &[GenerateRequest]) {
    let plain = answers(name, &with(Speculate::Off, options), requests);
    assert_eq!(guesses(&plain), (0, 0));
    let decoded: usize = plain.iter().map(|d| d.tokens.len()).sum();
    for speculate in [Speculate::Lookup, Speculate::Auto] {
        for wrong in [false, true] {
            let expecting = |(request, done): (&GenerateRequest, &Done)| {
                let mut prediction = done.tokens.clone();
                for id in prediction.iter_mut().skip(3).step_by(7).filter(|_| wrong) {
                    *id ^= 1;
                }
                GenerateRequest {
                    prediction,
                    ..request.clone()
                }
            };
            let expecting: Vec<_> = requests
                .iter()
                .zip(plain.iter().step_by(2))
                .map(expecting)
                .collect();
            let done = answers(name, &with(speculate, options), &expecting);
            for (ours, plain) in done.iter().zip(&plain) {
                assert_eq!(
                    ours.tokens, plain.tokens,
                    "{name}, {speculate:?}, {wrong:?}"
                );
                assert_eq!(ours.text, plain.text);
                assert_eq!(ours.finish_reason, plain.finish_reason);
            }
            let (drafted, held) = guesses(&done);
            println!("{name}, {speculate:?}: {held} of {drafted} guesses held, {decoded} tokens");
            if speculate == Speculate::Lookup {
                // Half of the answers were predicted: all but a pass's own token of every eight. After an error the device may go on
                // alone for as many tokens as its speed lets it chain.
                let enough = if wrong {
                    held > 0
                } else {
                    held as usize * 3 >= decoded
                };
                assert!(enough, "{held} of {decoded}");
                assert!(!wrong || held < drafted, "some must fail");
            }
        }
    }
}

fn requests(prompt: &[u32], n: u32) -> Vec<GenerateRequest> {
    let drawn = |temperature, seed| GenerateRequest {
        sampling: Sampling {
            temperature,
            seed,
            ..Sampling::default()
        },
        ..greedy(prompt, n)
    };
    vec![greedy(prompt, n), drawn(1.0, 1), drawn(1.5, u64::MAX)]
}

#[test]
fn tiny_guesses_change_no_token_on_both() {
    changes_nothing(TINY, &exact(), &requests(&prompt(TINY), 40));
}

/// A GPU's kernels for one row and for several may round to either side of an int8 step.
#[test]
fn tiny_guesses_change_no_token_with_int8_operands_on_cpu() {
    assert_eq!(device(), DeviceChoice::Cpu, "this holds on the CPU only");
    let fast = EngineOptions {
        precision: Precision::Fast,
        ..exact()
    };
    changes_nothing(TINY, &fast, &requests(&prompt(TINY), 40));
}

#[test]
fn families_guesses_change_no_token() {
    for name in [
        "v2k-qwen3-Q4_K_M",
        "v2k-gemma2-Q4_K_M",
        "v2k-gemma3-Q4_K_M",
        "v2k-qwen3moe-Q4_K_M",
        "v2k-gpt-oss-MXFP4",
    ] {
        changes_nothing(name, &exact(), &requests(&prompt(name), 24)[..2]);
    }
}

#[test]
fn ring_guesses_change_no_token() {
    for sink_pages in [0, 1] {
        let ring = EngineOptions {
            overflow: Overflow::Ring { sink_pages },
            context: Some(96),
            ..exact()
        };
        changes_nothing(TINY, &ring, &requests(&prompt(TINY), 150)[..2]);
    }
}

#[test]
fn smollm2_guesses_change_no_token_and_its_text_repeats() {
    let sentence = "The cat sat on the mat near the door and looked at the rain. ";
    let text = format!("{}The cat sat", sentence.repeat(3));
    let options = with(Speculate::Lookup, &base());
    let mut engine = load(SMOL, &options);
    let ids = engine.tokenizer().encode(&text, EncodeOptions::default());
    let plain = answers(SMOL, &with(Speculate::Off, &base()), &[greedy(&ids, 12)]);
    let mut session = engine.new_session().unwrap();
    let before = engine.counters();
    let done = generate(&mut engine, &mut session, &greedy(&ids, 12));
    assert_eq!(done.tokens, plain[0].tokens);
    let work = engine.counters().since(&before);
    assert!(work.accepted_tokens >= 8, "{work:?} {}", done.text);
    let timings = done.timings;
    assert_eq!(u64::from(timings.accepted_tokens), work.accepted_tokens);
    assert_eq!(u64::from(timings.drafted_tokens), work.drafted_tokens);
}

#[test]
fn tiny_a_guess_is_never_more_than_was_asked_for() {
    let all = answers(
        TINY,
        &with(Speculate::Off, &exact()),
        &[greedy(&prompt(TINY), 24)],
    );
    let mut engine = load(TINY, &with(Speculate::Lookup, &exact()));
    let mut session = engine.new_session().unwrap();
    for n in 0..24 {
        let request = GenerateRequest {
            prediction: all[0].tokens.clone(),
            ..greedy(&prompt(TINY), n)
        };
        let done = generate(&mut engine, &mut session, &request);
        assert_eq!(done.tokens, all[0].tokens[..n as usize]);
        assert_eq!(done.finish_reason, FinishReason::Length);
        // The last token has not been through the layers.
        let held = done.prompt_tokens.len() as u32 + n.saturating_sub(1);
        assert_eq!(session.held_tokens(&engine), held, "{n} tokens");
    }
}

#[test]
fn tiny_a_stop_string_and_an_end_inside_a_guess_end_the_answer() {
    let ids = prompt(TINY);
    let plain = answers(TINY, &with(Speculate::Off, &exact()), &[greedy(&ids, 24)]).swap_remove(0);
    let mut engine = load(TINY, &with(Speculate::Lookup, &exact()));
    let mut session = engine.new_session().unwrap();
    let expecting = |stop: &str| GenerateRequest {
        prediction: plain.tokens.clone(),
        stop: vec![stop.to_owned()],
        ..greedy(&ids, 24)
    };
    let mut stopped = 0;
    for at in 2..20 {
        let piece = engine.tokenizer().piece(plain.tokens[at]).unwrap();
        // Control tokens are no text.
        let stop = String::from_utf8_lossy(piece).into_owned();
        let Some(end) = plain.text.find(&stop) else {
            continue;
        };
        let done = generate(&mut engine, &mut session, &expecting(&stop));
        assert_eq!(done.finish_reason, FinishReason::StopString, "{stop:?}");
        assert_eq!(done.text, plain.text[..end]);
        assert_eq!(done.tokens, plain.tokens[..done.tokens.len()]);
        engine.poison_unused_kv();
        let whole = generate(&mut engine, &mut session, &expecting("never to be found"));
        assert_eq!(whole.tokens, plain.tokens);
        stopped += 1;
    }
    assert!(stopped > 5, "{stopped} pieces are text");
}

#[test]
fn a_predicted_token_outside_the_vocabulary_is_refused() {
    let mut engine = load(TINY, &with(Speculate::Lookup, &exact()));
    let mut session = engine.new_session().unwrap();
    let request = GenerateRequest {
        prediction: vec![1, engine.config().n_vocab],
        ..greedy(&prompt(TINY), 3)
    };
    let refused = pollster::block_on(session.generate(&mut engine, &request, &NEVER, &mut |_| {}));
    assert_eq!(refused.unwrap_err().code(), "E_TOKEN_ID");
}

fn drafted(name: &str, smaller: &str, request: &GenerateRequest) -> Done {
    let options = with(Speculate::Off, &exact());
    let mut engine = load(name, &options);
    pollster::block_on(engine.draft_with(load(smaller, &options))).unwrap();
    let mut session = engine.new_session().unwrap();
    let done = generate(&mut engine, &mut session, request);
    // A conversation that goes on, and another one between: the smaller model follows.
    let next = [&done.prompt_tokens[..], &done.tokens, &[7]].concat();
    let then = generate(&mut engine, &mut session, &greedy(&next, 12));
    session.clear(&mut engine);
    let again = generate(&mut engine, &mut session, request);
    assert_eq!(again.tokens, done.tokens);
    assert_eq!(then.tokens.len(), 12);
    done
}

#[test]
fn tiny_a_smaller_models_guesses_change_no_token() {
    for request in requests(&prompt(TINY), 40) {
        let options = with(Speculate::Off, &exact());
        let plain = answers(TINY, &options, std::slice::from_ref(&request)).swap_remove(0);
        // The same model guesses right, drawn tokens too; one that rotates otherwise is mostly wrong.
        let own = drafted(TINY, TINY, &request);
        assert_eq!(own.tokens, plain.tokens);
        let Timings {
            drafted_tokens,
            accepted_tokens,
            ..
        } = own.timings;
        println!("its own: {accepted_tokens} of {drafted_tokens}");
        assert!(accepted_tokens > 0 && accepted_tokens == drafted_tokens);
        let other = drafted(TINY, "v2k-llama-linear-Q4_K_M", &request);
        assert_eq!(other.tokens, plain.tokens);
        println!(
            "another: {} of {}",
            other.timings.accepted_tokens, other.timings.drafted_tokens
        );
    }
}

#[test]
fn smollm2_refuses_a_draft_model_of_other_tokens() {
    let mut engine = load(TINY, &exact());
    let refused = pollster::block_on(engine.draft_with(load(SMOL, &exact())));
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "E_DRAFT_VOCABULARY");
    assert!(error.to_string().contains("token"), "{error}");
}
