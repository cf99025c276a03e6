//! What the golden tests share: where the data is, and the comparison with llama.cpp's ids.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod templates;

use std::path::{Path, PathBuf};

use chord_gguf::Directory;
use chord_text::{EncodeOptions, Message, RenderOptions, Span, Tokenizer};
use serde_json::Value;

/// `tests/data` of the workspace.
pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(path)
}

pub fn json(path: &str) -> Value {
    let path = data(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn directory(path: &Path) -> Directory {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Directory::parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("ids: {e}: {value}"))
}

fn bytes(case: &Value, key: &str) -> Vec<u8> {
    match (case.get(key), case.get(format!("{key}_hex"))) {
        (Some(Value::String(s)), None) => s.clone().into_bytes(),
        (None, Some(Value::String(s))) => hex(s),
        other => panic!("{key}: {other:?}"),
    }
}

fn hex(s: &str) -> Vec<u8> {
    (0..s.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap())
        .collect()
}

/// Every case of a `tok/*.json`: ids under the four option pairs, each token's bytes, the text back. Returns the count.
pub fn check_tok(golden: &str, tok: &Tokenizer) -> usize {
    let golden = json(golden);
    let vocab = &golden["vocab"];
    assert_eq!(Value::from(tok.n_vocab()), vocab["n_tokens"]);
    assert_eq!(tok.bos().map(Value::from).as_ref(), vocab.get("bos"));
    assert_eq!(tok.eos().map(Value::from).as_ref(), vocab.get("eos"));
    assert_eq!(Value::from(tok.add_bos()), vocab["add_bos"]);
    assert_eq!(Value::from(tok.add_eos()), vocab["add_eos"]);
    assert_eq!(tok.eog(), ids(&vocab["eog"]));
    let cases = golden["cases"].as_array().unwrap();
    for case in cases {
        let text = bytes(case, "text");
        for (key, add_special, parse_special) in [
            ("ids", true, true),
            ("plain", false, false),
            ("add", true, false),
            ("parse", false, true),
        ] {
            let want = ids(case.get(key).unwrap_or(&case["ids"]));
            let got = tok.encode_bytes(
                &text,
                EncodeOptions {
                    add_special,
                    parse_special,
                },
            );
            assert_eq!(got, want, "{key} of {case}");
        }
        let want = ids(&case["ids"]);
        for (id, piece) in want.iter().zip(case["pieces"].as_array().unwrap()) {
            let want = match piece {
                Value::String(s) => s.clone().into_bytes(),
                other => hex(other["hex"].as_str().unwrap()),
            };
            assert_eq!(tok.piece(*id), Some(&want[..]), "piece {id} of {case}");
        }
        assert_eq!(
            tok.decode(&want, true),
            String::from_utf8_lossy(&bytes(case, "detok")),
            "{case}"
        );
    }
    cases.len()
}

/// Messages and options of a case of `chat/*.json`.
pub fn chat_case(golden: &Value, case: &Value) -> (Vec<Message>, RenderOptions) {
    let conversation = golden["convs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == case["conv"])
        .unwrap();
    let messages = serde_json::from_value(conversation["messages"].clone()).unwrap();
    let text = |key: &str| case[key].as_str().unwrap().to_owned();
    let opts = RenderOptions {
        add_generation_prompt: case["add_generation_prompt"].as_bool().unwrap(),
        bos: text("bos_token"),
        eos: text("eos_token"),
        ..RenderOptions::default()
    };
    (messages, opts)
}

/// The text of a control token is only ever the token where it lies wholly in trusted text. Returns how many were tried.
pub fn check_control_texts(tok: &Tokenizer) -> usize {
    let control: Vec<u32> = (0..tok.n_vocab())
        .filter(|&id| tok.is_control(id))
        .collect();
    for &id in &control {
        let text = String::from_utf8(tok.piece(id).unwrap().to_vec()).unwrap();
        for user in [
            text.clone(),
            format!("a{text}b"),
            format!(" {text} {text}{text}\n"),
            format!("{}{text}", &text[..1]),
        ] {
            for add_special in [false, true] {
                let opts = EncodeOptions {
                    add_special,
                    parse_special: false,
                };
                let added = usize::from(add_special && tok.add_bos());
                let end = usize::from(add_special && tok.add_eos());
                let ids = tok.encode(&user, opts);
                let plain = &ids[added..ids.len() - end];
                assert!(
                    !plain.iter().any(|&id| tok.is_control(id)),
                    "{user:?}: {ids:?}"
                );
            }
        }
        // Begun in trusted text and ended in the user's, and the other way round.
        for cut in (1..text.len()).filter(|&n| text.is_char_boundary(n)) {
            for first_trusted in [false, true] {
                let (head, tail) = text.split_at(cut);
                let ids = tok.encode_spans(&[
                    Span {
                        text: head,
                        parse_special: first_trusted,
                    },
                    Span {
                        text: tail,
                        parse_special: !first_trusted,
                    },
                ]);
                assert!(!ids.contains(&id), "{head:?} + {tail:?}: {ids:?}");
            }
        }
        let trusted = tok.encode(
            &format!("a{text}b"),
            EncodeOptions {
                add_special: false,
                parse_special: true,
            },
        );
        assert!(trusted.contains(&id), "{text:?}: {trusted:?}");
    }
    control.len()
}
