//! `--profile`: the time of each kernel.

use serde_json::{Value, json};

use super::measure::prompt_ids;
use super::perfetto;
use crate::args::BenchArgs;
use crate::cmd::figures::{bytes, table};
use crate::error::Error;
use crate::out::Out;
use chord_runtime::{Clock, Engine, Phase, PhaseProfile, Profile, Row};

/// A profile, and what the memory can do.
pub struct Found {
    profile: Profile,
    /// Bytes per second, read and written, of copies on the GPU.
    copies: Option<f64>,
}

impl Found {
    /// Profiles what was measured, once, and writes the slices where they are asked for.
    pub fn new(engine: &mut Engine, args: &BenchArgs) -> Result<Found, Error> {
        let tokens = args.depth.saturating_add(args.prompt);
        let ids = prompt_ids(engine, tokens.saturating_add(args.generate));
        let profiling = engine.profile(&ids, args.depth, args.generate);
        let profile = pollster::block_on(profiling)?;
        if let Some(path) = &args.trace_out {
            let text = perfetto::trace(&profile, &engine.adapter().name).to_string();
            std::fs::write(path, text).map_err(Error::file(path))?;
        }
        Ok(Found {
            profile,
            copies: pollster::block_on(engine.copy_bandwidth())?,
        })
    }

    /// Tables.
    pub fn words(&self, out: &mut Out) -> Result<(), Error> {
        for phase in &self.profile.phases {
            out.line(&format!("\n{}", phase_table(phase, self.copies)))?;
        }
        out.line(match self.profile.clock {
            Clock::Gpu => {
                "\ntimes: the GPU's timestamps, a pass for each kernel, which takes longer in all than the runs above; bytes: weights, keys and values"
            }
            Clock::Host => {
                "\ntimes: the host's clock around each kernel; bytes: weights, keys and values"
            }
        })?;
        if let Some(copies) = self.copies {
            let rate = copies / 1e9;
            out.line(&format!(
                "memory: copies on the GPU read and write {rate:.1} GB/s in all"
            ))?;
        }
        Ok(())
    }

    /// The event `profile`.
    pub fn json(&self) -> Value {
        json!({
            "event": "profile",
            "clock": clock(self.profile.clock),
            "copy_bytes_s": self.copies,
            "phases": self.profile.phases.iter().map(phase_json).collect::<Vec<_>>(),
        })
    }
}

pub fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Gpu => "gpu",
        Clock::Host => "host",
    }
}

pub fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Prefill => "prefill",
        Phase::Decode => "decode",
    }
}

fn rate(row: &Row) -> Option<f64> {
    (row.bytes > 0 && row.ns > 0).then(|| row.bytes as f64 / row.ns as f64)
}

fn share(ns: u64, of: u64) -> f64 {
    ns as f64 / of.max(1) as f64
}

/// A row for each kernel, then the time between kernels, then all.
fn phase_table(phase: &PhaseProfile, copies: Option<f64>) -> String {
    let tokens = f64::from(phase.tokens.max(1));
    let span = phase.span_ns();
    let us = |ns: u64| format!("{:.2}", ns as f64 / 1e3 / tokens);
    let percent = |ns: u64| format!("{:.1} %", 100.0 * share(ns, span));
    let of_memory = |rate: f64| match copies {
        Some(copies) => format!("{:.0} %", 100.0 * rate * 1e9 / copies),
        None => String::new(),
    };
    let kernels = phase.rows();
    let mut rows: Vec<Vec<String>> = kernels
        .iter()
        .map(|row| {
            let read = match row.bytes {
                0 => String::new(),
                n => bytes((n as f64 / tokens) as u64),
            };
            vec![
                row.kernel.clone(),
                format!("{:.2}", f64::from(row.calls) / tokens),
                us(row.ns),
                percent(row.ns),
                read,
                rate(row).map_or(String::new(), |r| format!("{r:.1}")),
                rate(row).map_or(String::new(), of_memory),
            ]
        })
        .collect();
    let sum = |of: fn(&Row) -> u64| kernels.iter().map(of).sum::<u64>();
    let (busy, read) = (sum(|r| r.ns), sum(|r| r.bytes));
    let between = span.saturating_sub(busy);
    let blank = String::new;
    rows.push(vec![
        "(between kernels)".into(),
        blank(),
        us(between),
        percent(between),
        blank(),
        blank(),
        blank(),
    ]);
    let all = read as f64 / span.max(1) as f64;
    rows.push(vec![
        "(all)".into(),
        format!("{:.2}", phase.slices.len() as f64 / tokens),
        us(span),
        percent(span),
        bytes((read as f64 / tokens) as u64),
        format!("{all:.1}"),
        of_memory(all),
    ]);
    let title = format!("{}, per token", name(phase.phase));
    let mut header = vec![title.as_str(), "calls", "us", "share", "bytes", "GB/s"];
    if copies.is_some() {
        header.push("of copies");
    } else {
        rows.iter_mut().for_each(|row| row.truncate(header.len()));
    }
    table(&header, &rows, &[1, 2, 3, 4, 5, 6])
}

fn phase_json(phase: &PhaseProfile) -> Value {
    let span = phase.span_ns();
    let rows = phase.rows().into_iter().map(|row| {
        json!({
            "kernel": row.kernel,
            "calls": row.calls,
            "ns": row.ns,
            "share": share(row.ns, span),
            "bytes": row.bytes,
            "gb_s": rate(&row),
        })
    });
    json!({
        "phase": name(phase.phase),
        "tokens": phase.tokens,
        "span_ns": span,
        "kernels": rows.collect::<Vec<_>>(),
    })
}
