//! What `bench` found, for people and for programs.

use serde_json::{Map, Value, json};

use super::host;
use super::measure::Measured;
use crate::args::BenchArgs;
use crate::cmd::adapters;
use crate::cmd::figures::{Spread, bytes, table};
use crate::error::Error;
use crate::out::Out;
use chord_runtime::Engine;

/// Speeds of all runs, and what does not depend on a run.
pub struct Report {
    prefill: Spread,
    decode: Spread,
    ttft: Spread,
    per_token: Vec<(&'static str, f64)>,
    /// Milliseconds from the first byte of the header until the model could answer.
    ready_ms: f64,
    /// Milliseconds from the start of the process until the first token of the first answer.
    first_token_ms: f64,
    /// Bytes of the file that were read as weights, and the milliseconds until the device had them.
    weights: (u64, f64),
    pipelines: u64,
    /// Of these, those that an earlier run had kept.
    pipelines_kept: u64,
    /// Bytes of the device's buffers now, and the most there ever were.
    device: [u64; 2],
    loader_peak_host_bytes: u64,
    host_peak_bytes: Option<u64>,
}

impl Report {
    pub fn new(engine: &Engine, first_token_ms: f64, measured: Measured) -> Result<Report, Error> {
        let of = |value: fn(&chord_runtime::Timings) -> f64| {
            Spread::of(measured.timings.iter().map(value))
                .ok_or_else(|| Error::usage("no run was made", "use -r 1 or more"))
        };
        let total = engine.counters();
        Ok(Report {
            prefill: of(|t| t.prefill_tok_s)?,
            decode: of(|t| t.decode_tok_s)?,
            ttft: of(|t| t.ttft_ms)?,
            per_token: measured.per_token,
            ready_ms: engine.load_ms(),
            first_token_ms,
            weights: (total.loader_bytes, total.loader_ns as f64 / 1e6),
            pipelines: total.pipelines,
            pipelines_kept: total.pipelines_kept,
            device: [total.gpu_bytes, total.gpu_peak_bytes],
            loader_peak_host_bytes: total.loader_peak_host_bytes,
            host_peak_bytes: host::peak_bytes(),
        })
    }

    /// Speed of loading the weights, in 10^6 bytes per second.
    fn weights_mb_s(&self) -> f64 {
        let (bytes, ms) = self.weights;
        bytes as f64 / ms / 1e3
    }

    /// Tables.
    pub fn words(&self, args: &BenchArgs, out: &mut Out) -> Result<(), Error> {
        let at = match args.depth {
            0 => String::new(),
            depth => format!(" at {depth}"),
        };
        let row = |name: String, s: Spread, unit: &str| {
            let number = |v: f64| format!("{v:.2}");
            vec![
                name,
                number(s.median),
                number(s.min),
                number(s.max),
                unit.to_owned(),
            ]
        };
        let rows = [
            row(
                format!("prefill {}{at}", args.prompt),
                self.prefill,
                "tok/s",
            ),
            row(
                format!("decode {}{at}", args.generate),
                self.decode,
                "tok/s",
            ),
            row("first token".into(), self.ttft, "ms"),
        ];
        out.line(&table(&["", "median", "min", "max", ""], &rows, &[1, 2, 3]))?;
        let work = self.per_token.iter().map(|(name, v)| {
            let name = name.trim_end_matches("_per_token").replace('_', " ");
            vec![name, format!("{v:.1}")]
        });
        let work: Vec<_> = work.collect();
        out.line(&format!(
            "\n{}",
            table(&["per decoded token", ""], &work, &[1])
        ))?;
        let (weights_bytes, weights_ms) = self.weights;
        let [device, device_peak] = self.device.map(bytes);
        let host = match self.host_peak_bytes {
            Some(peak) => bytes(peak),
            None => "unknown".into(),
        };
        out.line(&format!(
            "\nready after {:.0} ms, first token {:.0} ms after the start; {} of weights in {weights_ms:.0} ms, {:.0} MB/s\n{} pipelines made ({} that an earlier run had kept)\ndevice memory {device} (peak {device_peak}); host memory at its peak {host}, of that loading held at most {}",
            self.ready_ms,
            self.first_token_ms,
            bytes(weights_bytes),
            self.weights_mb_s(),
            self.pipelines,
            self.pipelines_kept,
            bytes(self.loader_peak_host_bytes)
        ))
    }

    /// The event `bench`.
    pub fn json(&self, args: &BenchArgs, engine: &Engine) -> Value {
        let mut counters: Map<String, Value> = self
            .per_token
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect();
        let [device, device_peak] = self.device;
        for (name, value) in [
            ("pipelines", json!(self.pipelines)),
            ("pipelines_kept", json!(self.pipelines_kept)),
            ("gpu_bytes", json!(device)),
            ("gpu_peak_bytes", json!(device_peak)),
            ("host_peak_bytes", json!(self.host_peak_bytes)),
            ("loader_peak_host_bytes", json!(self.loader_peak_host_bytes)),
        ] {
            counters.insert(name.into(), value);
        }
        let about: Map<String, Value> = engine
            .describe()
            .into_iter()
            .map(|(k, v)| (k, json!(v)))
            .collect();
        json!({
            "event": "bench",
            "prompt": args.prompt,
            "generate": args.generate,
            "depth": args.depth,
            "sample": args.sample,
            "repeat": args.repeat,
            "prefill_tok_s": self.prefill.to_json(),
            "decode_tok_s": self.decode.to_json(),
            "ttft_ms": self.ttft.to_json(),
            "ready_ms": self.ready_ms,
            "first_token_ms": self.first_token_ms,
            "weights_bytes": self.weights.0,
            "weights_ms": self.weights.1,
            "weights_mb_s": self.weights_mb_s(),
            "counters": counters,
            "engine": about,
            "adapter": adapters::in_use(engine.adapter(), engine.device_reason()),
        })
    }
}
