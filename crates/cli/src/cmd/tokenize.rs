//! `tokenize` and `detokenize`: need the header only, no device.

use std::io::Read as _;

use chord_text::{EncodeOptions, Tokenizer};
use serde_json::json;

use super::tokens_file;
use crate::args::{DetokenizeArgs, TokenizeArgs};
use crate::error::{Error, exit};
use crate::model_file;
use crate::out::Out;

pub fn tokenize(args: &TokenizeArgs) -> Result<u8, Error> {
    let tokenizer = tokenizer(&args.model)?;
    let options = EncodeOptions {
        add_special: !args.no_bos,
        parse_special: args.special,
    };
    let ids = if args.text == "-" {
        tokenizer.encode_bytes(&stdin_bytes()?, options)
    } else {
        // Also text that is not UTF-8 has ids: the vocabulary knows bytes.
        tokenizer.encode_bytes(args.text.as_encoded_bytes(), options)
    };
    let mut out = Out::stdout();
    if args.json {
        out.json(&json!({"tokens": ids}))?;
    } else {
        for id in ids {
            let piece = tokenizer.piece(id).unwrap_or_default();
            out.line(&format!("{id}\t{:?}", String::from_utf8_lossy(piece)))?;
        }
        out.flush()?;
    }
    Ok(exit::OK)
}

pub fn detokenize(args: &DetokenizeArgs) -> Result<u8, Error> {
    let ids = if args.ids.is_empty() {
        let help = "give ids as arguments, or a JSON array or {\"tokens\":[...]} on standard input";
        let value = serde_json::from_slice(&stdin_bytes()?)
            .map_err(|e| Error::usage(format!("standard input is not JSON: {e}"), help))?;
        tokens_file::from_json(&value)
            .map_err(|e| Error::usage(format!("standard input: {e}"), help))?
    } else {
        args.ids.clone()
    };
    let tokenizer = tokenizer(&args.model)?;
    tokens_file::check(&ids, tokenizer.n_vocab())?;
    let text = tokenizer.decode(&ids, !args.skip_special);
    let mut out = Out::stdout();
    if args.json {
        out.json(&json!({"text": text}))?;
    } else {
        out.model_text(&text)?;
        out.line("")?;
        out.flush()?;
    }
    Ok(exit::OK)
}

fn tokenizer(model: &crate::args::ModelArgs) -> Result<Tokenizer, Error> {
    // From an address too: whoever tokenizes goes on to run, and the file is checked and kept.
    let (directory, _) = model_file::read_headers(&model_file::resolve(model)?)?;
    Ok(Tokenizer::from_directory(&directory)?)
}

fn stdin_bytes() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(Error::stdin)?;
    Ok(bytes)
}
