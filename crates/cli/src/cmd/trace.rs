//! `trace`: every intermediate tensor, judged and compared.

use std::path::Path;

use chord_runtime::trace_check::{self, Comparison};
use serde_json::{Value, json};

use super::engine::{self, Needs};
use super::tokens_file;
use super::trace_files::{self, Against};
use crate::args::TraceArgs;
use crate::error::{Error, exit};
use crate::out::Out;
use chord_runtime::{Precision, TraceDump};

/// Relative difference that an f32 engine stays below.
const TOLERANCE: f64 = 1e-4;

pub fn run(args: &TraceArgs) -> Result<u8, Error> {
    // Both may be wrong; they are read before minutes of loading.
    let against = args.against.as_deref().map(Against::read).transpose()?;
    let tokens = trace_files::tokens(args.tokens.as_deref(), against.as_ref())?;
    let mut engine = engine::load(
        &args.model,
        &args.engine,
        Needs {
            precision: Precision::Exact,
            taps: true,
            ..Needs::default()
        },
    )?;
    tokens_file::check(&tokens, engine.config().n_vocab)?;
    let context = engine.context_length();
    if u32::try_from(tokens.len()).map_or(true, |n| n > context) {
        return Err(Error::Context {
            prompt: tokens.len(),
            context,
        });
    }
    let dump = pollster::block_on(engine.trace(&tokens))?;
    let faults = trace_check::check(&dump, &tokens);
    if let Some(folder) = &args.out {
        trace_files::write_dump(folder, &tokens, &engine.describe(), &dump, &faults)?;
    }
    let comparison = against.as_ref().map(|a| compare(&dump, a));
    let agrees = comparison
        .as_ref()
        .is_none_or(|c| c.differences.is_empty() && c.missing.is_empty());
    let ok = faults.is_empty() && agrees;
    let mut out = Out::stdout();
    if args.json {
        let compared = comparison
            .as_ref()
            .zip(args.against.as_deref())
            .map(|(c, path)| comparison_json(c, path));
        out.json(&json!({
            "event": "trace",
            "ok": ok,
            "taps": dump.taps.len(),
            "tokens": tokens,
            "faults": trace_files::faults_json(&faults),
            "comparison": compared,
        }))?;
    } else {
        out.line(&trace_files::summary(&dump, &faults))?;
        for fault in &faults {
            out.line(&format!("FAULT {fault}"))?;
        }
        if let Some(c) = &comparison {
            words(c, &mut out)?;
        }
        out.flush()?;
    }
    Ok(if ok { exit::OK } else { exit::FAULTS })
}

fn compare(dump: &TraceDump, against: &Against) -> Comparison {
    match against {
        Against::Dump { dump: theirs, .. } => trace_check::compare_dumps(dump, theirs, TOLERANCE),
        Against::Reference { tensors, .. } => {
            trace_check::compare_reference(dump, tensors, TOLERANCE)
        }
    }
}

fn words(c: &Comparison, out: &mut Out) -> Result<(), Error> {
    let worst = c.worst.as_ref().map_or(String::new(), |(tap, r)| {
        format!("; largest relative difference {r:.1e} in {tap}")
    });
    match c.differences.first() {
        None => out.line(&format!(
            "{} taps compared, all agree within {TOLERANCE:e}{worst}",
            c.compared
        ))?,
        Some(first) => {
            out.line(&format!("DIFFERS first at {first}"))?;
            out.line(&format!(
                "{} of {} taps differ by more than {TOLERANCE:e}{worst}",
                c.differences.len(),
                c.compared
            ))?;
        }
    }
    if let Some(first) = c.missing.first() {
        out.line(&format!(
            "{} taps of the other side are missing here, the first: {first}",
            c.missing.len()
        ))?;
    }
    Ok(())
}

fn comparison_json(c: &Comparison, path: &Path) -> Value {
    // JSON has no infinity: a shape or a NaN that differs is written as null.
    let difference = |d: &trace_check::Difference| json!({"tap": d.tap, "message": d.to_string(), "relative": d.relative});
    json!({
        "against": path.to_string_lossy(),
        "tolerance": TOLERANCE,
        "compared": c.compared,
        "worst": c.worst.as_ref().map(|(tap, relative)| json!({"tap": tap, "relative": relative})),
        "missing": c.missing,
        "first_difference": c.differences.first().map(difference),
        "differences": c.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}
