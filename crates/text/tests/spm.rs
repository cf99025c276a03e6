//! The SentencePiece encoder on a vocabulary small enough to merge by hand.

mod common;

use std::time::{Duration, Instant};

use chord_text::{EncodeOptions, Span, SpecialIds, Tokenizer, VocabSpec};

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
};
const FULL: EncodeOptions = EncodeOptions {
    add_special: true,
    parse_special: true,
};

/// Text, score, type: 0 `<unk>`, 1 `<s>`, 2 `</s>`, then the 256 bytes from id 3, then these from 259.
const PIECES: [(&str, f32, i32); 14] = [
    ("▁", -20.0, 1),
    ("a", -21.0, 1),
    ("b", -22.0, 1),
    ("c", -23.0, 1),
    ("ab", -2.0, 1),
    ("bc", -1.0, 1),
    ("abc", -5.0, 1),
    ("▁a", -3.0, 1),
    ("aa", -4.0, 1),
    ("aaaa", -6.0, 1),
    ("<USER>", 0.0, 4),
    ("<s", -7.0, 1),
    (">", -25.0, 1),
    ("é", -24.0, 1),
];
const FIRST: u32 = 259;

fn id(text: &str) -> u32 {
    FIRST + u32::try_from(PIECES.iter().position(|p| p.0 == text).unwrap()).unwrap()
}

fn byte(b: u8) -> u32 {
    3 + u32::from(b)
}

fn ids(texts: &[&str]) -> Vec<u32> {
    texts.iter().map(|t| id(t)).collect()
}

fn tokenizer(change: impl Fn(&mut VocabSpec<'_>)) -> Result<Tokenizer, chord_text::Error> {
    let bytes: Vec<String> = (0..256).map(|b| format!("<0x{b:02X}>")).collect();
    let head = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)];
    let all = || {
        head.iter()
            .copied()
            .chain(bytes.iter().map(|b| (b.as_str(), 0.0, 6)))
            .chain(PIECES)
    };
    let mut special = SpecialIds::default();
    special.set("bos", 1);
    special.set("eos", 2);
    let mut spec = VocabSpec {
        model: "llama".into(),
        tokens: all().map(|p| p.0.as_bytes()).collect(),
        scores: Some(all().map(|p| p.1).collect()),
        types: Some(all().map(|p| p.2).collect()),
        special,
        ..VocabSpec::default()
    };
    change(&mut spec);
    Tokenizer::new(&spec)
}

#[test]
fn the_best_union_merges_first() {
    let tok = tokenizer(|_| {}).unwrap();
    // "▁abc": bc (-1) beats ab (-2) and ▁a (-3); then a+bc = abc (-5) is all that is left of ▁a, because a is taken.
    // After bc: neighbours are ▁,a,bc: ▁a (-3) beats abc (-5), so the result is ▁a, bc.
    assert_eq!(tok.encode("abc", PLAIN), ids(&["▁a", "bc"]));
    // Without the prefix space: bc first, then abc.
    let bare = tokenizer(|s| s.add_space_prefix = Some(false)).unwrap();
    assert_eq!(bare.encode("abc", PLAIN), ids(&["abc"]));
    // Of two equal scores the left one: aaaaa is aa aa a, then aaaa a.
    assert_eq!(bare.encode("aaaaa", PLAIN), ids(&["aaaa", "a"]));
    assert_eq!(bare.encode("aaa", PLAIN), ids(&["aa", "a"]));
    assert_eq!(bare.encode("", FULL), [1]);
}

