//! The `gemma4` tokenizer on a vocabulary small enough to merge by hand. (The real one: full_vocabs.rs.)

mod common;

use std::time::{Duration, Instant};

use chord_text::{EncodeOptions, Error, SpecialIds, StreamDecoder, Tokenizer, VocabSpec};

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
};

/// Text and type, behind `<pad>` 0, `<bos>` 1 and the 256 bytes from id 2.
const PIECES: [(&str, i32); 15] = [
    ("a", 1),
    ("b", 1),
    ("c", 1),
    ("▁", 1),
    ("ab", 1),
    ("bc", 1),
    ("▁a", 1),
    ("▁ab", 1),
    ("\n", 1),
    ("\n\n\n", 1),
    ("aa", 1),
    ("\u{FFFD}", 1),
    ("<mark>", 4),
    ("\na", 1),
    ("ca", 3),
];
const MERGES: [&str; 7] = ["b c", "a b", "▁ a", "▁ ab", "a a", "\n a", "c a"];
const FIRST: u32 = 258;

fn ids(texts: &[&str]) -> Vec<u32> {
    texts
        .iter()
        .map(|text| {
            FIRST + u32::try_from(PIECES.iter().position(|p| p.0 == *text).unwrap()).unwrap()
        })
        .collect()
}

fn byte(b: u8) -> u32 {
    2 + u32::from(b)
}

fn tokenizer(change: impl Fn(&mut VocabSpec<'_>)) -> Result<Tokenizer, Error> {
    let bytes: Vec<String> = (0..256).map(|b| format!("<0x{b:02X}>")).collect();
    let all = || {
        [("<pad>", 3), ("<bos>", 3)]
            .into_iter()
            .chain(bytes.iter().map(|b| (b.as_str(), 6)))
            .chain(PIECES)
    };
    let mut special = SpecialIds::default();
    special.set("bos", 1);
    let mut spec = VocabSpec {
        model: "gemma4".into(),
        tokens: all().map(|p| p.0.as_bytes()).collect(),
        types: Some(all().map(|p| p.1).collect()),
        merges: Some(MERGES.iter().map(|m| m.as_bytes()).collect()),
        special,
        ..VocabSpec::default()
    };
    change(&mut spec);
    Tokenizer::new(&spec)
}

#[test]
fn merges_go_by_rank_over_spaces_too() {
    let tok = tokenizer(|_| {}).unwrap();
    // b c is the best rule, so a stays; then ▁ a.
    assert_eq!(tok.encode(" abc", PLAIN), ids(&["▁a", "bc"]));
    // a b (1) before ▁ a (2), then ▁ ab.
    assert_eq!(tok.encode("b ab", PLAIN), ids(&["b", "▁ab"]));
    // Of two equal ranks the left one.
    assert_eq!(tok.encode("aaa", PLAIN), ids(&["aa", "a"]));
    // No space is put in front.
    assert_eq!(tok.encode("a", PLAIN), ids(&["a"]));
}

#[test]
fn line_feeds_part_words() {
    let tok = tokenizer(|_| {}).unwrap();
    // "\na" is a token and a rule, but no word holds both.
    assert_eq!(tok.encode("b\na", PLAIN), ids(&["b", "\n", "a"]));
    // A run of line feeds that is a token is that token without any rule.
    assert_eq!(tok.encode("a\n\n\nb", PLAIN), ids(&["a", "\n\n\n", "b"]));
    assert_eq!(tok.encode("\n\n", PLAIN), ids(&["\n", "\n"]));
}

#[test]
fn what_is_no_token_is_its_bytes() {
    let tok = tokenizer(|_| {}).unwrap();
    assert_eq!(
        tok.encode("aéb", PLAIN),
        [&ids(&["a"])[..], &[byte(0xC3), byte(0xA9)], &ids(&["b"])].concat()
    );
    // Stray bytes are U+FFFD before anything else, as in every byte-pair vocabulary.
    assert_eq!(
        tok.encode_bytes(b"a\xFFb", PLAIN),
        ids(&["a", "\u{FFFD}", "b"])
    );
    // The name of a byte token is text.
    assert!(!tok.encode("<0x41>", PLAIN).contains(&byte(0x41)));
    let mut stream = StreamDecoder::new(&tok);
    assert_eq!(stream.push(byte(0xC3)), None);
    assert_eq!(stream.push(byte(0xA9)).as_deref(), Some("é"));
    assert_eq!(stream.push(ids(&["▁ab"])[0]).as_deref(), Some(" ab"));
    for text in ["abc", " a b", "a  b\n", "é日🙂", "<mark> x <bos>"] {
        assert_eq!(tok.decode(&tok.encode(text, PLAIN), false), text);
    }
}

/// Row 99: also where a rule would make a control token.
#[test]
fn what_users_type_is_no_control_token() {
    let tok = tokenizer(|_| {}).unwrap();
    assert_eq!(tok.encode("ca", PLAIN), ids(&["c", "a"]));
    assert_eq!(tok.encode("a<mark>b", PLAIN), ids(&["a", "<mark>", "b"]));
    assert_eq!(common::check_control_texts(&tok), 3);
}

#[test]
fn bos_is_added_whatever_the_file_says() {
    let full = EncodeOptions {
        add_special: true,
        parse_special: true,
    };
    for said in [None, Some(true), Some(false)] {
        let tok = tokenizer(|s| s.add_bos = said).unwrap();
        assert_eq!(tok.encode("<bos>", full), [1, 1]);
    }
}

#[test]
fn faults_have_their_codes() {
    let code = |change: &dyn Fn(&mut VocabSpec<'_>)| tokenizer(change).unwrap_err().code();
    assert_eq!(code(&|s| s.merges = None), "E_META_MISSING");
    assert_eq!(code(&|s| s.merges = Some(vec![])), "E_MERGES");
    assert_eq!(code(&|s| s.merges = Some(vec![b"a x"])), "E_MERGES");
    assert_eq!(code(&|s| s.merges = Some(vec![b"ab"])), "E_MERGES");
    assert_eq!(code(&|s| s.special = SpecialIds::default()), "E_TOKEN_ID");
    assert_eq!(
        code(&|s| {
            s.tokens[2 + 0x80] = b"other";
            s.types.as_mut().unwrap()[2 + 0x80] = 1;
        }),
        "E_VOCAB"
    );
}

#[test]
fn a_mebibyte_of_one_character() {
    let tok = tokenizer(|_| {}).unwrap();
    for text in ["a", "b", "ab", " ", "日", "\n", "\na"] {
        let long = text.repeat((1 << 20) / text.len());
        let started = Instant::now();
        let ids = tok.encode(&long, PLAIN);
        // A second on a quiet machine; what this excludes is quadratic time, which would be minutes.
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{text:?}: {:?}",
            started.elapsed()
        );
        assert_eq!(tok.decode(&ids, false), long);
    }
}
