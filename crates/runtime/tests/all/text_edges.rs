//! The edges of a request: prompts of no, one and too many tokens, text cut across tokens, and every way to end.

use crate::common::*;
use chord_runtime::{
    Done, Engine, EngineOptions, Error, Event, FinishReason, GenerateRequest, Sampling, Session,
};
use std::sync::atomic::{AtomicBool, Ordering};

const SUBMITS: [Option<u32>; 4] = [Some(1), Some(4), Some(16), None];

fn with(context: u32, tokens_per_submit: Option<u32>) -> EngineOptions {
    EngineOptions {
        context: Some(context),
        tokens_per_submit,
        ..exact()
    }
}

fn prompt(name: &str, which: &str) -> Prompt {
    reference(name, "deq")
        .prompts
        .into_iter()
        .find(|p| p.name == which)
        .unwrap()
}

fn open(name: &str, options: &EngineOptions) -> (Engine, Session) {
    let mut engine = load(name, options);
    let session = engine.new_session().unwrap();
    (engine, session)
}

fn refused(engine: &mut Engine, session: &mut Session, request: &GenerateRequest) -> Error {
    pollster::block_on(session.generate(engine, request, &AtomicBool::new(false), &mut |_| {}))
        .unwrap_err()
}

/// A generation and the text of each of its events.
fn streamed(
    engine: &mut Engine,
    session: &mut Session,
    request: &GenerateRequest,
) -> (Done, Vec<String>) {
    let mut texts = Vec::new();
    let mut on_event = |event| {
        if let Event::Token { text, .. } = event {
            texts.push(text);
        }
    };
    let done = pollster::block_on(session.generate(
        engine,
        request,
        &AtomicBool::new(false),
        &mut on_event,
    ))
    .unwrap();
    (done, texts)
}

#[test]
fn an_empty_prompt_begins_with_the_beginning_of_text() {
    let (mut engine, mut session) = open(TINY, &with(128, None));
    let bos = engine.tokenizer().bos().expect("the model has one");
    let empty = generate(&mut engine, &mut session, &greedy(&[], 10));
    assert_eq!(empty.prompt_tokens, [bos]);
    session.clear(&mut engine);
    assert_eq!(
        generate(&mut engine, &mut session, &greedy(&[bos], 10)).tokens,
        empty.tokens
    );
}

#[test]
fn smollm2_one_token_is_a_prompt() {
    let single = prompt(SMOL, "single");
    assert_eq!(single.prompt_ids.len(), 1);
    let (mut engine, mut session) = open(SMOL, &with(128, None));
    let done = generate(&mut engine, &mut session, &greedy(&single.prompt_ids, 12));
    assert_eq!(done.tokens, single.ids[..12]);
    assert_eq!(done.timings.prefilled_tokens, 1);
}

#[test]
fn a_full_context_ends_with_length_and_never_overflows() {
    let ids = prompt(TINY, "capital");
    let long = prompt(TINY, "long").prompt_ids;
    for submit in SUBMITS {
        // 70: the last page is not a whole one.
        for context in [64, 70] {
            let (mut engine, mut session) = open(TINY, &with(context, submit));
            let request = GenerateRequest {
                max_tokens: None,
                ..greedy(&ids.prompt_ids, 0)
            };
            let done = generate(&mut engine, &mut session, &request);
            assert_eq!(done.finish_reason, FinishReason::Length);
            assert_eq!(
                done.tokens.len() + ids.prompt_ids.len(),
                context as usize,
                "every position is used"
            );
            assert_eq!(
                done.tokens[..48],
                ids.ids,
                "the context's end changes nothing before it"
            );
            assert_eq!(session.held_tokens(&engine), context - 1);

            // The prompt may fill all of it, and then there is no answer; one token more is refused with both numbers.
            let full = generate(
                &mut engine,
                &mut session,
                &greedy(&long[..context as usize], 5),
            );
            assert_eq!(
                (full.finish_reason, full.tokens.len()),
                (FinishReason::Length, 0)
            );
            assert_eq!(session.held_tokens(&engine), context);
            let error = refused(
                &mut engine,
                &mut session,
                &greedy(&long[..context as usize + 1], 5),
            );
            assert_eq!(error.code(), "E_CONTEXT");
            let words = error.to_string();
            assert!(
                words.contains(&context.to_string()) && words.contains(&(context + 1).to_string()),
                "{words}"
            );
            assert!(error.help().contains("longer context"), "{}", error.help());
            // One place left is one token.
            let last = generate(
                &mut engine,
                &mut session,
                &greedy(&long[..context as usize - 1], 5),
            );
            assert_eq!(
                (last.finish_reason, last.tokens.len()),
                (FinishReason::Length, 1)
            );
        }
    }
}

#[test]
fn a_token_id_outside_the_vocabulary_is_refused_by_number() {
    let (mut engine, mut session) = open(TINY, &with(64, None));
    let n_vocab = engine.config().n_vocab;
    let error = refused(&mut engine, &mut session, &greedy(&[1, n_vocab], 1));
    assert_eq!(error.code(), "E_TOKEN_ID");
    assert!(error.to_string().contains(&n_vocab.to_string()), "{error}");
    generate(&mut engine, &mut session, &greedy(&[1, n_vocab - 1], 1));
}

