//! `bench`: speed, and the work per token, which does not depend on the machine.

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::adapters;
use super::engine::{self, Needs};
use super::figures::{Spread, bytes, table};
use crate::args::BenchArgs;
use crate::error::{Error, exit};
use crate::interrupt;
use crate::out::{Out, note};
use chord_runtime::{Counters, Done, Engine, GenerateRequest, Sampling, Session};

pub fn run(args: &BenchArgs) -> Result<u8, Error> {
    let mut engine = engine::load(
        &args.model,
        &args.engine,
        Needs {
            // Fixed, so that the counters do not depend on the machine.
            tokens_per_submit: Some(8),
            ..Needs::default()
        },
    )?;
    let (prompt, generate) = (args.prompt, args.generate);
    let context = engine.context_length();
    if prompt.checked_add(generate).is_none_or(|n| n > context) {
        return Err(Error::usage(
            format!(
                "-p {prompt} and -g {generate} do not fit into the context of {context} tokens"
            ),
            "choose fewer tokens, or raise --ctx",
        ));
    }
    let ids = prompt_ids(&engine, prompt);
    let mut session = engine.new_session()?;
    let mut out = Out::stdout();
    let mut once = |engine: &mut Engine, n: u32| -> Result<(Done, Counters), Error> {
        session.clear(engine);
        let before = engine.counters();
        let done = generate_once(engine, &mut session, &ids, n)?;
        Ok((done, difference(&before, &engine.counters())))
    };

    // The first run pays for what the driver compiles late; it also counts a prompt alone.
    let (_, prompt_only) = once(&mut engine, 1)?;
    let mut runs = Vec::new();
    let mut whole = Counters::default();
    for rep in 0..args.repeat {
        let (done, counters) = once(&mut engine, generate)?;
        whole = counters;
        let t = done.timings;
        if args.json {
            out.json(&json!({
                "event": "run", "rep": rep, "prefill_tok_s": t.prefill_tok_s, "decode_tok_s": t.decode_tok_s, "ttft_ms": t.ttft_ms,
            }))?;
        } else {
            note(&format!(
                "run {}: prefill {:.1} tok/s, decode {:.1} tok/s",
                rep.saturating_add(1),
                t.prefill_tok_s,
                t.decode_tok_s
            ));
        }
        runs.push(t);
    }
    let prefill = Spread::of(runs.iter().map(|t| t.prefill_tok_s));
    let decode = Spread::of(runs.iter().map(|t| t.decode_tok_s));
    let ttft = Spread::of(runs.iter().map(|t| t.ttft_ms));
    let (Some(prefill), Some(decode), Some(ttft)) = (prefill, decode, ttft) else {
        return Err(Error::usage("no run was made", "use -r 1 or more"));
    };
    let counters = per_token(&prompt_only, &whole, generate);
    let total = engine.counters();
    if args.json {
        return json_result(
            args,
            &engine,
            &mut out,
            [prefill, decode, ttft],
            &counters,
            &total,
        );
    }
    let row = |name: &str, s: Spread, unit: &str| {
        vec![
            name.to_owned(),
            format!("{:.2}", s.median),
            format!("{:.2}", s.min),
            format!("{:.2}", s.max),
            unit.to_owned(),
        ]
    };
    let rows = [
        row(&format!("prefill {prompt}"), prefill, "tok/s"),
        row(&format!("decode {generate}"), decode, "tok/s"),
        row("first token", ttft, "ms"),
    ];
    out.line(&table(&["", "median", "min", "max", ""], &rows, &[1, 2, 3]))?;
    let work: Vec<Vec<String>> = counters
        .iter()
        .map(|(name, v)| {
            vec![
                name.trim_end_matches("_per_token").replace('_', " "),
                format!("{v:.1}"),
            ]
        })
        .collect();
    out.line(&format!(
        "\n{}",
        table(&["per decoded token", ""], &work, &[1])
    ))?;
    out.line(&format!(
        "\ndevice memory {}; largest host copy while loading {}",
        bytes(total.gpu_bytes),
        bytes(total.loader_peak_host_bytes)
    ))?;
    out.flush()?;
    Ok(exit::OK)
}

