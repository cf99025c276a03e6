//! Splitting text into words before byte-pair merging: the patterns of GPT-2 and of the cl100k family.
//!
//! Written as scanners, not regular expressions: one pass, no backtracking limit on a mebibyte of spaces, and
//! code points that `&str` cannot hold. Each scanner follows the pattern quoted above it, alternative by alternative.

use crate::unicode::{Class, class};

/// Which pattern splits a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// Every `\p{N}` alone first, then the GPT-2 pattern on what lies between.
    DigitsThenGpt2,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Cl100k { digits: usize },
}

/// A pre-tokenizer: its pattern and what else the name in `tokenizer.ggml.pre` implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PreTokenizer {
    pattern: Pattern,
    /// A whole word that is a token is that token, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// Whether a beginning-of-sequence token is added when the file does not say.
    pub(crate) add_bos: bool,
}

const fn pre(pattern: Pattern, ignore_merges: bool, add_bos: bool) -> PreTokenizer {
    PreTokenizer {
        pattern,
        ignore_merges,
        add_bos,
    }
}

const GPT2: PreTokenizer = pre(Pattern::Gpt2, false, false);
const SMOLLM: PreTokenizer = pre(Pattern::DigitsThenGpt2, false, false);
const LLAMA3: PreTokenizer = pre(Pattern::Cl100k { digits: 3 }, true, true);
const LLAMA3_MERGES: PreTokenizer = pre(Pattern::Cl100k { digits: 3 }, false, false);
const GLM4: PreTokenizer = pre(Pattern::Cl100k { digits: 3 }, true, false);
const QWEN2: PreTokenizer = pre(Pattern::Cl100k { digits: 1 }, false, false);

/// Names of `tokenizer.ggml.pre`, grouped as llama.cpp groups them.
const NAMES: &[(&[&str], PreTokenizer)] = &[
    (
        &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        SMOLLM,
    ),
    (
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
        ],
        LLAMA3,
    ),
    (&["dbrx", "smaug-bpe", "chatglm-bpe"], LLAMA3_MERGES),
    (&["glm4", "glm5"], GLM4),
    (
        &[
            "gpt-2",
            "phi-2",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
        GPT2,
    ),
    (
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        QWEN2,
    ),
];

/// The pre-tokenizer of a name, or `None`: never a default.
pub(crate) fn by_name(name: &str) -> Option<PreTokenizer> {
    NAMES
        .iter()
        .find(|(names, _)| names.contains(&name))
        .map(|&(_, pre)| pre)
}

/// Every name that [`by_name`] knows, for error texts.
pub(crate) fn supported() -> String {
    NAMES
        .iter()
        .flat_map(|(names, _)| names.iter().copied())
        .collect::<Vec<_>>()
        .join(", ")
}

impl PreTokenizer {
    /// Calls `word` with each word of `text` in order; together they are the text.
    pub(crate) fn split(self, text: &[u32], word: &mut impl FnMut(&[u32])) {
        match self.pattern {
            Pattern::Gpt2 => scan(text, word, gpt2),
            Pattern::Cl100k { digits } => scan(text, word, |t| cl100k(t, digits)),
            Pattern::DigitsThenGpt2 => {
                let is_digit = |c: &u32| class(*c) == Class::Number;
                for run in text.chunk_by(|a, b| !is_digit(a) && !is_digit(b)) {
                    scan(run, word, gpt2);
                }
            }
        }
    }
}

/// Cuts words off the front until nothing is left. `length` gives at least 1 on non-empty text.
fn scan(text: &[u32], word: &mut impl FnMut(&[u32]), length: impl Fn(&[u32]) -> usize) {
    let mut rest = text;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(length(rest).clamp(1, rest.len()));
        word(head);
        rest = tail;
    }
}

fn at(text: &[u32], i: usize) -> Option<u32> {
    text.get(i).copied()
}

fn is(text: &[u32], i: usize, want: Class) -> bool {
    at(text, i).is_some_and(|c| class(c) == want)
}

/// End of the run of `want` that starts at `from`.
fn run(text: &[u32], from: usize, want: Class) -> usize {
    text.iter()
        .skip(from)
        .position(|&c| class(c) != want)
        .map_or(text.len(), |n| from + n)
}

fn is_newline(c: u32) -> bool {
    c == 0x0A || c == 0x0D
}

const SPACE: u32 = 0x20;
const APOSTROPHE: u32 = 0x27;

/// Length of `'s 't 'm 'd 're 've 'll` at the front, if there is one.
fn contraction(text: &[u32], any_case: bool) -> Option<usize> {
    let letter = |i: usize| {
        let c = at(text, i).and_then(|c| u8::try_from(c).ok())?;
        Some(if any_case { c.to_ascii_lowercase() } else { c })
    };
    if at(text, 0)? != APOSTROPHE {
        return None;
    }
    match (letter(1)?, letter(2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}

/// `\s+(?!\S)|\s+`: a run of spaces leaves its last one to the word that follows.
fn spaces(text: &[u32]) -> usize {
    let n = run(text, 0, Class::Space);
    if n > 1 && n < text.len() { n - 1 } else { n }
}

fn gpt2(text: &[u32]) -> usize {
    if let Some(n) = contraction(text, false) {
        return n;
    }
    let start = usize::from(at(text, 0) == Some(SPACE));
    for want in [Class::Letter, Class::Number, Class::Other] {
        if is(text, start, want) {
            return run(text, start, want);
        }
    }
    spaces(text)
}

fn cl100k(text: &[u32], digits: usize) -> usize {
    if let Some(n) = contraction(text, true) {
        return n;
    }
    let Some(first) = at(text, 0) else { return 0 };
    let kind = class(first);
    // [^\r\n\p{L}\p{N}]?\p{L}+
    if kind == Class::Letter {
        return run(text, 0, Class::Letter);
    }
    if kind != Class::Number && !is_newline(first) && is(text, 1, Class::Letter) {
        return run(text, 1, Class::Letter);
    }
    // \p{N}{1,n}
    if kind == Class::Number {
        return text
            .iter()
            .take(digits)
            .take_while(|&&c| class(c) == Class::Number)
            .count();
    }
    //  ?[^\s\p{L}\p{N}]+[\r\n]*
    let start = usize::from(first == SPACE);
    if is(text, start, Class::Other) {
        let end = run(text, start, Class::Other);
        return end
            + text
                .iter()
                .skip(end)
                .take_while(|&&c| is_newline(c))
                .count();
    }
    // \s*[\r\n]+ : up to the last newline of the run of spaces
    let n = run(text, 0, Class::Space);
    if let Some(last) = text
        .get(..n)
        .and_then(|s| s.iter().rposition(|&c| is_newline(c)))
    {
        return last + 1;
    }
    spaces(text)
}

#[cfg(test)]
mod tests {
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
        for name in ["gpt-2", "smollm", "llama-bpe", "qwen2"] {
            assert_eq!(words(name, text).concat(), text, "{name}");
        }
    }

    #[test]
    fn unknown_names_have_no_default() {
        for name in ["", "default", "zzz", "SMOLLM"] {
            assert_eq!(by_name(name), None);
        }
    }
}
