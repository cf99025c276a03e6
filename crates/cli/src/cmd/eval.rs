//! `eval`: logits of a token sequence, or the perplexity of a text.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use chord_text::EncodeOptions;
use serde_json::json;

use super::engine::{self, Needs};
use super::perplexity::Perplexity;
use super::tokens_file;
use crate::args::EvalArgs;
use crate::error::{Error, exit};
use crate::npy;
use crate::out::Out;
use chord_runtime::Engine;

pub fn run(args: &EvalArgs) -> Result<u8, Error> {
    match (&args.tokens, &args.logits, &args.perplexity) {
        (Some(tokens), Some(logits), None) => logits_of(args, tokens, logits),
        (None, None, Some(text)) => perplexity(args, text),
        _ => Err(Error::usage(
            "eval needs --tokens with --logits, or --perplexity",
            "see wasm-chord eval --help",
        )),
    }
}

fn load(args: &EvalArgs) -> Result<Engine, Error> {
    engine::load(&args.model, &args.engine, Needs::default())
}

/// All tokens must have a place in the context.
fn check_room(ids: &[u32], engine: &Engine) -> Result<(), Error> {
    let context = engine.context_length();
    if u32::try_from(ids.len()).map_or(true, |n| n > context) {
        return Err(Error::Context {
            prompt: ids.len(),
            context,
        });
    }
    Ok(())
}

fn logits_of(args: &EvalArgs, tokens: &Path, logits: &Path) -> Result<u8, Error> {
    let ids = tokens_file::read(tokens)?;
    let mut engine = load(args)?;
    let n_vocab = engine.config().n_vocab;
    tokens_file::check(&ids, n_vocab)?;
    check_room(&ids, &engine)?;
    let columns = usize::try_from(n_vocab).map_err(|e| Error::usage(e.to_string(), ""))?;
    let file = File::create(logits).map_err(Error::file(logits))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    npy::write_header(&mut file, &[ids.len(), columns]).map_err(Error::file(logits))?;
    let mut rows = 0usize;
    let mut failed = None;
    let evaluated = pollster::block_on(engine.eval(&ids, args.chunk, &mut |_, row| {
        rows += 1;
        if failed.is_none() {
            failed = npy::write_values(&mut file, row).err();
        }
    }));
    evaluated?;
    let written = match failed {
        Some(e) => Err(e),
        None => file.flush(),
    };
    written.map_err(Error::file(logits))?;
    let mut out = Out::stdout();
    if args.json {
        out.json(&json!({"logits": logits.to_string_lossy(), "shape": [rows, columns], "chunk": args.chunk}))?;
    } else {
        out.line(&format!(
            "{}: float32 [{rows}, {columns}]",
            logits.display()
        ))?;
        out.flush()?;
    }
    Ok(exit::OK)
}

fn perplexity(args: &EvalArgs, text: &Path) -> Result<u8, Error> {
    let bytes = std::fs::read(text).map_err(Error::file(text))?;
    let mut engine = load(args)?;
    let ids = engine.tokenizer().encode_bytes(
        &bytes,
        EncodeOptions {
            add_special: true,
            parse_special: false,
        },
    );
    check_room(&ids, &engine)?;
    let mut scores = Perplexity::new(&ids);
    if ids.len() > 1 {
        pollster::block_on(
            engine.eval(&ids, args.chunk, &mut |index, row| scores.row(index, row)),
        )?;
    }
    let Some(mean) = scores.mean() else {
        return Err(Error::FileContent {
            path: text.to_owned(),
            what: format!("{} tokens: nothing to predict", ids.len()),
            help: "give a text of at least two tokens".into(),
        });
    };
    let accuracy = scores.hits as f64 / scores.nll.len() as f64;
    let mut out = Out::stdout();
    if args.json {
        out.json(&json!({
            "n_tokens": ids.len(),
            "n_scored": scores.nll.len(),
            "mean_nll": mean,
            "ppl": mean.exp(),
            "top1_acc": accuracy,
            "ids": ids,
            "nll": scores.nll,
        }))?;
    } else {
        out.line(&format!(
            "perplexity {:.4} over {} tokens",
            mean.exp(),
            scores.nll.len()
        ))?;
        out.line(&format!(
            "mean negative log likelihood {mean:.6}; right at the first guess {:.1} %",
            accuracy * 100.0
        ))?;
        out.flush()?;
    }
    Ok(exit::OK)
}