fn json_result(
    args: &BenchArgs,
    engine: &Engine,
    out: &mut Out,
    [prefill, decode, ttft]: [Spread; 3],
    counters: &[(&'static str, f64)],
    total: &Counters,
) -> Result<u8, Error> {
    let mut map: serde_json::Map<String, Value> = counters
        .iter()
        .map(|(k, v)| ((*k).to_owned(), json!(v)))
        .collect();
    map.insert("gpu_bytes".into(), json!(total.gpu_bytes));
    map.insert(
        "loader_peak_host_bytes".into(),
        json!(total.loader_peak_host_bytes),
    );
    let about: serde_json::Map<String, Value> = engine
        .describe()
        .into_iter()
        .map(|(k, v)| (k, json!(v)))
        .collect();
    out.json(&json!({
        "event": "bench",
        "prompt": args.prompt,
        "generate": args.generate,
        "repeat": args.repeat,
        "prefill_tok_s": prefill.to_json(),
        "decode_tok_s": decode.to_json(),
        "ttft_ms": ttft.to_json(),
        "counters": map,
        "engine": about,
        "adapter": adapters::in_use(engine.adapter(), engine.device_reason()),
    }))?;
    Ok(exit::OK)
}

fn generate_once(
    engine: &mut Engine,
    session: &mut Session,
    ids: &[u32],
    n: u32,
) -> Result<Done, Error> {
    let request = GenerateRequest {
        prompt: ids.to_vec(),
        max_tokens: Some(n),
        // Greedy: the same work on every machine.
        sampling: Sampling::greedy(),
        stop: Vec::new(),
        ignore_eog: true,
        ..GenerateRequest::default()
    };
    let done = interrupt::answering(|cancel: &AtomicBool| {
        pollster::block_on(session.generate(engine, &request, cancel, &mut |_| {}))
    })?;
    // A shorter run would make every figure wrong.
    if u32::try_from(done.tokens.len()) != Ok(n) {
        return Err(Error::Interrupted);
    }
    Ok(done)
}

/// A prompt of ordinary tokens spread over the vocabulary; the same on every machine.
fn prompt_ids(engine: &Engine, n: u32) -> Vec<u32> {
    let tokenizer = engine.tokenizer();
    let vocab = u64::from(engine.config().n_vocab.max(1));
    let spread = (0u64..)
        .map(|i| (i.wrapping_mul(7919).wrapping_add(13)) % vocab)
        .filter_map(|id| u32::try_from(id).ok());
    let ordinary = |id: &u32| !tokenizer.is_control(*id);
    // Control tokens are few; if a vocabulary holds nothing else, take them.
    let n_usize = usize::try_from(n).unwrap_or(usize::MAX);
    let limit = n_usize.saturating_mul(4);
    let ids: Vec<u32> = spread
        .clone()
        .take(limit)
        .filter(ordinary)
        .take(n_usize)
        .collect();
    if ids.len() == n_usize {
        ids
    } else {
        spread.take(n_usize).collect()
    }
}

fn difference(before: &Counters, after: &Counters) -> Counters {
    Counters {
        dispatches: after.dispatches.saturating_sub(before.dispatches),
        submits: after.submits.saturating_sub(before.submits),
        weight_bytes: after.weight_bytes.saturating_sub(before.weight_bytes),
        kv_bytes: after.kv_bytes.saturating_sub(before.kv_bytes),
        readback_bytes: after.readback_bytes.saturating_sub(before.readback_bytes),
        gpu_bytes: after.gpu_bytes.saturating_sub(before.gpu_bytes),
        pipelines: after.pipelines.saturating_sub(before.pipelines),
        bind_groups: after.bind_groups.saturating_sub(before.bind_groups),
        buffers: after.buffers.saturating_sub(before.buffers),
        ..*after
    }
}

/// Work of a decoded token: a run of `generate` tokens less a run of one, which holds the prompt's work.
fn per_token(one: &Counters, whole: &Counters, generate: u32) -> Vec<(&'static str, f64)> {
    let steps = f64::from(generate.saturating_sub(1).max(1));
    let mean = |a: u64, b: u64| (b as f64 - a as f64) / steps;
    vec![
        (
            "dispatches_per_token",
            mean(one.dispatches, whole.dispatches),
        ),
        ("submits_per_token", mean(one.submits, whole.submits)),
        (
            "weight_bytes_per_token",
            mean(one.weight_bytes, whole.weight_bytes),
        ),
        ("kv_bytes_per_token", mean(one.kv_bytes, whole.kv_bytes)),
        (
            "readback_bytes_per_token",
            mean(one.readback_bytes, whole.readback_bytes),
        ),
        ("buffers_per_token", mean(one.buffers, whole.buffers)),
        (
            "bind_groups_per_token",
            mean(one.bind_groups, whole.bind_groups),
        ),
        ("pipelines_per_token", mean(one.pipelines, whole.pipelines)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompts_work_is_taken_out() {
        let one = Counters {
            dispatches: 100,
            submits: 3,
            weight_bytes: 5000,
            ..Counters::default()
        };
        let whole = Counters {
            dispatches: 100 + 9 * 12,
            submits: 3 + 9,
            weight_bytes: 5000 + 9 * 700,
            ..Counters::default()
        };
        let got = per_token(&one, &whole, 10);
        let value = |name: &str| got.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        assert_eq!(value("dispatches_per_token"), Some(12.0));
        assert_eq!(value("submits_per_token"), Some(1.0));
        assert_eq!(value("weight_bytes_per_token"), Some(700.0));
        assert_eq!(value("buffers_per_token"), Some(0.0));
    }
}
