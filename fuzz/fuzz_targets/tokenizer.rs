//! Tokenizers from any metadata: no panic, only ids of the vocabulary, and text that comes back as it was wherever every
//! byte has a token and no token has a special meaning.
#![no_main]

use chord_gguf::Directory;
use chord_gguf::write::{FileSpec, WriteValue};
use chord_text::{EncodeOptions, Span, StreamDecoder, Tokenizer};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    sentence_piece: bool,
    /// Whether the vocabulary begins with a token for each byte.
    all_bytes: bool,
    /// Whether every further token is a normal one without an id that means something.
    plain: bool,
    pre: u8,
    /// Further tokens: a pair of earlier ones joined, or any bytes.
    tokens: Vec<Token>,
    types: Vec<i8>,
    ids: [Option<u16>; 5],
    flags: [Option<bool>; 3],
    text: Vec<u8>,
    add_special: bool,
    parse_special: bool,
}

#[derive(Debug, Arbitrary)]
enum Token {
    Joined(u16, u16),
    Bytes(Vec<u8>),
}

const PRE: [&str; 12] = [
    "smollm",
    "llama-bpe",
    "gpt-2",
    "qwen2",
    "falcon",
    "gpt-4o",
    "tiny_aya",
    "kimi-k2",
    "deepseek-llm",
    "deepseek-v3",
    "viking",
    "no such thing",
];
const IDS: [&str; 5] = ["bos", "eos", "eot", "unknown", "padding"];
const FLAGS: [&str; 3] = ["add_bos_token", "add_eos_token", "add_space_prefix"];

fuzz_target!(|input: Input| {
    let file = file(&input).to_bytes();
    let directory = Directory::parse(&file).expect("the writer writes sound headers");
    let tokenizer = match Tokenizer::from_directory(&directory) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            assert!(error.code().starts_with("E_") && !error.help().is_empty());
            return;
        }
    };
    let options = EncodeOptions {
        add_special: input.add_special,
        parse_special: input.parse_special,
    };
    let ids = tokenizer.encode_bytes(&input.text, options);
    let mut stream = StreamDecoder::new(&tokenizer);
    let mut streamed = String::new();
    for &id in &ids {
        assert!(
            tokenizer.piece(id).is_some(),
            "{id} is not in the vocabulary"
        );
        streamed.extend(stream.push(id));
    }
    streamed.push_str(&stream.finish());
    // What no token could have made: ids outside the vocabulary give nothing, and nothing panics.
    assert_eq!(tokenizer.decode(&[tokenizer.n_vocab(), u32::MAX], true), "");

    let Ok(text) = std::str::from_utf8(&input.text) else {
        return;
    };
    assert_eq!(
        ids,
        tokenizer.encode(text, options),
        "bytes and text differ"
    );
    let bare = tokenizer.encode(text, EncodeOptions::default());
    let spans = [Span {
        text,
        parse_special: false,
    }];
    assert_eq!(
        bare,
        tokenizer.encode_spans(&spans),
        "a span and its text differ"
    );
    // SentencePiece spells a space as U+2581, so that character itself cannot come back.
    if input.all_bytes && input.plain && !(input.sentence_piece && text.contains('\u{2581}')) {
        assert_eq!(tokenizer.decode(&bare, true), text, "ids {bare:?}");
    }
});

fn file(input: &Input) -> FileSpec {
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let mut types = Vec::new();
    let mut merges = Vec::new();
    if input.all_bytes {
        for byte in 0..=u8::MAX {
            tokens.push(byte_token(byte, input.sentence_piece));
            types.push(if input.sentence_piece { 6 } else { 1 });
        }
        if input.sentence_piece {
            // The space's own token: as bytes it would come back as U+2581. Letters, for the joined tokens.
            for letter in ["\u{2581}", "a", "b", "c", "d", "e"] {
                tokens.push(letter.as_bytes().to_vec());
                types.push(1);
            }
        }
    }
    for (i, token) in input.tokens.iter().enumerate() {
        let text = match token {
            Token::Joined(left, right) if !tokens.is_empty() => {
                let left = &tokens[usize::from(*left) % tokens.len()];
                let right = &tokens[usize::from(*right) % tokens.len()];
                merges.push([left.as_slice(), b" ", right].concat());
                [left.as_slice(), right].concat()
            }
            Token::Joined(..) => b"a".to_vec(),
            Token::Bytes(bytes) => bytes.clone(),
        };
        // Twice the same text is refused; that verdict is one input's worth, not every input's.
        if input.plain && tokens.contains(&text) {
            continue;
        }
        tokens.push(text);
        types.push(match input.types.get(i) {
            Some(&t) if !input.plain => i32::from(t),
            _ => 1,
        });
    }
    let mut spec = FileSpec::default();
    let model = if input.sentence_piece {
        "llama"
    } else {
        "gpt2"
    };
    spec.push("tokenizer.ggml.model", WriteValue::str(model));
    spec.push(
        "tokenizer.ggml.pre",
        WriteValue::str(PRE[usize::from(input.pre) % PRE.len()]),
    );
    // Later tokens merge later, as in real vocabularies.
    let scores = (0..tokens.len()).map(|i| -(i as f32)).collect();
    spec.push("tokenizer.ggml.tokens", WriteValue::StrArray(tokens));
    spec.push("tokenizer.ggml.scores", WriteValue::F32Array(scores));
    spec.push("tokenizer.ggml.token_type", WriteValue::I32Array(types));
    spec.push("tokenizer.ggml.merges", WriteValue::StrArray(merges));
    if !input.plain {
        for (name, id) in IDS.iter().zip(input.ids) {
            if let Some(id) = id {
                spec.push(
                    &format!("tokenizer.ggml.{name}_token_id"),
                    WriteValue::U32(u32::from(id)),
                );
            }
        }
    }
    for (name, flag) in FLAGS.iter().zip(input.flags) {
        if let Some(flag) = flag {
            spec.push(&format!("tokenizer.ggml.{name}"), WriteValue::Bool(flag));
        }
    }
    spec
}

/// A byte's token text: `<0x0A>` in SentencePiece, GPT-2's printable stand-in otherwise.
fn byte_token(byte: u8, sentence_piece: bool) -> Vec<u8> {
    if sentence_piece {
        return format!("<0x{byte:02X}>").into_bytes();
    }
    let printable = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let c = if printable(byte) {
        char::from(byte)
    } else {
        let before = (0..byte).filter(|&b| !printable(b)).count();
        char::from_u32(256 + before as u32).expect("at most 256 + 67")
    };
    c.to_string().into_bytes()
}
