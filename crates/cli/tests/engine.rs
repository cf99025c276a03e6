//! The command on a GPU, with the tiny model: answers, events, interruption, logits, perplexity, traces, figures.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use common::{Ended, Scratch, command, data, run, run_with_input, tiny};
use serde_json::{Value, json};

fn tiny_arg() -> String {
    tiny().to_string_lossy().into_owned()
}

fn read_json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(path)).expect("test data")).expect("JSON")
}

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
    for line in tokens {
        assert_eq!(keys(line), ["event", "id", "text"]);
        assert_eq!(line["event"], "token");
    }
    assert_eq!(
        keys(done),
        [
            "event",
            "prompt_tokens",
            "tokens",
            "text",
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
            "decode_tok_s"
        ]
    );
    assert_eq!(keys(&done["adapter"]), ["name", "backend", "type"]);
    assert!(
        done["timings"]
            .as_object()
            .expect("object")
            .values()
            .all(|v| v.as_f64().is_some_and(|v| v > 0.0)),
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
    let mut streamed: Vec<&Value> = tokens.iter().map(|l| &l["id"]).collect();
    // Text that was held back at the end comes with the last id once more.
    streamed.truncate(16);
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
fn an_adapter_that_is_not_there_is_4() {
    let ended = run([
        "run",
        &tiny_arg(),
        "hi",
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

/// Shape and values of a float32 .npy file.
fn npy(bytes: &[u8]) -> (String, Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + len) % 64, 0);
    let header = String::from_utf8(bytes[10..10 + len].to_vec()).expect("text");
    (
        header,
        bytes[10 + len..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
    )
}

#[test]
fn logits_are_those_of_the_reference_whatever_the_chunk() {
    let scratch = Scratch::new();
    let text = read_json("inputs/logits_prompt.json")["text"]
        .as_str()
        .expect("text")
        .to_owned();
    let ids = run(["tokenize", &tiny_arg(), &text, "--json"])
        .code(0)
        .json();
    let ids = json!(ids["tokens"].as_array().expect("ids")[..32]);
    let tokens = scratch.path("ids.json").to_string_lossy().into_owned();
    std::fs::write(&tokens, ids.to_string()).expect("written");
    let (_, want) =
        npy(&std::fs::read(data("logits/v2k-llama-Q4_K_M.deq.slice.npy")).expect("reference"));
    for chunk in ["1", "7", "32"] {
        let out = scratch
            .path(&format!("{chunk}.npy"))
            .to_string_lossy()
            .into_owned();
        let args = [
            "eval",
            &tiny_arg(),
            "--tokens",
            &tokens,
            "--logits",
            &out,
            "--chunk",
            chunk,
            "--precision",
            "exact",
            "--json",
        ];
        assert_eq!(run(args).code(0).json()["shape"], json!([32, 2048]));
        let (header, values) = npy(&std::fs::read(&out).expect("written"));
        assert!(
            header.contains("'descr': '<f4', 'fortran_order': False, 'shape': (32, 2048)"),
            "{header}"
        );
        assert_eq!(values.len(), 32 * 2048);
        for (row, want) in values.chunks(2048).zip(want.chunks(512)) {
            for (a, b) in row.iter().zip(want) {
                assert!((a - b).abs() <= 2e-4, "chunk {chunk}: {a} {b}");
            }
        }
    }
}

#[test]
fn eval_refuses_what_it_cannot_use() {
    let scratch = Scratch::new();
    let file = |name: &str, text: &str| {
        let path = scratch.path(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let out = scratch.path("o.npy").to_string_lossy().into_owned();
    let eval = |tokens: &str| run(["eval", &tiny_arg(), "--tokens", tokens, "--logits", &out]);
    eval(&scratch.path("none.json").to_string_lossy())
        .code(2)
        .error("E_FILE");
    eval(&file("a.json", "not json"))
        .code(2)
        .error("E_FILE_CONTENT");
    eval(&file("b.json", "[]")).code(2).error("E_FILE_CONTENT");
    eval(&file("c.json", "[1, 2048]")).code(2).error("E_USAGE");
    eval(&file("d.json", &json!(vec![5; 1025]).to_string()))
        .code(2)
        .error("E_CONTEXT");
    let unwritable = run([
        "eval",
        &tiny_arg(),
        "--tokens",
        &file("e.json", "[1]"),
        "--logits",
        "/nonexistent/o.npy",
    ]);
    unwritable.code(2).error("E_FILE");
}

#[test]
fn perplexity_is_that_of_the_logits() {
    let scratch = Scratch::new();
    let text = scratch.path("t.txt").to_string_lossy().into_owned();
    std::fs::write(&text, "The harbour at Lunden had two lights.\n").expect("written");
    let ended = run([
        "eval",
        &tiny_arg(),
        "--perplexity",
        &text,
        "--precision",
        "exact",
        "--json",
    ])
    .code(0)
    .json();
    let tokens = scratch.path("ids.json").to_string_lossy().into_owned();
    std::fs::write(&tokens, ended["ids"].to_string()).expect("written");
    let out = scratch.path("l.npy").to_string_lossy().into_owned();
    run([
        "eval",
        &tiny_arg(),
        "--tokens",
        &tokens,
        "--logits",
        &out,
        "--precision",
        "exact",
    ])
    .code(0);
    let (_, logits) = npy(&std::fs::read(&out).expect("written"));
    let ids: Vec<usize> = ended["ids"]
        .as_array()
        .expect("ids")
        .iter()
        .filter_map(|v| v.as_u64())
        .filter_map(|v| usize::try_from(v).ok())
        .collect();
    let rows = logits.chunks(2048);
    let nll: Vec<f64> = rows
        .zip(&ids[1..])
        .map(|(row, id)| {
            row.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln() - f64::from(row[*id])
        })
        .collect();
    let mean = nll.iter().sum::<f64>() / nll.len() as f64;
    assert_eq!(ended["n_scored"], nll.len());
    assert_eq!(ended["nll"].as_array().map(Vec::len), Some(nll.len()));
    assert!((ended["mean_nll"].as_f64().expect("number") - mean).abs() < 1e-6);
    assert!((ended["ppl"].as_f64().expect("number") - mean.exp()).abs() < 1e-2);
}

#[test]
fn a_trace_is_written_judged_and_compared() {
    let scratch = Scratch::new();
    let tokens = scratch.path("ids.json").to_string_lossy().into_owned();
    std::fs::write(&tokens, "{\"ids\": [504, 1408, 1201, 282, 426, 98]}").expect("written");
    let dump = scratch.path("dump").to_string_lossy().into_owned();
    let first = run([
        "trace",
        &tiny_arg(),
        "--tokens",
        &tokens,
        "--out",
        &dump,
        "--json",
    ])
    .code(0)
    .json();
    assert_eq!(first["faults"], json!([]));
    assert_eq!(first["ok"], true);
    let index: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("dump/index.json")).expect("index"))
            .expect("JSON");
    let names: Vec<&str> = index["taps"]
        .as_array()
        .expect("taps")
        .iter()
        .filter_map(|t| t["name"].as_str())
        .collect();
    for want in [
        "embd",
        "attn_norm-0",
        "q-0",
        "k-0",
        "v-0",
        "q_rope-0",
        "k_rope-0",
        "attn_stats-0",
        "attn_out-0",
        "ffn_inp-0",
        "ffn_norm-0",
        "ffn_swiglu-0",
        "ffn_out-0",
        "l_out-0",
        "l_out-1",
        "result_norm",
        "result_output",
    ] {
        assert!(names.contains(&want), "{want} is missing: {names:?}");
    }
    let (header, _) = npy(&std::fs::read(scratch.path("dump/result_output.npy")).expect("tap"));
    assert!(header.contains("(6, 2048)"), "{header}");
    let summary = std::fs::read_to_string(scratch.path("dump/summary.txt")).expect("summary");
    assert!(summary.contains("no faults"), "{summary}");

    let again = run(["trace", &tiny_arg(), "--against", &dump, "--json"])
        .code(0)
        .json();
    assert_eq!(again["comparison"]["first_difference"], Value::Null);
    assert_eq!(again["comparison"]["compared"], names.len());

    // One value of one tap changed: found, named, and exit code 1.
    let path = scratch.path("dump/k_rope-1.npy");
    let mut bytes = std::fs::read(&path).expect("tap");
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&1e3f32.to_le_bytes());
    std::fs::write(&path, bytes).expect("written");
    let differs = run(["trace", &tiny_arg(), "--against", &dump, "--json"])
        .code(1)
        .json();
    assert_eq!(differs["ok"], false);
    assert_eq!(differs["comparison"]["first_difference"]["tap"], "k_rope-1");
    let words = run(["trace", &tiny_arg(), "--against", &dump])
        .code(1)
        .stdout;
    assert!(
        words.contains("DIFFERS first at k_rope-1: token 5"),
        "{words}"
    );

    std::fs::write(&tokens, "[1, 2]").expect("written");
    run([
        "trace",
        &tiny_arg(),
        "--tokens",
        &tokens,
        "--against",
        &dump,
    ])
    .code(2)
    .error("E_USAGE");
}

#[test]
fn bench_counts_work_per_token() {
    let bench = || {
        run([
            "bench",
            &tiny_arg(),
            "-p",
            "9",
            "-g",
            "5",
            "-r",
            "2",
            "--json",
        ])
        .code(0)
    };
    let ended = bench();
    let lines = ended.json_lines();
    assert_eq!(lines.len(), 3);
    let last = &lines[2];
    for key in ["prefill_tok_s", "decode_tok_s", "ttft_ms"] {
        let spread = &last[key];
        let n = |k: &str| spread[k].as_f64().expect("number");
        assert!(
            n("min") > 0.0 && n("min") <= n("median") && n("median") <= n("max"),
            "{spread}"
        );
    }
    let counters = |v: &Value, keys: &[&str]| {
        keys.iter()
            .map(|k| v["counters"][k].as_f64().expect("number"))
            .collect::<Vec<_>>()
    };
    let fixed = [
        "dispatches_per_token",
        "weight_bytes_per_token",
        "kv_bytes_per_token",
        "readback_bytes_per_token",
        "submits_per_token",
        "gpu_bytes",
        "loader_peak_host_bytes",
    ];
    assert!(counters(last, &fixed).iter().all(|v| *v > 0.0), "{last}");
    // Nothing is created while decoding.
    assert_eq!(
        counters(
            last,
            &[
                "buffers_per_token",
                "bind_groups_per_token",
                "pipelines_per_token"
            ]
        ),
        [0.0; 3]
    );
    // The machine's mood does not show in the work.
    assert_eq!(
        counters(&bench().json(), &fixed[..3]),
        counters(last, &fixed[..3])
    );
    run(["bench", &tiny_arg(), "-p", "1020", "-g", "5"])
        .code(2)
        .error("E_USAGE");
}

#[cfg(target_os = "linux")]
#[test]
fn a_chat_on_a_terminal() {
    let cache = Scratch::new();
    // util-linux's `script` gives the command a terminal.
    let shell = format!(
        "'{}' run '{}' -n 3 --seed 1",
        env!("CARGO_BIN_EXE_wasm-chord"),
        tiny_arg()
    );
    let mut child = Command::new("script")
        .args(["-qec", &shell, "/dev/null"])
        .env("WASM_CHORD_CACHE", cache.path(""))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keys = child.stdin.take().expect("piped");
    let mut screen = Screen::of(child.stdout.take().expect("piped"));
    for (line, answer) in [
        ("Hello there", "stopped after 3 tokens"),
        ("/stats", "of 1024 tokens used"),
        ("/clear", "conversation forgotten"),
        ("/system Be brief.", "new conversation"),
        ("/exit", ""),
    ] {
        screen.wait_for("> ");
        keys.write_all(format!("{line}\r").as_bytes())
            .expect("typed");
        screen.wait_for(answer);
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let history = std::fs::read_to_string(cache.path("history")).expect("history");
    assert!(history.contains("Hello there"), "{history}");
}

/// What a terminal shows, as it comes.
struct Screen {
    bytes: std::sync::mpsc::Receiver<Vec<u8>>,
    shown: String,
    /// Everything before it was waited for.
    seen: usize,
}

impl Screen {
    fn of(mut output: impl std::io::Read + Send + 'static) -> Screen {
        let (send, bytes) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Screen {
            bytes,
            shown: String::new(),
            seen: 0,
        }
    }

    /// Reads on until `text` appears after what was waited for last.
    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            match self.bytes.recv_timeout(std::time::Duration::from_secs(120)) {
                Ok(more) => self.shown.push_str(&String::from_utf8_lossy(&more)),
                Err(e) => panic!("{text:?} does not come ({e}):\n{}", self.shown),
            }
        }
    }
}
