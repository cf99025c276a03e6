use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::names::NAMES;
use super::*;
use crate::unicode::code_points;

fn words(name: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    by_name(name)
        .unwrap()
        .split(&code_points(text.as_bytes()), &mut |w| {
            out.push(w.iter().filter_map(|&c| char::from_u32(c)).collect());
        });
    out
}

#[test]
fn gpt2_pattern() {
    assert_eq!(
        words("gpt-2", "I'm  we'll GO'S 123 a1"),
        [
            "I", "'m", " ", " we", "'ll", " GO", "'", "S", " 123", " a", "1"
        ]
    );
    assert_eq!(words("gpt-2", "a \n\n b  "), ["a", " \n\n", " b", "  "]);
    assert_eq!(words("gpt-2", " ..!\t?"), [" ..!", "\t", "?"]);
}

#[test]
fn smollm_isolates_digits_before_anything_else() {
    assert_eq!(
        words("smollm", "in 1987, x2"),
        ["in", " ", "1", "9", "8", "7", ",", " x", "2"]
    );
    assert_eq!(words("smollm", "a  1"), ["a", "  ", "1"]);
}

#[test]
fn llama3_and_qwen2_differ_in_digits_only() {
    assert_eq!(
        words("llama-bpe", "It'S 12345\r\n\n x"),
        ["It", "'S", " ", "123", "45", "\r\n\n", " x"]
    );
    assert_eq!(
        words("qwen2", "It'S 123\r\n\n x"),
        ["It", "'S", " ", "1", "2", "3", "\r\n\n", " x"]
    );
    assert_eq!(
        words("llama-bpe", "(foo) ...\n\nbar"),
        ["(foo", ")", " ...\n\n", "bar"]
    );
    assert_eq!(words("llama-bpe", "  \n  x "), ["  \n", " ", " x", " "]);
}

#[test]
fn words_together_are_the_text() {
    let text = "x'\u{1f642} \u{300}a\u{3000}\r 1½٣'Re\u{feff}\n \t";
    for name in supported().split(", ") {
        assert_eq!(words(name, text).concat(), text, "{name}");
    }
}

#[test]
fn unknown_names_have_no_default() {
    for name in ["", "default", "zzz", "SMOLLM"] {
        assert!(by_name(name).is_none());
    }
}

/// What llama.cpp's own splitting gave (tests/data/PROVENANCE.md says how it was recorded).
#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<String>,
    words: BTreeMap<String, Vec<Vec<String>>>,
}

#[test]
fn words_of_llama_cpp() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/tok/pretokenizers.json"
    );
    let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (name, wanted) in &golden.words {
        assert_eq!(wanted.len(), golden.texts.len());
        for (text, want) in golden.texts.iter().zip(wanted) {
            assert_eq!(&words(name, text), want, "{name}: {text:?}");
        }
    }
    // No name splits in a way that is not among them.
    for (_, names) in NAMES {
        for name in *names {
            let got: Vec<Vec<String>> = golden.texts.iter().map(|t| words(name, t)).collect();
            assert!(golden.words.values().any(|want| *want == got), "{name}");
        }
    }
}

#[test]
fn each_name_once() {
    let mut all: Vec<&str> = NAMES
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let n = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), n);
}

#[test]
fn flags_of_a_name() {
    let flags = |name| by_name(name).map(|pre| (pre.ignore_merges, pre.add_bos));
    for name in ["llama-bpe", "tekken"] {
        assert_eq!(flags(name), Some((true, true)), "{name}");
    }
    for name in ["glm4", "minicpm5", "youtu"] {
        assert_eq!(flags(name), Some((true, false)), "{name}");
    }
    for name in ["gpt-2", "gpt-4o", "dbrx", "qwen2", "deepseek-v3"] {
        assert_eq!(flags(name), Some((false, false)), "{name}");
    }
}

/// Long runs, and runs that one rule walks through to no avail before another takes little of them.
#[test]
fn no_pattern_is_quadratic() {
    const N: usize = 1 << 18;
    for (pre, names) in NAMES {
        for unit in [
            "a", "A", "aA", "Aé", "1", " ", "\n", " \n", "\t a", "\u{301}", "'", "!", "/", "中",
            "中1", "\u{3000}", "\0",
        ] {
            let text = code_points(unit.repeat(N / unit.len()).as_bytes());
            let (mut length, started) = (0, Instant::now());
            pre.split(&text, &mut |word| length += word.len());
            let took = started.elapsed();
            assert_eq!(length, text.len());
            // Some milliseconds on a quiet machine; quadratic time would be minutes.
            assert!(
                took < Duration::from_secs(10),
                "{names:?} {unit:?}: {took:?}"
            );
        }
    }
}
