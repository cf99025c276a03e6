//! An answer that broke off goes on as if it had not: same ids, same text, same events. And what log probabilities say.

use crate::common::*;
use chord_runtime::{Done, Engine, Event, FinishReason, GenerateRequest, Logprobs, Sampling};
use chord_text::{EncodeOptions, ReasoningFormat};

type Token = (u32, String);

fn events(engine: &mut Engine, request: &GenerateRequest) -> (Vec<Token>, FinishReason, String) {
    let mut session = engine.new_session().unwrap();
    let mut tokens = Vec::new();
    let done = pollster::block_on(session.generate(engine, request, &NEVER, &mut |event| {
        if let Event::Token { id, text, .. } = event {
            tokens.push((id, text));
        }
    }))
    .unwrap();
    session.close(engine);
    assert_eq!(done.prompt_tokens, request.prompt);
    assert_eq!(
        done.tokens,
        tokens.iter().map(|(id, _)| *id).collect::<Vec<_>>()
    );
    assert_eq!(
        done.text,
        tokens
            .iter()
            .map(|(_, text)| text.as_str())
            .collect::<String>()
    );
    (tokens, done.finish_reason, done.text)
}

#[test]
fn an_answer_resumed_anywhere_is_the_same_answer_on_both() {
    let mut engine = load(TINY, &exact());
    let prompt = &reference(TINY, "deq").prompts[1].prompt_ids.clone();
    let settings = [
        (Sampling::greedy(), vec![]),
        (
            Sampling {
                seed: 7,
                ..Sampling::default()
            },
            vec![],
        ),
        (
            Sampling {
                repeat_penalty: 1.3,
                seed: 7,
                ..Sampling::default()
            },
            vec![],
        ),
    ];
    for (sampling, stop) in settings {
        let mut request = GenerateRequest {
            prompt: prompt.clone(),
            max_tokens: Some(20),
            sampling,
            stop,
            ignore_eog: true,
            ..GenerateRequest::default()
        };
        let whole = events(&mut engine, &request);
        // A stop string in the middle of the answer, so that one end is of that kind.
        let middle = whole.0[9].1.trim().to_owned();
        request.stop = vec![middle];
        let stopped = events(&mut engine, &request);
        for (whole, stop) in [(whole, vec![]), (stopped, request.stop.clone())] {
            request.stop = stop;
            for given in [0, 1, 5, whole.0.len() - 1, whole.0.len()] {
                request.resume = whole.0[..given].iter().map(|(id, _)| *id).collect();
                assert_eq!(events(&mut engine, &request), whole, "after {given} tokens");
            }
            request.resume.clear();
        }
    }
}

#[test]
fn logprobs_are_those_of_the_logits() {
    let mut engine = load(TINY, &exact());
    let prompt = reference(TINY, "deq").prompts[1].prompt_ids.clone();
    let request = GenerateRequest {
        logprobs: Some(3),
        ..greedy(&prompt, 6)
    };
    let plain = events(&mut engine, &greedy(&prompt, 6));
    let mut seen: Vec<(u32, Logprobs)> = Vec::new();
    let mut session = engine.new_session().unwrap();
    pollster::block_on(
        session.generate(&mut engine, &request, &NEVER, &mut |event| {
            if let Event::Token { id, logprobs, .. } = event {
                seen.push((id, logprobs.expect("asked for")));
            }
        }),
    )
    .unwrap();
    session.close(&mut engine);
    let ids: Vec<u32> = seen.iter().map(|(id, _)| *id).collect();
    assert_eq!(
        ids,
        plain.0.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        "asking changes nothing"
    );
    let tokens = [prompt.clone(), ids].concat();
    let rows = eval(&mut engine, &tokens, 32);
    for (step, (id, logprobs)) in seen.iter().enumerate() {
        let row = &rows[prompt.len() - 1 + step];
        let total: f64 = row.iter().map(|l| f64::from(*l).exp()).sum();
        let of = |id: u32| f64::from(row[id as usize]) - total.ln();
        assert!((f64::from(logprobs.logprob) - of(*id)).abs() < 1e-3);
        assert_eq!(logprobs.top.len(), 3);
        assert_eq!(logprobs.top[0].0, *id, "greedy takes the likeliest");
        assert!(logprobs.top.windows(2).all(|w| w[0].1 >= w[1].1));
        for (id, p) in &logprobs.top {
            assert!((f64::from(*p) - of(*id)).abs() < 1e-3);
        }
    }
}

/// Tokens of a broken attempt come back with their parts, and the parts are the same wherever it broke.
#[test]
fn reasoning_is_parted_wherever_an_answer_is_resumed() {
    let mut engine = load(TINY, &exact());
    let prompt = reference(TINY, "deq").prompts[1].prompt_ids.clone();
    let plain = EncodeOptions::default();
    let said = engine
        .tokenizer()
        .encode("<think>\nHm, so.\n</think>\n\nBlue", plain);
    let format = ReasoningFormat::of_template("</think>").unwrap();
    let request = |resume: &[u32], stop: &str| GenerateRequest {
        prompt: prompt.clone(),
        max_tokens: Some(said.len() as u32 + 6),
        sampling: Sampling::greedy(),
        reasoning: Some(format.behind("assistant\n")),
        stop: vec![stop.into()],
        resume: resume.to_vec(),
        ..GenerateRequest::default()
    };
    let mut run = |request: &GenerateRequest| {
        let mut session = engine.new_session().unwrap();
        let (mut reasoning, mut text) = (String::new(), String::new());
        let done = pollster::block_on(session.generate(&mut engine, request, &NEVER, &mut |e| {
            if let Event::Token {
                text: t,
                reasoning: r,
                ..
            } = e
            {
                text.push_str(&t);
                reasoning.push_str(&r);
            }
        }))
        .unwrap();
        session.close(&mut engine);
        assert_eq!((&done.text, &done.reasoning), (&text, &reasoning));
        done
    };
    let whole = run(&request(&said, "never in it, surely"));
    assert_eq!(whole.reasoning, "Hm, so.");
    assert!(whole.text.starts_with("Blue"), "{:?}", whole.text);
    assert_eq!(whole.tokens.len(), said.len() + 6);
    for broken in said.len()..whole.tokens.len() {
        let again = run(&request(&whole.tokens[..broken], "never in it, surely"));
        let parts = |done: &Done| {
            (
                done.tokens.clone(),
                done.text.clone(),
                done.reasoning.clone(),
            )
        };
        assert_eq!(parts(&again), parts(&whole));
    }
    // A stop string ends the answer, not the reasoning.
    let done = run(&request(&said, "so."));
    assert_eq!((done.tokens, done.text), (whole.tokens, whole.text));
    let done = run(&request(&said, "lue"));
    assert_eq!(done.finish_reason, FinishReason::StopString);
    assert_eq!(
        (done.reasoning.as_str(), done.text.as_str()),
        ("Hm, so.", "B")
    );
    // Without a format it is all text.
    let all = GenerateRequest {
        reasoning: None,
        ..request(&said, "lue")
    };
    assert_eq!(run(&all).text, "<think>\nHm, so.\n</think>\n\nB");
}
