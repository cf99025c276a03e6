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