#[test]
fn spaces_bytes_and_special_tokens() {
    let tok = tokenizer(|_| {}).unwrap();
    assert_eq!(
        tok.encode("a b", FULL),
        [&[1][..], &ids(&["▁a", "▁", "b"])].concat()
    );
    // A character that is no token is its bytes; stray bytes too.
    assert_eq!(
        tok.encode("é日", PLAIN),
        [&ids(&["▁", "é"])[..], &[byte(0xE6), byte(0x97), byte(0xA5)]].concat()
    );
    assert_eq!(
        tok.encode_bytes(b"\xC3\xFF", PLAIN),
        [id("▁"), byte(0xC3), byte(0xFF)]
    );
    // Text after a special token gets the prefix space again.
    assert_eq!(
        tok.encode("b</s>b", FULL),
        [&[1][..], &ids(&["▁", "b"]), &[2], &ids(&["▁", "b"])].concat()
    );
    // A user-defined token is found in any text.
    assert_eq!(
        tok.encode("b<USER>b", PLAIN),
        ids(&["▁", "b", "<USER>", "▁", "b"])
    );
    // The text of a control token stays text, though `<s` and `>` could merge into it by score.
    let text = tok.encode("<s>", PLAIN);
    assert_eq!(text, ids(&["▁", "<s", ">"]));
    // A byte token's name is text as well.
    assert!(!tok.encode("<0x41>", PLAIN).contains(&byte(0x41)));
}

/// Row 99 for SentencePiece: also where the pieces could merge into a control token's text by their scores.
#[test]
fn what_users_type_is_no_control_token() {
    for prefix in [None, Some(false)] {
        let tok = tokenizer(|s| {
            s.add_space_prefix = prefix;
            // "abc" is as good as any merge can be, and a control token.
            s.types.as_mut().unwrap()[id("abc") as usize] = 3;
            s.scores.as_mut().unwrap()[id("abc") as usize] = 0.0;
        })
        .unwrap();
        assert_eq!(common::check_control_texts(&tok), 4);
    }
}

#[test]
fn back_to_text() {
    let tok = tokenizer(|_| {}).unwrap();
    for text in ["abc", " a b", "a  b\n", "é日🙂", "<s> x </s>"] {
        assert_eq!(tok.decode(&tok.encode(text, PLAIN), false), text);
    }
    let ids = tok.encode("b</s>", FULL);
    assert_eq!(tok.decode(&ids, true), "<s> b</s>");
    assert_eq!(tok.decode(&ids, false), " b");
    assert_eq!(tok.eog(), [2]);
    assert_eq!(tok.describe(), "llama, 273 tokens");
}

#[test]
fn spans_keep_control_tokens_to_trusted_text() {
    let tok = tokenizer(|_| {}).unwrap();
    let spans = [
        Span {
            text: "<s>a",
            parse_special: true,
        },
        Span {
            text: "b<s>",
            parse_special: false,
        },
        Span {
            text: "</s>",
            parse_special: true,
        },
    ];
    // Words run across borders: "ab" is one piece.
    let got = tok.encode_spans(&spans);
    assert_eq!(got.first(), Some(&1));
    assert_eq!(got.last(), Some(&2));
    assert_eq!(got.iter().filter(|&&i| i == 1).count(), 1);
    assert_eq!(tok.decode(&got[1..got.len() - 1], false), "ab<s>");
}

#[test]
fn no_byte_tokens_no_tokenizer() {
    let error = tokenizer(|s| {
        for t in &mut s.tokens {
            if *t == b"<0x0A>" {
                *t = b"other";
            }
        }
        s.types.as_mut().unwrap()[3 + 0x0A] = 1;
    })
    .unwrap_err();
    assert_eq!(error.code(), "E_VOCAB");
    assert!(error.to_string().contains("<0x0A>"));
    assert_eq!(
        tokenizer(|s| s.scores = None).unwrap_err().code(),
        "E_META_MISSING"
    );
    assert_eq!(
        tokenizer(|s| s.special = SpecialIds::default())
            .unwrap_err()
            .code(),
        "E_TOKEN_ID"
    );
}

#[test]
fn a_mebibyte_of_one_character() {
    let tok = tokenizer(|s| s.add_space_prefix = Some(false)).unwrap();
    for (text, want) in [("a", id("aaaa")), ("b", id("b")), ("日", byte(0xE6))] {
        let long = text.repeat((1 << 20) / text.len());
        let started = Instant::now();
        let ids = tok.encode(&long, PLAIN);
        // A second on a quiet machine; what this excludes is quadratic time, which would be minutes.
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{text}: {:?}",
            started.elapsed()
        );
        assert_eq!(ids.first(), Some(&want));
        assert_eq!(tok.decode(&ids, false), long);
    }
}
