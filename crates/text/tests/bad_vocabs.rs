//! Rows 77 to 88 of the bad-input table: a valid file changed in one place, and the exact code it gives.

use std::time::{Duration, Instant};

use chord_gguf::Directory;
use chord_gguf::write::{FileSpec, WriteValue, tiny_llama};
use chord_text::{EncodeOptions, Error, Tokenizer, VocabSpec};

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
};
const PARSE: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: true,
};

fn load(spec: &FileSpec) -> Result<Tokenizer, Error> {
    Tokenizer::from_directory(&Directory::parse(&spec.to_bytes()).unwrap())
}

fn with(key: &str, value: WriteValue) -> Result<Tokenizer, Error> {
    let mut spec = tiny_llama();
    spec.set(&format!("tokenizer.ggml.{key}"), value);
    load(&spec)
}

fn without(key: &str) -> Result<Tokenizer, Error> {
    let mut spec = tiny_llama();
    spec.remove(&format!("tokenizer.ggml.{key}"));
    load(&spec)
}

fn strings(items: Vec<Vec<u8>>) -> WriteValue {
    WriteValue::StrArray(items)
}

fn tokens(change: impl Fn(&mut Vec<Vec<u8>>)) -> WriteValue {
    let mut tokens: Vec<Vec<u8>> = chord_gguf::write::TINY_TOKENS
        .iter()
        .map(|t| t.as_bytes().to_vec())
        .collect();
    change(&mut tokens);
    strings(tokens)
}

