//! `bench`: speed, and the work per token, which does not depend on the machine.

mod host;
mod measure;
mod perfetto;
mod profile;
mod report;
mod synth;

use std::time::Instant;

use serde_json::json;

use super::engine::{self, Needs};
use crate::args::BenchArgs;
use crate::error::{Error, exit};
use crate::model_file;
use crate::out::{Out, note};
use chord_runtime::{Engine, OVERLAPPED_CHAIN, Timings};
use measure::Runs;
use report::Report;

/// Measures; `started`: when the process was.
pub fn run(args: &BenchArgs, started: Instant) -> Result<u8, Error> {
    let needs = Needs {
        // As many as an answer's submits grow to, and fixed, so that the counters do not depend on the machine.
        tokens_per_submit: Some(OVERLAPPED_CHAIN),
        ..Needs::default()
    };
    let mut engine = match synth::named(&args.model)? {
        Some(model) => synth::load(&model, args, needs)?,
        None => {
            // Whole before: loading is measured too.
            model_file::resolve(&args.model)?;
            engine::load(&args.model, &args.engine, needs)?
        }
    };
    check_room(args, &engine)?;
    let mut out = Out::stdout();
    let runs = Runs::new(&mut engine, args)?;
    let first_token_ms = started.elapsed().as_secs_f64() * 1e3;
    let measured = runs.measure(&mut engine, args, |rep, t| said(args, &mut out, rep, t))?;
    let report = Report::new(&engine, first_token_ms, measured)?;
    let profile = args
        .profile
        .then(|| profile::Found::new(&mut engine, args))
        .transpose()?;
    if args.json {
        if let Some(profile) = &profile {
            out.json(&profile.json())?;
        }
        out.json(&report.json(args, &engine))?;
    } else {
        report.words(args, &mut out)?;
        if let Some(profile) = &profile {
            profile.words(&mut out)?;
        }
    }
    out.flush()?;
    Ok(exit::OK)
}

fn check_room(args: &BenchArgs, engine: &Engine) -> Result<(), Error> {
    let (depth, prompt, generate) = (args.depth, args.prompt, args.generate);
    let context = engine.context_length();
    let tokens = [depth, prompt, generate].into_iter();
    let fits = tokens.map(u64::from).sum::<u64>().le(&u64::from(context));
    if fits {
        return Ok(());
    }
    let deep = match depth {
        0 => String::new(),
        depth => format!("--depth {depth}, "),
    };
    Err(Error::usage(
        format!(
            "{deep}-p {prompt} and -g {generate} do not fit into the context of {context} tokens"
        ),
        "choose fewer tokens, or raise --ctx",
    ))
}

/// A run is over.
fn said(args: &BenchArgs, out: &mut Out, rep: u32, t: &Timings) -> Result<(), Error> {
    if args.json {
        return out.json(&json!({
            "event": "run", "rep": rep, "prefill_tok_s": t.prefill_tok_s, "decode_tok_s": t.decode_tok_s, "ttft_ms": t.ttft_ms,
        }));
    }
    note(&format!(
        "run {}: prefill {:.1} tok/s, decode {:.1} tok/s",
        rep.saturating_add(1),
        t.prefill_tok_s,
        t.decode_tok_s
    ));
    Ok(())
}