#[test]
fn no_tokens_asked_for_is_no_answer_and_a_computed_prompt() {
    let ids = prompt(TINY, "code");
    let (mut engine, mut session) = open(TINY, &with(128, None));
    let none = generate(&mut engine, &mut session, &greedy(&ids.prompt_ids, 0));
    assert_eq!(
        (none.finish_reason, none.tokens.len(), none.text.as_str()),
        (FinishReason::Length, 0, "")
    );
    assert_eq!(session.held_tokens(&engine) as usize, ids.prompt_ids.len());
    let then = generate(&mut engine, &mut session, &greedy(&ids.prompt_ids, 20));
    assert_eq!(
        then.timings.prefilled_tokens, 1,
        "the last token's logits are wanted"
    );
    assert_eq!(then.tokens, ids.ids[..20]);
}

#[test]
fn streamed_text_is_the_decoded_text_however_the_bytes_fall() {
    // Nearly uniform draws from the vocabulary: most of its byte tokens, whole and broken characters.
    let (mut engine, mut session) = open(TINY, &with(256, Some(16)));
    let (mut held_back, mut broken) = (0, 0);
    for seed in 0..12 {
        let sampling = Sampling {
            temperature: 50.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed,
            ..Sampling::default()
        };
        let request = GenerateRequest {
            sampling,
            ..greedy(&prompt(TINY, "single").prompt_ids, 100)
        };
        let (done, texts) = streamed(&mut engine, &mut session, &request);
        assert_eq!(texts.concat(), done.text);
        assert_eq!(done.text, engine.tokenizer().decode(&done.tokens, false));
        let empty =
            |(id, text): &(&u32, &String)| text.is_empty() && !engine.tokenizer().is_control(**id);
        held_back += done.tokens.iter().zip(&texts).filter(empty).count();
        broken += usize::from(done.text.contains('\u{fffd}'));
    }
    println!("{held_back} tokens ended inside a character, {broken} of 12 texts had broken ones");
    assert!(held_back > 10 && broken > 0);
}

#[test]
fn smollm2_emoji_and_cjk_split_across_tokens_come_whole() {
    let (mut engine, mut session) = open(SMOL, &with(256, None));
    for (text, character) in [
        ("🦀 🦀 🦀 🦀 🦀 🦀 🦀 🦀 🦀 🦀", "🦀"),
        ("猫 猫 猫 猫 猫 猫 猫 猫 猫 猫", "猫"),
    ] {
        let ids = engine.tokenizer().encode(
            text,
            chord_text::EncodeOptions {
                add_special: false,
                parse_special: false,
            },
        );
        let (done, texts) = streamed(&mut engine, &mut session, &greedy(&ids, 8));
        println!("{texts:?}");
        assert!(done.text.contains(character), "{:?}", done.text);
        assert!(texts.iter().any(String::is_empty), "no character was cut");
        // The last one may have been cut by the end of the answer.
        let broken = |t: &String| t.contains('\u{fffd}');
        assert!(!texts[..texts.len() - 1].iter().any(broken), "{texts:?}");
        assert_eq!(texts.concat(), done.text);
        assert_eq!(done.text, engine.tokenizer().decode(&done.tokens, false));
    }
}

/// A stop string that begins in one token of a known answer and ends in the next: (string, tokens up to its end).
fn straddling(texts: &[String]) -> (String, usize) {
    for i in 8..texts.len() - 1 {
        let (Some(end), Some(begin)) = (texts[i].chars().next_back(), texts[i + 1].chars().next())
        else {
            continue;
        };
        let stop = format!("{end}{begin}");
        let before: String = texts[..=i].concat();
        let single = |c: char| c != '\u{fffd}';
        if single(end) && single(begin) && !before.contains(&stop) {
            return (stop, i + 2);
        }
    }
    panic!("no two neighbours in {texts:?}");
}

fn stop_string_across_tokens(name: &str, which: &str, n: u32, submits: &[Option<u32>]) {
    let ids = prompt(name, which).prompt_ids;
    for submit in submits {
        let (mut engine, mut session) = open(name, &with(256, *submit));
        let (free, texts) = streamed(&mut engine, &mut session, &greedy(&ids, n));
        let (stop, until) = straddling(&texts);
        session.clear(&mut engine);
        let request = GenerateRequest {
            stop: vec!["never in it, surely".into(), stop.clone()],
            ..greedy(&ids, n)
        };
        let (done, texts) = streamed(&mut engine, &mut session, &request);
        println!("{name}: {:?} stops at {stop:?}: {:?}", free.text, done.text);
        assert_eq!(done.finish_reason, FinishReason::StopString);
        assert_eq!(done.text, free.text[..free.text.find(&stop).unwrap()]);
        assert_eq!(texts.concat(), done.text);
        assert_eq!(done.tokens, free.tokens[..until]);
        assert_eq!(
            session.held_tokens(&engine) as usize,
            ids.len() + until - 1,
            "what came after it is forgotten"
        );
        engine.poison_unused_kv();
        let whole = [&ids[..], &done.tokens].concat();
        let second = generate(&mut engine, &mut session, &greedy(&whole, n - until as u32));
        assert_eq!(second.timings.prefilled_tokens, 1);
        assert_eq!(
            second.tokens,
            free.tokens[until..],
            "the second turn goes on where it stopped"
        );
    }
}