#[test]
fn every_fault_has_its_code() {
    let merges = |items: &[&str]| with("merges", WriteValue::strs(items));
    let table: Vec<(&str, Result<Tokenizer, Error>, &str)> = vec![
        ("model_missing", without("model"), "E_META_MISSING"),
        (
            "model_u32",
            with("model", WriteValue::U32(1)),
            "E_META_TYPE",
        ),
        (
            "model_unknown",
            with("model", WriteValue::str("t5")),
            "E_TOKENIZER",
        ),
        ("tok_missing", without("tokens"), "E_META_MISSING"),
        (
            "tok_u8",
            with("tokens", WriteValue::U8Array(vec![1; 16])),
            "E_META_TYPE",
        ),
        (
            "tok_string",
            with("tokens", WriteValue::str("a")),
            "E_META_TYPE",
        ),
        ("tok_empty", with("tokens", strings(vec![])), "E_VOCAB"),
        (
            "tok_dup",
            with("tokens", tokens(|t| t[3] = t[2].clone())),
            "E_VOCAB",
        ),
        (
            "scores_short",
            with("scores", WriteValue::F32Array(vec![0.0; 15])),
            "E_VOCAB_LEN",
        ),
        (
            "scores_long",
            with("scores", WriteValue::F32Array(vec![0.0; 17])),
            "E_VOCAB_LEN",
        ),
        (
            "types_short",
            with("token_type", WriteValue::I32Array(vec![1; 15])),
            "E_VOCAB_LEN",
        ),
        (
            "scores_u8",
            with("scores", WriteValue::U8Array(vec![0; 16])),
            "E_META_TYPE",
        ),
        (
            "scores_strings",
            with("scores", WriteValue::strs(&["0"; 16])),
            "E_META_TYPE",
        ),
        (
            "types_u8",
            with("token_type", WriteValue::U8Array(vec![1; 16])),
            "E_META_TYPE",
        ),
        (
            "scores_nan",
            with("scores", WriteValue::F32Array(vec![f32::NAN; 16])),
            "E_VOCAB",
        ),
        (
            "type_99",
            with("token_type", WriteValue::I32Array(vec![99; 16])),
            "E_VOCAB",
        ),
        (
            "type_byte_of_no_byte",
            with("token_type", WriteValue::I32Array(vec![6; 16])),
            "E_VOCAB",
        ),
        (
            "bos_oob",
            with("bos_token_id", WriteValue::U32(16)),
            "E_TOKEN_ID",
        ),
        (
            "eos_max",
            with("eos_token_id", WriteValue::U32(u32::MAX)),
            "E_TOKEN_ID",
        ),
        (
            "unk_oob",
            with("unknown_token_id", WriteValue::U64(1 << 40)),
            "E_TOKEN_ID",
        ),
        (
            "pad_negative",
            with("padding_token_id", WriteValue::I32(-1)),
            "E_TOKEN_ID",
        ),
        (
            "eos_string",
            with("eos_token_id", WriteValue::str("1")),
            "E_META_TYPE",
        ),
        ("add_bos_no_bos", without("bos_token_id"), "E_TOKEN_ID"),
        (
            "add_eos_no_eos",
            {
                let mut spec = tiny_llama();
                spec.set("tokenizer.ggml.add_eos_token", WriteValue::Bool(true))
                    .remove("tokenizer.ggml.eos_token_id");
                load(&spec)
            },
            "E_TOKEN_ID",
        ),
        (
            "add_bos_u32",
            with("add_bos_token", WriteValue::U32(1)),
            "E_META_TYPE",
        ),
        ("merges_missing", without("merges"), "E_META_MISSING"),
        ("merges_none", merges(&[]), "E_MERGES"),
        ("merges_no_space", merges(&["h e", "ll"]), "E_MERGES"),
        ("merges_empty_left", merges(&["h e", " l"]), "E_MERGES"),
        ("merges_empty_right", merges(&["h e", "l "]), "E_MERGES"),
        ("merges_unknown_piece", merges(&["h e", "l z"]), "E_MERGES"),
        ("merges_unknown_union", merges(&["h e", "l o"]), "E_MERGES"),
        (
            "merges_u8",
            with("merges", WriteValue::U8Array(vec![1])),
            "E_META_TYPE",
        ),
        (
            "pre_unknown",
            with("pre", WriteValue::str("zzz")),
            "E_PRETOKENIZER",
        ),
        ("pre_missing", without("pre"), "E_PRETOKENIZER"),
        (
            "tok_huge",
            with("tokens", tokens(|t| t.push(vec![b'x'; 1 << 20]))),
            "E_VOCAB_LEN",
        ),
        (
            "spm_scores_missing",
            with("model", WriteValue::str("llama")),
            "E_META_MISSING",
        ),
        (
            "bytes_missing",
            {
                let mut spec = tiny_llama();
                spec.set("tokenizer.ggml.model", WriteValue::str("llama"));
                spec.set("tokenizer.ggml.scores", WriteValue::F32Array(vec![0.0; 16]));
                load(&spec)
            },
            "E_VOCAB",
        ),
    ];
    let mut failures = Vec::new();
    for (name, got, want) in &table {
        let code = got.as_ref().map_or_else(Error::code, |_| "loaded");
        if code != *want {
            failures.push(format!("{name}: want {want}, got {code}"));
        }
        if let Err(e) = got {
            assert!(!e.to_string().is_empty() && !e.help().is_empty(), "{name}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Five million rules do not fit into a header either: this is the list's own limit.
#[test]
fn too_many_merges() {
    let bytes = tiny_llama().to_bytes();
    let directory = Directory::parse(&bytes).unwrap();
    let mut spec = VocabSpec::from_directory(&directory).unwrap();
    spec.merges = Some(vec![b"h e"; 5_000_000]);
    assert_eq!(Tokenizer::new(&spec).unwrap_err().code(), "E_MERGES");
}

#[test]
fn errors_name_the_place() {
    let text = |r: Result<Tokenizer, Error>| r.unwrap_err().to_string();
    assert!(text(with("merges", WriteValue::strs(&["h e", "l l", "ll"]))).contains("line 3"));
    assert!(text(with("pre", WriteValue::str("zzz"))).contains("\"zzz\""));
    assert!(
        text(with("bos_token_id", WriteValue::U32(16))).contains("tokenizer.ggml.bos_token_id")
    );
    assert!(text(with("scores", WriteValue::F32Array(vec![0.0; 15]))).contains("15 != 16"));
}

/// The accepting twins: what differs in one harmless field loads.
#[test]
fn what_must_load() {
    assert_eq!(
        load(&tiny_llama()).unwrap().encode("hello hello", PLAIN),
        [15, 10, 15]
    );
    for (name, tok) in [
        (
            "empty-string token",
            with("tokens", tokens(|t| t[9] = Vec::new())),
        ),
        (
            "token that is not UTF-8",
            with("tokens", tokens(|t| t[9] = vec![0xFF])),
        ),
        (
            "scores of the right length",
            with("scores", WriteValue::F32Array(vec![-1.0; 16])),
        ),
        ("ids as u64", with("bos_token_id", WriteValue::U64(0))),
        ("no types", without("token_type")),
        ("no eos", without("eos_token_id")),
        (
            "a rule twice",
            with(
                "merges",
                WriteValue::strs(&["h e", "l l", "h e", "he ll", "hell o"]),
            ),
        ),
    ] {
        assert_eq!(
            tok.unwrap_or_else(|e| panic!("{name}: {e}"))
                .encode("he", PLAIN),
            [12],
            "{name}"
        );
    }
}

/// Plain text never becomes a control token, not even where the merges would make one.
#[test]
fn merges_do_not_make_control_tokens() {
    let mut spec = tiny_llama();
    let mut types = vec![1; 16];
    types[12] = 3; // "he"
    spec.set("tokenizer.ggml.token_type", WriteValue::I32Array(types));
    let tok = load(&spec).unwrap();
    assert_eq!(tok.encode("he", PLAIN), [6, 5]);
    assert_eq!(tok.encode("he", PARSE), [12]);
    assert_eq!(tok.piece(12), Some(&b"he"[..]));
    assert_eq!(tok.decode(&[12, 6], false), "h");
}

/// Bytes that are no token give no ids, and their neighbours do not merge across them.
#[test]
fn nothing_merges_across_a_missing_byte() {
    let tok = load(&tiny_llama()).unwrap();
    assert_eq!(tok.encode("he", PLAIN), [12]);
    assert_eq!(tok.encode("hZe", PLAIN), [6, 5]);
    assert_eq!(tok.encode("ZheZ", PLAIN), [12]);
}

fn timed(name: &str, tok: &Tokenizer, text: &str, opts: EncodeOptions) -> Vec<u32> {
    let started = Instant::now();
    let ids = tok.encode(text, opts);
    let took = started.elapsed();
    // A second on a quiet machine; what this excludes is quadratic time, which would be minutes.
    assert!(took < Duration::from_secs(20), "{name}: {took:?}");
    ids
}

/// Row 88 on a byte-level vocabulary: a mebibyte of anything in linear time.
#[test]
fn a_mebibyte_of_one_thing() {
    const N: usize = 1 << 20;
    let tok = load(&tiny_llama()).unwrap();
    assert_eq!(
        timed("one letter", &tok, &"l".repeat(N), PLAIN),
        vec![13; N / 2]
    );
    assert_eq!(timed("spaces", &tok, &" ".repeat(N), PLAIN), vec![10; N]);
    assert_eq!(timed("newlines", &tok, &"\n".repeat(N), PLAIN), vec![11; N]);
    assert_eq!(
        timed("control tokens", &tok, &"<|bos|>".repeat(N / 7), PARSE),
        vec![0; N / 7]
    );
    for pre in ["llama-bpe", "qwen2", "smollm"] {
        let tok = with("pre", WriteValue::str(pre)).unwrap();
        for text in [
            "\u{301}".repeat(N / 2),
            "a \n".repeat(N / 3),
            "1".repeat(N),
            "'l".repeat(N / 2),
        ] {
            timed(pre, &tok, &text, PLAIN);
        }
    }
}

/// Row 86: special tokens that are each other's beginnings.
#[test]
fn self_similar_special_tokens() {
    let mut spec = tiny_llama();
    let pieces: Vec<Vec<u8>> = (1..2000).map(|n| vec![b'x'; n]).collect();
    let n = pieces.len();
    spec.set(
        "tokenizer.ggml.tokens",
        tokens(|t| t.extend(pieces.clone())),
    );
    spec.set(
        "tokenizer.ggml.token_type",
        WriteValue::I32Array([vec![1; 16], vec![4; n]].concat()),
    );
    let tok = load(&spec).unwrap();
    let ids = timed("self-similar", &tok, &"x".repeat(1 << 20), PLAIN);
    assert_eq!(tok.decode(&ids, true).len(), 1 << 20);
    assert_eq!(ids.len(), (1_usize << 20).div_ceil(1999));
}
