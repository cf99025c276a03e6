//! The engine: a model bound to a device. What it does with them is in `steps`, `chain` and `sequences`.

use crate::eval::EveryRow;
use crate::options::{EngineOptions, Overflow, Precision, RING_POSITIONS};
use crate::selftest::SelfTest;
use crate::tune::Tuned;
use crate::upload::Uploading;
use chord_kernels::device::{BoundStep, Buffer, Buffers, Device, Staging};
use chord_kernels::gpu::AdapterInfo;
use chord_model::{Config, FitPlan, KvPages, Plan, SeqId};
use chord_text::{ChatTemplate, Tokenizer};
use std::collections::HashMap;

mod batches;
mod chain;
mod counters;
mod drafter;
mod grow;
mod head_rows;
mod sequences;
mod steps;
mod verify;

pub use counters::Counters;

pub(crate) use batches::Batches;
use batches::Pace;
use chain::Ahead;
pub use chain::OVERLAPPED_CHAIN;
pub(crate) use chain::{Chain, Lengths, MAX_CHAIN, Start};
pub(crate) use head_rows::HeadRows;
use verify::Speculation;

/// The plan's steps, ready to dispatch.
pub(crate) struct Steps {
    pub prefill: Vec<BoundStep>,
    /// As in the plan; empty where nothing goes by tiles.
    pub tiled: Vec<BoundStep>,
    pub decode: Vec<BoundStep>,
    pub head: Vec<BoundStep>,
    pub sample: Vec<BoundStep>,
}

pub(crate) struct Parts {
    pub device: Device,
    /// Why this device.
    pub device_reason: String,
    pub buffers: Buffers,
    pub plan: Plan,
    pub steps: Steps,
    pub staging: Staging,
    /// For the tokens of chains, in turn: one is read while the device may write the other.
    pub chained: [Staging; 2],
    pub kv: KvPages,
    /// Pages that the store may grow to.
    pub most_pages: u32,
    pub config: Config,
    pub tokenizer: Tokenizer,
    pub template: Option<ChatTemplate>,
    pub fit: FitPlan,
    pub options: EngineOptions,
    pub self_test: SelfTest,
    pub tuned: Tuned,
    pub load_ms: f64,
    pub uploading: Uploading,
}

/// A model on a device.
pub struct Engine {
    pub(crate) p: Parts,
    /// Tokens whose K and V each sequence's pages hold.
    pub(crate) logs: HashMap<SeqId, Vec<u32>>,
    prefilled_tokens: u64,
    drafted_tokens: u64,
    accepted_tokens: u64,
    /// What a submit may hold.
    pace: Pace,
    /// The next chain of a decode, prepared.
    ahead: Option<Ahead>,
    recorded_ahead: u64,
    submitted_ahead: u64,
    /// Where drafts are looked for.
    speculation: Option<Speculation>,
    /// The head over a whole batch, once it has been needed.
    pub(crate) every_row: Option<EveryRow>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("device", &self.p.device)
            .field("fit", &self.p.fit)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(p: Parts) -> Self {
        Self {
            pace: Pace::new(p.device.caps().software),
            p,
            logs: HashMap::new(),
            prefilled_tokens: 0,
            drafted_tokens: 0,
            accepted_tokens: 0,
            ahead: None,
            recorded_ahead: 0,
            submitted_ahead: 0,
            speculation: None,
            every_row: None,
        }
    }

    /// Facts of the model.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.p.config
    }

    /// The model's tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.p.tokenizer
    }

    /// The model's chat template, if it has one.
    #[must_use]
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.p.template.as_ref()
    }

    /// Why the model runs where it does.
    #[must_use]
    pub fn device_reason(&self) -> &str {
        &self.p.device_reason
    }

    /// The adapter in use; on the CPU, the processor.
    #[must_use]
    pub fn adapter(&self) -> &AdapterInfo {
        self.p.device.info()
    }

    /// Threads that compute; 0 on a GPU.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.p.device.threads()
    }

    /// Context in tokens.
    #[must_use]
    pub fn context_length(&self) -> u32 {
        self.p.fit.context
    }

    /// Bytes by part.
    #[must_use]
    pub fn fit(&self) -> &FitPlan {
        &self.p.fit
    }

    /// What destroys the device under the engine, even while it works, as a driver reset would: every later call fails with
    /// `E_DEVICE_LOST`.
    pub fn device_destroyer(&self) -> Box<dyn Fn()> {
        self.p.device.destroyer()
    }

    /// Milliseconds [`Engine::load`] took.
    #[must_use]
    pub fn load_ms(&self) -> f64 {
        self.p.load_ms
    }

    /// What testing the kernels on this adapter gave while loading.
    #[must_use]
    pub fn self_test(&self) -> &SelfTest {
        &self.p.self_test
    }

    /// What was measured while loading, or before, to be fastest here: handed in again ([`EngineOptions::tuned`]), it is not measured
    /// the next time. None where nothing was.
    #[must_use]
    pub fn tuned(&self) -> Option<&str> {
        self.p.tuned.text.as_deref()
    }

    /// Dispatches of one layer while decoding in a short context.
    #[must_use]
    pub fn dispatches_per_layer(&self) -> usize {
        self.decode_at(0)
            .filter(|s| s.name().starts_with("layer0."))
            .count()
    }

    /// Everything that changes the output, besides the request.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        let o = &self.p.options;
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut push = |k: &str, v: String| rows.push((k.into(), v));
        push(
            "adapter",
            format!(
                "{} ({}, {})",
                self.adapter().name,
                self.adapter().backend,
                self.adapter().kind
            ),
        );
        push("driver", self.adapter().driver.clone());
        push("device", self.p.device_reason.clone());
        push(
            "precision",
            if o.precision == Precision::Exact {
                "exact".into()
            } else {
                "fast".into()
            },
        );
        push("kv", o.kv.name().into());
        push(
            "subgroups",
            match self.p.device.caps().subgroups {
                Some((min, max)) => format!("of {min} to {max}"),
                None => "none".into(),
            },
        );
        push("layout", format!("{:?}", self.p.plan.layout));
        push("batches", self.describe_batches());
        push("variant", self.p.tuned.variant.to_string());
        push("why this variant", self.p.tuned.why.clone());
        push(
            "attention",
            match self.p.plan.splits {
                Some(splits) => format!(
                    "above {} tokens split over about {} workgroups",
                    splits.from, splits.workgroups
                ),
                None => "whole".into(),
            },
        );
        push("self-test", self.p.self_test.to_string());
        push("context", self.p.fit.context.to_string());
        push("overflow", format!("{:?}", o.overflow));
        push("speculation", format!("{:?}", o.speculate));
        push("sequences", o.max_sequences.to_string());
        push("tokenizer", self.p.tokenizer.describe());
        rows
    }

    /// Last position a sequence may reach, exclusive.
    pub(crate) fn position_limit(&self) -> u32 {
        match self.p.options.overflow {
            Overflow::Stop => self.p.fit.context,
            Overflow::Ring { .. } => RING_POSITIONS,
        }
    }

    pub(crate) fn buffer(&self, id: usize) -> &Buffer {
        self.p.buffers.buffer(id)
    }
}
