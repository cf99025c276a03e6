//! Text that leaves piece by piece: whole characters only, and nothing of a stop string.

use chord_text::{SpecialIds, StopStrings, StreamDecoder, Tokenizer, VocabSpec};

/// A SentencePiece vocabulary of the 256 bytes (ids 0 to 255) and a control token (256).
fn bytes_tokenizer() -> Tokenizer {
    let texts: Vec<String> = (0..256)
        .map(|b| format!("<0x{b:02X}>"))
        .chain(["<s>".to_owned()])
        .collect();
    let mut special = SpecialIds::default();
    special.set("bos", 256);
    Tokenizer::new(&VocabSpec {
        model: "llama".into(),
        tokens: texts.iter().map(|t| t.as_bytes()).collect(),
        scores: Some(vec![0.0; 257]),
        types: Some([vec![6; 256], vec![3]].concat()),
        special,
        ..VocabSpec::default()
    })
    .unwrap()
}

const TEXT: &str = "aé日本🙂👨‍👩‍👧z";

#[test]
fn only_whole_characters_leave_at_every_split() {
    let tok = bytes_tokenizer();
    for cut in 0..=TEXT.len() {
        let mut stream = StreamDecoder::new(&tok);
        let mut text = String::new();
        for &b in &TEXT.as_bytes()[..cut] {
            if let Some(part) = stream.push(u32::from(b)) {
                assert!(!part.is_empty() && !part.contains('\u{FFFD}'));
                text.push_str(&part);
            }
            // A control token in the middle of a character changes nothing.
            assert_eq!(stream.push(256), None);
            assert_eq!(stream.push(9999), None);
        }
        let whole = (0..=cut).rev().find(|&n| TEXT.is_char_boundary(n)).unwrap();
        assert_eq!(text, &TEXT[..whole], "cut at {cut}");
        assert_eq!(
            stream.finish(),
            if whole == cut { "" } else { "\u{FFFD}" },
            "cut at {cut}"
        );
        assert_eq!(stream.finish(), "");
    }
}

/// GPT-2's stand-in for a byte.
fn stand_in(byte: u8) -> char {
    let printable = |b: u8| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !printable(b)).count();
    char::from_u32(0x100 + u32::try_from(before).unwrap()).unwrap()
}

/// Byte-level tokens end anywhere: TEXT as any three of them.
#[test]
fn byte_level_tokens_that_cut_characters() {
    let bytes = TEXT.as_bytes();
    let mut parts: Vec<&[u8]> = (0..bytes.len())
        .flat_map(|i| (i + 1..=bytes.len()).map(move |j| &bytes[i..j]))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    let texts: Vec<String> = parts
        .iter()
        .map(|part| part.iter().map(|&b| stand_in(b)).collect())
        .collect();
    let merge = format!("{} {}", stand_in(bytes[0]), stand_in(bytes[1]));
    let tok = Tokenizer::new(&VocabSpec {
        model: "gpt2".into(),
        pre: Some("gpt-2".into()),
        tokens: texts.iter().map(|t| t.as_bytes()).collect(),
        merges: Some(vec![merge.as_bytes()]),
        ..VocabSpec::default()
    })
    .unwrap();
    let id = |part: &[u8]| u32::try_from(parts.binary_search(&part).unwrap()).unwrap();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let mut stream = StreamDecoder::new(&tok);
            let (mut text, mut fed) = (String::new(), 0);
            for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                fed += part.len();
                if !part.is_empty() {
                    text.extend(stream.push(id(part)));
                }
                // Everything that is whole has left, and nothing else.
                let whole = (0..=fed).rev().find(|&n| TEXT.is_char_boundary(n)).unwrap();
                assert_eq!(text, TEXT[..whole], "cut at {first} and {second}");
            }
            assert_eq!(stream.finish(), "");
        }
    }
}

