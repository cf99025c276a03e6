//! Settings, and what is said of an answer.

use super::*;

#[test]
fn flags_win_over_the_model_over_the_defaults() {
    let model = chord_model::config::SamplingDefaults {
        temp: Some(0.3),
        top_k: Some(7),
        penalty_last_n: Some(u32::MAX),
        ..Default::default()
    };
    let flags = SamplingArgs {
        temperature: Some(0.0),
        seed: Some(5),
        ..Default::default()
    };
    let s = sampling(&flags, &model);
    assert_eq!(
        (s.temperature, s.top_k, s.top_p, s.min_p, s.seed),
        (0.0, 7, 0.95, 0.05, 5)
    );
    let last_n = |flag| {
        let flags = SamplingArgs {
            repeat_last_n: flag,
            ..Default::default()
        };
        sampling(&flags, &model).repeat_last_n
    };
    assert_eq!((last_n(None), last_n(Some(0))), (u32::MAX, 0));
    let plain = sampling(&SamplingArgs::default(), &Default::default());
    assert_eq!(plain.repeat_last_n, 64);
    assert_ne!(
        sampling(&SamplingArgs::default(), &model).seed,
        sampling(&SamplingArgs::default(), &model).seed
    );
}

#[test]
fn the_done_line_has_exactly_the_promised_keys() {
    let done = Done {
        prompt_tokens: vec![1],
        tokens: vec![2, 3],
        text: "x".into(),
        reasoning: "r".into(),
        finish_reason: FinishReason::StopString,
        timings: Timings::default(),
    };
    let adapter = AdapterInfo {
        name: "n".into(),
        backend: "vulkan".into(),
        kind: "cpu".into(),
        driver: "d".into(),
    };
    let v = done_json(&done, &adapter, "because");
    let keys = |v: &Value| {
        v.as_object()
            .map(|m| m.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    assert_eq!(
        keys(&v),
        [
            "event",
            "prompt_tokens",
            "tokens",
            "text",
            "reasoning",
            "finish_reason",
            "timings",
            "adapter"
        ]
    );
    assert_eq!(
        keys(&v["timings"]),
        [
            "load_ms",
            "prefill_ms",
            "prefill_tok_s",
            "ttft_ms",
            "decode_ms",
            "decode_tok_s",
            "drafted_tokens",
            "accepted_tokens"
        ]
    );
    assert_eq!(
        v["adapter"],
        json!({"name": "n", "backend": "vulkan", "type": "cpu", "reason": "because"})
    );
    assert_eq!(v["finish_reason"], "stop_string");
}

#[test]
fn a_full_context_is_said_in_words() {
    let said = ending(FinishReason::Length, 40, None, 64).expect("said");
    assert!(said.contains("context of 64 tokens is full"), "{said}");
    assert!(
        ending(FinishReason::Length, 5, Some(5), 64)
            .expect("said")
            .contains("--max-tokens")
    );
    assert_eq!(ending(FinishReason::Stop, 5, Some(5), 64), None);
}
