//! Answers of the command, with the tiny model: events, templates, stop strings, full contexts, interruption.

use std::io::{BufRead as _, BufReader};

use crate::common::{Ended, NO_GPU, command, device, read_json, run, run_with_input, tiny_arg};
use serde_json::{Value, json};

/// `run MODEL PROMPT --raw --temperature 0 --precision exact --json` and more.
fn greedy(prompt: &str, more: &[&str]) -> Ended {
    let model = tiny_arg();
    let fixed = [
        "run",
        &model,
        prompt,
        "--raw",
        "--temperature",
        "0",
        "--precision",
        "exact",
        "--json",
    ];
    run(fixed.into_iter().chain(more.iter().copied()))
}

#[test]
fn events_have_exactly_the_promised_shape_and_the_reference_ids() {
    let reference = read_json("run/v2k-llama-Q4_K_M.deq.json");
    let prompt = &reference["prompts"][0];
    let ended = greedy(prompt["text"].as_str().expect("text"), &["-n", "16"]).code(0);
    let lines = ended.json_lines();
    let keys = |v: &Value| {
        v.as_object()
            .expect("object")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let (done, tokens) = lines.split_last().expect("lines");
    // One event per token: text that was held back comes with the last token, not with an event of its own.
    assert_eq!(tokens.len(), 16);
    for line in tokens {
        assert_eq!(keys(line), ["event", "id", "text", "reasoning"]);
        assert_eq!(line["event"], "token");
    }
    assert_eq!(
        keys(done),
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
        keys(&done["timings"]),
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
        keys(&done["adapter"]),
        ["name", "backend", "type", "reason"]
    );
    let on_cpu = done["adapter"]["backend"] == "cpu";
    assert_eq!(on_cpu, device() == "cpu", "{done}");
    let reason = done["adapter"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("as asked"), "{reason}");
    let said = ended.stderr.lines().find(|l| l.starts_with("device: "));
    assert!(
        said.is_some_and(|l| l.ends_with(reason)),
        "{}",
        ended.stderr
    );
    assert!(
        done["timings"]
            .as_object()
            .expect("object")
            .iter()
            .all(|(key, v)| v
                .as_f64()
                .is_some_and(|v| v > 0.0 || key.ends_with("_tokens"))),
        "{done}"
    );
    assert_eq!(done["event"], "done");
    assert_eq!(done["finish_reason"], "length");
    assert_eq!(done["prompt_tokens"], prompt["prompt_ids"]);
    assert_eq!(
        done["tokens"].as_array().expect("ids")[..],
        prompt["ids"].as_array().expect("ids")[..16]
    );
    let joined: String = tokens
        .iter()
        .map(|l| l["text"].as_str().expect("text"))
        .collect();
    assert_eq!(done["text"], joined);
    let streamed: Vec<&Value> = tokens.iter().map(|l| &l["id"]).collect();
    assert_eq!(json!(streamed), done["tokens"]);
    assert!(
        ended.stderr.contains("context: 1024 tokens"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("--max-tokens"), "{}", ended.stderr);
}

#[test]
fn plain_output_is_the_text_and_a_newline() {
    let text = greedy("Hello", &["-n", "8"]).code(0).json()["text"]
        .as_str()
        .expect("text")
        .to_owned();
    let plain = run([
        "run",
        &tiny_arg(),
        "Hello",
        "--raw",
        "--temperature",
        "0",
        "--precision",
        "exact",
        "-n",
        "8",
    ])
    .code(0);
    assert_eq!(plain.stdout, format!("{text}\n"));
}

#[test]
fn a_prompt_from_standard_input_is_the_same_prompt() {
    let model = tiny_arg();
    let prompt = "Grüße an 日本 🙂";
    let want = greedy(prompt, &["-n", "4"]).code(0).json()["tokens"].clone();
    for dash in [&["-"][..], &[]] {
        let args = ["run", &model].into_iter().chain(dash.iter().copied());
        let args = args.chain([
            "--raw",
            "--temperature",
            "0",
            "--precision",
            "exact",
            "--json",
            "-n",
            "4",
        ]);
        let ended = run_with_input(args, format!("{prompt}\n").as_bytes()).code(0);
        assert_eq!(ended.json()["tokens"], want);
    }
}

#[test]
fn the_template_is_applied_and_the_system_text_reaches_it() {
    let model = tiny_arg();
    let ended = run([
        "run",
        &model,
        "1+1? <|im_end|>",
        "--system",
        "Be brief.",
        "-n",
        "1",
        "--json",
    ])
    .code(0);
    let prompt = json!({"tokens": ended.json()["prompt_tokens"]}).to_string();
    let text = run_with_input(["detokenize", &model, "--json"], prompt.as_bytes())
        .code(0)
        .json();
    let text = text["text"].as_str().expect("text");
    assert!(
        text.contains("<|im_start|>system\nBe brief.<|im_end|>"),
        "{text}"
    );
    assert!(
        text.ends_with("<|im_start|>user\n1+1? <|im_end|><|im_end|>\n<|im_start|>assistant\n"),
        "{text}"
    );
    // What the user typed is text: only the template's own marks are control tokens.
    let plain = run_with_input(
        ["detokenize", &model, "--json", "--skip-special"],
        prompt.as_bytes(),
    )
    .code(0)
    .json();
    assert!(
        plain["text"]
            .as_str()
            .expect("text")
            .contains("1+1? <|im_end|>\n"),
        "{plain}"
    );
}

#[test]
fn a_seed_repeats_an_answer_and_another_one_does_not() {
    let model = tiny_arg();
    let tokens = |seed: &str| {
        run([
            "run",
            &model,
            "Once",
            "--raw",
            "--temperature",
            "1.5",
            "--seed",
            seed,
            "-n",
            "12",
            "--json",
        ])
        .code(0)
        .json()["tokens"]
            .clone()
    };
    assert_eq!(tokens("7"), tokens("7"));
    assert_ne!(tokens("7"), tokens("8"));
}

#[test]
fn a_stop_string_ends_the_answer_before_it() {
    let whole = greedy("The capital of France is", &["-n", "12"])
        .code(0)
        .json();
    let text = whole["text"].as_str().expect("text");
    // Across the border of two tokens: neither token holds it.
    let stop = "obs work";
    let at = text
        .find(stop)
        .unwrap_or_else(|| panic!("{stop:?} is not in {text:?}"));
    let ended = greedy(
        "The capital of France is",
        &["-n", "12", "--stop", "never there", "--stop", stop],
    )
    .code(0);
    let done = ended.json();
    assert_eq!(done["finish_reason"], "stop_string");
    assert_eq!(done["text"], text[..at]);
    let streamed: String = ended
        .json_lines()
        .iter()
        .filter(|l| l["event"] == "token")
        .map(|l| l["text"].as_str().expect("text"))
        .collect();
    assert_eq!(
        done["text"], streamed,
        "nothing of the stop string is streamed"
    );
}

#[test]
fn a_full_context_ends_with_length_and_says_so() {
    let ended = greedy("The capital of France is", &["--ctx", "40"]).code(0);
    let done = ended.json();
    assert_eq!(done["finish_reason"], "length");
    let n = |key: &str| done[key].as_array().map_or(0, Vec::len);
    assert!(
        (39..=41).contains(&(n("prompt_tokens") + n("tokens"))),
        "{} + {}",
        n("prompt_tokens"),
        n("tokens")
    );
    assert!(
        ended.stderr.contains("the context of 40 tokens is full"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("context: 40 tokens (as asked with --ctx)"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_prompt_longer_than_the_context_names_both_numbers() {
    let prompt = "word ".repeat(100);
    let n = run(["tokenize", &tiny_arg(), &prompt, "--json"])
        .code(0)
        .json()["tokens"]
        .as_array()
        .map_or(0, Vec::len);
    let ended = greedy(&prompt, &["--ctx", "64"]).code(2).error("E_CONTEXT");
    assert!(
        ended.stderr.contains(&n.to_string()) && ended.stderr.contains("64"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.json()["code"], "E_CONTEXT");
}

#[test]
fn an_adapter_that_is_not_there_is_4_on_gpu() {
    let ended = run([
        "run",
        &tiny_arg(),
        "hi",
        "--device",
        "gpu",
        "--adapter",
        "no such adapter",
        "--json",
    ])
    .code(4)
    .error("E_NO_ADAPTER");
    assert_eq!(ended.json()["event"], "error");
    let list = run(["adapters", "--json"]).code(0).json();
    let first = &list["adapters"][0];
    for key in ["name", "backend", "type"] {
        assert!(first[key].is_string(), "{first}");
    }
}

#[test]
fn without_a_gpu_the_cpu_answers_and_the_reason_is_said() {
    let model = tiny_arg();
    let args = "run MODEL hi --device auto --threads 1 --raw -n 2 --json".split(' ');
    let args = args.map(|a| if a == "MODEL" { &model } else { a });
    let output = command(args).env(NO_GPU.0, NO_GPU.1).output();
    let ended = Ended::of(output.expect("the command starts")).code(0);
    let adapter = &ended.json()["adapter"];
    assert_eq!(adapter["backend"], "cpu");
    assert_eq!(adapter["name"], "CPU, 1 thread");
    assert_eq!(adapter["reason"], "the CPU: there is no GPU adapter");
}

/// Starts a long answer and reads its first event.
#[cfg(unix)]
fn long_answer() -> (
    std::process::Child,
    impl Iterator<Item = std::io::Result<String>>,
) {
    let args = [
        "run",
        &tiny_arg(),
        "The",
        "--raw",
        "--temperature",
        "2",
        "--top-k",
        "0",
        "--min-p",
        "0",
        "--seed",
        "3",
        "--json",
    ];
    let mut child = command(args).spawn().expect("the command starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let first: Value =
        serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
    assert_eq!(first["event"], "token");
    (child, lines)
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_answer_with_130_and_a_done_line() {
    use nix::sys::signal::{Signal, kill};
    let (mut child, lines) = long_answer();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("sent");
    let last = lines.last().expect("more lines").expect("text");
    let done: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(
        (done["event"].as_str(), done["finish_reason"].as_str()),
        (Some("done"), Some("cancelled"))
    );
    assert!(done["tokens"].as_array().is_some_and(|t| !t.is_empty()));
    assert_eq!(child.wait().expect("the command ends").code(), Some(130));
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_ends_the_answer_quietly() {
    let (child, lines) = long_answer();
    drop(lines);
    let ended = Ended::of(child.wait_with_output().expect("the command ends")).code(0);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
}
