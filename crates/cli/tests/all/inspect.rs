//! `inspect` without a GPU: what a file holds, what of it is supported, and whether it fits.

use serde_json::{Value, json};

use crate::common::{Ended, NO_GPU, Scratch, command, run, tiny, tiny_arg};

#[test]
fn inspect_needs_no_gpu_and_tells_all() {
    let model = tiny_arg();
    let inspect = |more: &[&str]| {
        let args: Vec<&str> = ["inspect", model.as_str()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        Ended::of(
            command(args)
                .env(NO_GPU.0, NO_GPU.1)
                .output()
                .expect("the command starts"),
        )
        .code(0)
    };
    let v = inspect(&["--json", "--ctx", "512"]).json();
    assert_eq!(v["metadata"]["general.architecture"], "llama");
    assert_eq!(v["size"], std::fs::metadata(tiny()).expect("file").len());
    assert_eq!(v["tensors"].as_array().map(Vec::len), Some(20));
    assert_eq!(v["types"]["Q4_K"]["tensors"], 12);
    assert_eq!(v["config"]["n_layers"], 2);
    assert_eq!(v["config"]["n_vocab"], 2048);
    assert_eq!(v["chat_template"], true);
    let first = &v["tensors"][0];
    for key in ["name", "type", "shape", "offset", "bytes"] {
        assert!(!first[key].is_null(), "{key}: {first}");
    }
    let fit = &v["fit"];
    assert_eq!(fit["context"], 512);
    assert_eq!(fit["verdict"], json!({"fits": null, "reasons": []}));
    assert_eq!(fit["limits"], Value::Null);
    let sum = ["weights_bytes", "kv_bytes", "scratch_bytes"]
        .iter()
        .map(|k| fit[k].as_u64().expect("bytes"))
        .sum::<u64>();
    assert_eq!(fit["total_bytes"], sum);
    // Two layers, K and V, 2 heads of 64, f16.
    assert_eq!(fit["kv_bytes"], 512 * 2 * 2 * 128 * 2);
    let f32_cache = inspect(&["--json", "--ctx", "512", "--kv", "f32"]).json();
    assert_eq!(f32_cache["fit"]["kv_bytes"], 512 * 2 * 2 * 128 * 4);
    let text = inspect(&[]).stdout;
    for word in [
        "general.architecture",
        "Q4_K",
        "verdict: not checked (give --adapter)",
        "trained for 1024 tokens\n",
        "KV cache for 1024 tokens",
    ] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

#[test]
fn inspect_judges_each_part_by_itself_and_says_why_not() {
    let model = tiny_arg();
    let text = run(["inspect", &model]).code(0).stdout;
    for line in [
        "family     yes: llama",
        "tokenizer  yes: ",
        "template   yes: a chat template",
    ] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    let mut spec = chord_gguf::write::tiny_llama();
    let value = chord_gguf::write::WriteValue::str;
    spec.set("general.architecture", value("mamba"));
    spec.set("tokenizer.ggml.model", value("gpt2"));
    spec.set("tokenizer.ggml.pre", value("unheard-of"));
    spec.set("tokenizer.chat_template", value("{% if %}"));
    let scratch = Scratch::new();
    let path = scratch.path("odd.gguf");
    std::fs::write(&path, spec.to_bytes()).expect("written");
    let path = path.to_string_lossy().into_owned();
    let ended = run(["inspect", &path]).code(3);
    for line in [
        "family     no: architecture \"mamba\"",
        "tokenizer  no: ",
        "unheard-of",
        "template   no: ",
    ] {
        assert!(
            ended.stdout.contains(line),
            "{line:?} is missing:\n{}",
            ended.stdout
        );
    }
    ended.error("E_ARCH");
    let ended = run(["inspect", &path, "--json"]).code(3);
    let object: Value =
        serde_json::from_str(ended.stdout.lines().next().expect("a line")).expect("JSON");
    let verdicts = &object["verdicts"];
    assert_eq!(verdicts["family"]["code"], "E_ARCH");
    assert_eq!(verdicts["tokenizer"]["code"], "E_PRETOKENIZER");
    assert_eq!(verdicts["template"]["code"], "E_TEMPLATE_SYNTAX");
}

#[test]
fn a_context_beyond_the_models_is_wrong_usage() {
    let model = tiny_arg();
    let ended = run(["inspect", &model, "--json", "--ctx", "1025"])
        .code(2)
        .error("E_CTX");
    assert!(ended.stderr.contains("1025"), "{}", ended.stderr);
    let help = ended.json()["help"].to_string();
    assert!(help.contains("1024 tokens or less"), "{help}");
}

#[test]
fn a_context_cut_to_the_readers_limit_is_shown_with_both_figures() {
    let mut spec = chord_gguf::write::tiny_llama();
    let trained = chord_gguf::write::WriteValue::U32(10_000_000);
    spec.set("llama.context_length", trained);
    let scratch = Scratch::new();
    let path = scratch.path("long.gguf");
    std::fs::write(&path, spec.to_bytes()).expect("written");
    let path = path.to_string_lossy().into_owned();
    let text = run(["inspect", &path]).code(0).stdout;
    let want = "trained for 10000000 tokens (at most 1048576 are used)";
    assert!(text.contains(want), "{text}");
    let config = run(["inspect", &path, "--json"]).code(0).json()["config"].clone();
    assert_eq!(config["context_length"], 1 << 20);
    assert_eq!(config["trained_context"], 10_000_000);
}