/// SentencePiece: every character either as its own piece or as byte tokens, in every combination.
#[test]
fn pieces_and_byte_tokens_mixed() {
    const SHORT: &str = "a é日本🙂\u{200d}z";
    let chars: Vec<String> = SHORT.chars().map(|c| c.to_string()).collect();
    let pieces: Vec<String> = chars.iter().map(|c| c.replace(' ', "▁")).collect();
    let bytes: Vec<String> = (0..256).map(|b| format!("<0x{b:02X}>")).collect();
    let mut special = SpecialIds::default();
    special.set("bos", 0);
    let tok = Tokenizer::new(&VocabSpec {
        model: "llama".into(),
        tokens: bytes.iter().chain(&pieces).map(|t| t.as_bytes()).collect(),
        scores: Some(vec![0.0; 256 + pieces.len()]),
        types: Some([vec![6; 256], vec![1; pieces.len()]].concat()),
        special,
        ..VocabSpec::default()
    })
    .unwrap();
    for as_bytes in 0..1u32 << chars.len() {
        let mut stream = StreamDecoder::new(&tok);
        let mut text = String::new();
        for ((n, piece), c) in (0..).zip(256..).zip(&chars) {
            if as_bytes >> n & 1 == 0 {
                text.extend(stream.push(piece));
                continue;
            }
            for &b in c.as_bytes() {
                text.extend(stream.push(u32::from(b)));
            }
        }
        assert_eq!(text, SHORT, "{as_bytes:b}");
        assert_eq!(stream.finish(), "");
    }
}

#[test]
fn bytes_that_are_no_text_become_replacements_at_once() {
    let tok = bytes_tokenizer();
    let mut stream = StreamDecoder::new(&tok);
    assert_eq!(stream.push(0xFF).as_deref(), Some("\u{FFFD}"));
    assert_eq!(stream.push(0xE6), None);
    assert_eq!(stream.push(u32::from(b'a')).as_deref(), Some("\u{FFFD}a"));
    assert_eq!(stream.push(0xF0), None);
    assert_eq!(stream.push(0x9F), None);
    assert_eq!(stream.finish(), "\u{FFFD}");
}

/// What leaves, and whether it stopped, when the text comes in these parts.
fn watch(stops: &[&str], parts: &[&str]) -> (Vec<String>, bool, String) {
    let mut watcher = StopStrings::new(stops.iter().copied());
    let mut stopped = false;
    let mut out = Vec::new();
    for part in parts {
        let event = watcher.push(part);
        assert!(!stopped || event.emit.is_empty(), "text after the stop");
        stopped |= event.stopped;
        assert_eq!(event.stopped, stopped);
        out.push(event.emit);
    }
    let rest = watcher.finish();
    (out, stopped, rest)
}

#[test]
fn every_way_to_cut_the_text_gives_the_same() {
    for (stops, text, want, stops_there) in [
        (&["STOP"][..], "abcSTOPdef", "abc", true),
        (&["STOP"], "abcSTO", "abcSTO", false),
        (&["STOP"], "SSTSTOSTOP!", "SSTSTO", true),
        (&["日本"], "a日x日本語", "a日x", true),
        (&["aab"], "aaaaab", "aaa", true),
        (&["\n\n", "\nUser:"], "x\ny\nUser: z", "x\ny", true),
        (&["bc", "abcd"], "xabcx", "xa", true),
        (&["", "zz"], "az", "az", false),
        (&[], "abc", "abc", false),
    ] {
        let cuts: Vec<usize> = (1..text.len())
            .filter(|&n| text.is_char_boundary(n))
            .collect();
        for &first in &cuts {
            for &second in cuts.iter().filter(|&&n| n >= first) {
                let (out, stopped, rest) = watch(
                    stops,
                    &[&text[..first], &text[first..second], &text[second..]],
                );
                assert_eq!(
                    (out.concat() + &rest).as_str(),
                    want,
                    "{stops:?} {text:?} at {first}, {second}"
                );
                assert_eq!(stopped, stops_there);
            }
        }
        let single: Vec<&str> = text.split_inclusive(|_| true).collect();
        let (out, stopped, rest) = watch(stops, &single);
        assert_eq!(
            (out.concat() + &rest, stopped),
            (want.to_owned(), stops_there)
        );
    }
}

#[test]
fn no_more_is_held_back_than_may_begin_a_stop() {
    let mut watcher = StopStrings::new(["ababc"]);
    let emitted: Vec<String> = ["x", "ab", "ab", "ab", "a", "c", "q"]
        .iter()
        .map(|p| watcher.push(p).emit)
        .collect();
    assert_eq!(emitted, ["x", "", "", "ab", "ab", "abac", "q"]);
    assert_eq!(watcher.push("zaba").emit, "z");
    assert_eq!(watcher.finish(), "aba");
}

#[test]
fn of_two_stops_the_earlier_place_counts() {
    assert_eq!(watch(&["world", "wor"], &["hello world"]).0, ["hello "]);
    assert_eq!(watch(&["lo", "hello"], &["say hello"]).0, ["say "]);
}
