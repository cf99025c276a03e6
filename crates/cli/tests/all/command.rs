//! The command without a GPU: help, usage, exit codes, tokenizing, inspecting. No driver is visible to these processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use crate::common::{Ended, NO_GPU, Scratch, command, data, run, run_with_input, tiny, tiny_arg};
use serde_json::{Value, json};

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let help = run(["--help"]).code(0).stdout;
    for word in [
        "run",
        "inspect",
        "tokenize",
        "detokenize",
        "eval",
        "trace",
        "bench",
        "adapters",
        "Exit codes:",
        "hf:owner/repo",
    ] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
    assert!(
        run(["--version"])
            .code(0)
            .stdout
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn help_of_run_names_every_flag() {
    let help = run(["run", "--help"]).code(0).stdout;
    for flag in [
        "--system",
        "--raw",
        "--think",
        "--no-think",
        "--tools",
        "--chat-template-kwarg",
        "--max-tokens",
        "-n",
        "--temperature",
        "--top-k",
        "--top-p",
        "--min-p",
        "--repeat-penalty",
        "--repeat-last-n",
        "--presence-penalty",
        "--frequency-penalty",
        "--seed",
        "--stop",
        "--ctx",
        "--kv",
        "--precision",
        "--device",
        "--adapter",
        "--threads",
        "--verbose",
        "--json",
    ] {
        assert!(help.contains(flag), "{flag} is missing:\n{help}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let model = tiny_arg();
    for args in [
        vec![],
        vec!["dance"],
        vec!["run"],
        vec!["run", &model, "hi", "--no-such-flag"],
        vec!["run", &model, "hi", "--top-p", "3"],
        vec!["run", &model, "hi", "--raw", "--system", "s"],
        vec!["run", &model, "hi", "--raw", "--think"],
        vec!["run", &model, "hi", "--think", "--no-think"],
        vec!["run", &model, "hi", "--tools", "no/such/file"],
        vec!["run", &model, "hi", "--chat-template-kwarg", "x"],
        vec!["run", &model, "hi", "--chat-template-kwarg", "tools=[]"],
        vec!["run", &model, "hi", "--temperature", "101"],
        vec!["run", &model, "hi", "--device", "bogus"],
        vec!["run", &model, "hi", "--device", "cpu", "--adapter", "x"],
        vec!["run", &model, "hi", "--device", "gpu", "--threads", "2"],
        vec!["run", &model, "hi", "--threads", "0"],
        vec!["eval", &model, "--perplexity", "x", "--chunk", "33"],
        vec!["eval", &model],
        vec!["eval", &model, "--tokens", "x.json"],
        vec![
            "eval",
            &model,
            "--perplexity",
            "x",
            "--tokens",
            "y",
            "--logits",
            "z",
        ],
        vec!["trace", &model, "--tokens", "x.json"],
        vec!["tokenize", "hf:onlyowner/m.gguf", "x"],
    ] {
        let ended = run(&args).code(2);
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn wrong_usage_with_json_is_said_in_json_too() {
    let ended = run(["run", "m.gguf", "hi", "--json", "--top-k", "many"]).code(2);
    let line = ended.json();
    assert_eq!(line["event"], "error");
    assert_eq!(line["code"], "E_USAGE");
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|m| m.contains("--top-k")),
        "{line}"
    );
    assert!(line["help"].is_string());
}

#[test]
fn ids_equal_the_reference_for_every_string() {
    let reference: Value =
        serde_json::from_slice(&std::fs::read(data("tok/v2k-llama-F16.json")).expect("reference"))
            .expect("JSON");
    let cases = reference["cases"].as_array().expect("cases");
    assert!(cases.len() > 20, "{} cases", cases.len());
    let model = tiny_arg();
    for case in cases {
        let bytes = match (&case["text"], &case["text_hex"]) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Value::String(hex)) => unhex(hex),
            _ => panic!("neither text nor text_hex: {case}"),
        };
        let ids = |flags: &[&str]| {
            let args: Vec<&str> = ["tokenize", &model, "-", "--json"]
                .into_iter()
                .chain(flags.iter().copied())
                .collect();
            run_with_input(args, &bytes).code(0).json()["tokens"].clone()
        };
        let want = |key: &str| case.get(key).unwrap_or(&case["ids"]).clone();
        assert_eq!(ids(&["--special"]), want("ids"), "{case}");
        if case.get("plain").is_some() {
            assert_eq!(ids(&["--no-bos"]), want("plain"), "{case}");
        }
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}

#[test]
fn text_comes_back_from_ids() {
    let model = tiny_arg();
    let text = "Grüße, 日本 🙂!\n<|im_start|>";
    let ids = run(["tokenize", &model, text, "--special", "--json"])
        .code(0)
        .json();
    let list: Vec<String> = ids["tokens"]
        .as_array()
        .expect("ids")
        .iter()
        .map(Value::to_string)
        .collect();
    let with_args: Vec<&str> = ["detokenize", model.as_str(), "--json"]
        .into_iter()
        .chain(list.iter().map(String::as_str))
        .collect();
    assert_eq!(run(with_args).code(0).json(), json!({"text": text}));
    // What `tokenize --json` writes is what `detokenize` reads.
    let piped =
        run_with_input(["detokenize", &model, "--json"], ids.to_string().as_bytes()).code(0);
    assert_eq!(piped.json(), json!({"text": text}));
    let without = run_with_input(
        ["detokenize", &model, "--json", "--skip-special"],
        ids.to_string().as_bytes(),
    )
    .code(0);
    assert_eq!(
        without.json(),
        json!({"text": text.replace("<|im_start|>", "")})
    );
    run(["detokenize", &model, "2048"]).code(2).error("E_USAGE");
    run_with_input(["detokenize", &model], b"{\"x\":1}")
        .code(2)
        .error("E_USAGE");
}

#[test]
fn what_is_wrong_with_a_model_file_is_3_with_its_own_code() {
    let scratch = Scratch::new();
    let whole = std::fs::read(tiny()).expect("test model");
    let with = |name: &str, bytes: &[u8]| {
        let path = scratch.path(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_string_lossy().into_owned()
    };
    let missing = scratch.path("nothing.gguf").to_string_lossy().into_owned();
    let cases = [
        (missing, "E_NOT_FOUND"),
        (
            scratch.path("").to_string_lossy().into_owned(),
            "E_MODEL_FILE",
        ),
        (with("empty.gguf", b""), "E_TRUNCATED"),
        (with("page.gguf", b"<!DOCTYPE html>"), "E_BAD_MAGIC"),
        (with("short.gguf", &whole[..whole.len() - 1]), "E_TRUNCATED"),
        (with("header.gguf", &whole[..20]), "E_TRUNCATED"),
    ];
    for (model, code) in cases {
        for args in [
            vec!["tokenize", &model, "x", "--json"],
            vec!["run", &model, "x", "--json"],
            vec!["inspect", &model, "--json"],
        ] {
            let ended = Ended::of(
                command(&args)
                    .env(NO_GPU.0, NO_GPU.1)
                    .output()
                    .expect("the command starts"),
            )
            .code(3)
            .error(code);
            let line = ended.json();
            assert_eq!(
                (line["event"].as_str(), line["code"].as_str()),
                (Some("error"), Some(code)),
                "{args:?}"
            );
            assert!(
                line["message"].is_string() && line["help"].as_str().is_some_and(|h| !h.is_empty()),
                "{line}"
            );
        }
    }
}

#[test]
fn flags_of_one_device_are_refused_for_the_other() {
    let model = tiny_arg();
    for (device, flag, other) in [("cpu", "--adapter", "GPU"), ("gpu", "--threads", "CPU")] {
        let args = ["run", &model, "hi", "--json", "--device", device, flag, "1"];
        let ended = run(args).code(2).error("E_USAGE");
        let line = ended.json();
        let said = line["message"].as_str().expect("a message");
        assert!(said.contains(flag) && said.contains(other), "{said}");
    }
    let ended = run(["run", &model, "hi", "--json", "--device", "bogus"]).code(2);
    let said = ended.json()["message"].to_string();
    assert!(said.contains("--device"), "{said}");
    for device in ["auto", "gpu", "cpu"] {
        assert!(ended.stderr.contains(device), "{}", ended.stderr);
    }
}

#[test]
fn adapters_end_with_the_cpu_and_without_a_gpu_are_the_cpu_alone() {
    let list = |args: &[&str], hidden: bool| {
        let mut command = command(args);
        if hidden {
            command.env(NO_GPU.0, NO_GPU.1);
        }
        Ended::of(command.output().expect("the command starts")).code(0)
    };
    let cpus = |ended: &Ended| {
        let rows = ended.json()["adapters"].as_array().expect("rows").clone();
        let is_cpu = |row: &Value| row["backend"] == "cpu";
        assert!(rows.last().is_some_and(is_cpu), "{rows:?}");
        (rows.iter().filter(|r| is_cpu(r)).count(), rows)
    };
    assert_eq!(cpus(&list(&["adapters", "--json"], false)).0, 1);
    let (n, rows) = cpus(&list(&["adapters", "--json"], true));
    assert_eq!((n, rows.len()), (1, 1));
    for key in ["name", "backend", "type", "instructions"] {
        let value = rows[0][key].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "{key}: {rows:?}");
    }
    let text = list(&["adapters"], true).stdout;
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("--device cpu"), "{text}");
}

#[test]
fn no_adapter_is_4() {
    let model = tiny_arg();
    for args in [
        vec!["run", &model, "hi", "--json", "--device", "gpu"],
        vec![
            "run",
            &model,
            "hi",
            "--json",
            "--adapter",
            "0",
            "--device=auto",
        ],
        vec!["bench", &model, "--json", "--device", "gpu"],
    ] {
        let ended = Ended::of(
            command(&args)
                .env(NO_GPU.0, NO_GPU.1)
                .output()
                .expect("the command starts"),
        )
        .code(4);
        let line = ended.error("E_NO_ADAPTER").json();
        assert_eq!(line["code"], "E_NO_ADAPTER", "{args:?}");
        let help = line["help"].as_str().expect("help");
        assert!(help.contains("--device cpu"), "{help}");
    }
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let mut child = command(["tokenize", &tiny_arg(), "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut input = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        // Far more output than a pipe holds.
        let _ = input.write_all("word by word ".repeat(100_000).as_bytes());
    });
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.next().expect("a line").expect("text").contains('\t'));
    drop(lines);
    let status = child.wait().expect("the command ends");
    writer.join().expect("no panic");
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(["completions", shell]).code(0).stdout;
        assert!(script.contains("detokenize"), "{shell}");
    }
}

#[cfg(unix)]
#[test]
fn arguments_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let model = tiny();
    let bytes = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let args = [
        std::ffi::OsStr::new("tokenize"),
        model.as_os_str(),
        bytes,
        std::ffi::OsStr::new("--json"),
    ];
    let ids = run(args).code(0).json();
    assert_eq!(
        ids,
        run_with_input(["tokenize", &tiny_arg(), "-", "--json"], b"caf\xe9")
            .code(0)
            .json()
    );
    let args = [std::ffi::OsStr::new("run"), model.as_os_str(), bytes];
    run(args).code(2).error("E_USAGE");
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_waiting_is_130() {
    use nix::sys::signal::{Signal, kill};
    let mut child = command(["tokenize", &tiny_arg(), "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // Open as long as this is: `wait` would close it, and end the command with an empty text.
    let _input = child.stdin.take();
    // It reads standard input, which nobody writes; give it time to get there.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("sent");
    assert_eq!(child.wait().expect("the command ends").code(), Some(130));
}