#[test]
fn a_stop_string_across_tokens_ends_the_answer_before_it() {
    stop_string_across_tokens(TINY, "code", 48, &SUBMITS);
}

#[test]
fn smollm2_a_stop_string_across_tokens_ends_the_answer_before_it() {
    stop_string_across_tokens(SMOL, "capital", 16, &[Some(16)]);
}

/// Where the reference's answer ends, the answer is empty; with `ignore_eog` it goes on as the reference did.
fn end_of_generation_first(name: &str, which: &str, submits: &[Option<u32>]) {
    let p = prompt(name, which);
    let end = usize::try_from(p.eog_at).expect("the reference's answer ends");
    let ids = [&p.prompt_ids[..], &p.ids[..end]].concat();
    for submit in submits {
        let (mut engine, mut session) = open(name, &with(256, *submit));
        assert!(engine.tokenizer().eog().contains(&p.ids[end]));
        let request = GenerateRequest {
            ignore_eog: false,
            ..greedy(&ids, 10)
        };
        let (done, texts) = streamed(&mut engine, &mut session, &request);
        assert_eq!(
            (done.finish_reason, done.tokens.len(), done.text.as_str()),
            (FinishReason::Stop, 0, "")
        );
        assert_eq!(texts, [""; 0]);
        assert_eq!(session.tokens(), ids);
        // A few tokens before: the end comes inside a chain.
        let few = end.min(6);
        let request = GenerateRequest {
            ignore_eog: false,
            ..greedy(&ids[..ids.len() - few], 40)
        };
        let done = generate(&mut engine, &mut session, &request);
        assert_eq!(
            (done.finish_reason, &done.tokens[..]),
            (FinishReason::Stop, &p.ids[end - few..end])
        );
        engine.poison_unused_kv();
        let on = generate(&mut engine, &mut session, &greedy(&ids, 1));
        assert_eq!(on.tokens, [p.ids[end]]);
    }
}

#[test]
fn end_of_generation_first_is_an_empty_answer() {
    end_of_generation_first("v2k-llama-e288-Q4_K_M", "code", &SUBMITS);
}

#[test]
fn smollm2_end_of_generation_first_is_an_empty_answer() {
    end_of_generation_first(SMOL, "capital", &[Some(16)]);
}

/// Cancels at the first event that `when` says; the same request afterwards gives the whole answer.
fn cancelled_then_whole(name: &str, p: &Prompt, n: u32, when: impl Fn(&Event) -> bool) -> Done {
    let (mut engine, mut session) = open(name, &with(512, Some(4)));
    let cancel = AtomicBool::new(false);
    let mut on_event = |event: Event| {
        if when(&event) {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let request = greedy(&p.prompt_ids, n);
    let cut = pollster::block_on(session.generate(&mut engine, &request, &cancel, &mut on_event))
        .unwrap();
    assert_eq!(cut.finish_reason, FinishReason::Cancelled);
    engine.poison_unused_kv();
    let held = session.held_tokens(&engine);
    let whole = generate(&mut engine, &mut session, &request);
    assert_eq!(
        whole.timings.reused_tokens,
        held.min(p.prompt_ids.len() as u32 - 1),
        "what was computed is kept"
    );
    assert_eq!(whole.tokens, p.ids[..n as usize]);
    cut
}

#[test]
fn cancelled_during_prefill_and_during_decode_a_session_stays_usable() {
    let p = prompt(TINY, "unicode");
    let cut = cancelled_then_whole(TINY, &p, 40, |e| {
        matches!(e, Event::Prefill { done: 0, .. })
    });
    assert_eq!(
        (cut.tokens.len(), cut.timings.prefilled_tokens),
        (0, 32),
        "cancelled after the batch in progress"
    );
    let cut = cancelled_then_whole(
        TINY,
        &p,
        40,
        |e| matches!(e, Event::Prefill { done, total } if done == total),
    );
    assert_eq!((cut.tokens.len(), cut.timings.prefilled_tokens), (0, 65));
    let cut = cancelled_then_whole(
        TINY,
        &p,
        40,
        |e| matches!(e, Event::Token { id, .. } if *id == p.ids[0]),
    );
    assert!(!cut.tokens.is_empty() && cut.tokens.len() < 40);
    assert_eq!(cut.tokens, p.ids[..cut.tokens.len()]);
}

#[test]
fn smollm2_cancelled_during_decode_a_session_stays_usable() {
    let p = prompt(SMOL, "capital");
    let cut = cancelled_then_whole(SMOL, &p, 10, |e| matches!(e, Event::Token { .. }));
    assert!(!cut.tokens.is_empty() && cut.tokens.len() < 10);
}
