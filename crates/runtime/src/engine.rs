//! The engine: the bound plan and the few operations everything is made of: append tokens to a sequence, choose the
//! next one, chain several decode steps in one submit.

use crate::Error;
use crate::eval::EveryRow;
use crate::options::{CHUNK, EngineOptions, Overflow, Precision, RING_POSITIONS};
use chord_kernels::gpu::{
    AdapterInfo, BoundStep, Buffer, Copy, Counters as GpuCounters, Gpu, GpuPlan, Staging,
};
use chord_kernels::sample::{SampleParams, ctl};
use chord_kernels::{KvType, PAGE};
use chord_model::{Config, Edit, FitPlan, KvPages, Plan, SeqId};
use chord_text::{ChatTemplate, Tokenizer};
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// Work done since the device was opened; subtract two readings. Machine independent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatches.
    pub dispatches: u64,
    /// Submits.
    pub submits: u64,
    /// Bytes of weights read by the dispatches.
    pub weight_bytes: u64,
    /// Bytes of K and V read.
    pub kv_bytes: u64,
    /// Bytes read back to the host.
    pub readback_bytes: u64,
    /// Bytes of GPU buffers alive now.
    pub gpu_bytes: u64,
    /// Most host bytes held at once while loading weights.
    pub loader_peak_host_bytes: u64,
    /// Pipelines created.
    pub pipelines: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Buffers created.
    pub buffers: u64,
    /// Tokens computed by prefill.
    pub prefilled_tokens: u64,
}

pub(crate) struct Parts {
    pub gpu: Gpu,
    pub buffers: GpuPlan,
    pub plan: Plan,
    pub prefill: Vec<BoundStep>,
    pub decode: Vec<BoundStep>,
    pub head: BoundStep,
    pub sample: BoundStep,
    pub staging: Staging,
    pub kv: KvPages,
    pub config: Config,
    pub tokenizer: Tokenizer,
    pub template: Option<ChatTemplate>,
    pub fit: FitPlan,
    pub options: EngineOptions,
    pub load_ms: f64,
    pub loader_peak_host_bytes: u64,
}

/// A model on a device.
pub struct Engine {
    pub(crate) p: Parts,
    /// Tokens whose K and V each sequence's pages hold.
    pub(crate) logs: HashMap<SeqId, Vec<u32>>,
    prefilled_tokens: u64,
    /// The head over a whole batch, once it has been needed.
    pub(crate) every_row: Option<EveryRow>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("gpu", &self.p.gpu)
            .field("fit", &self.p.fit)
            .finish_non_exhaustive()
    }
}

/// Where a decode chain starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// The head's input of the last prefilled token is ready.
    Head,
    /// This token comes next.
    Token(u32),
}

/// What a chain produced.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Tokens, in order; an end-of-generation id is the last.
    pub tokens: Vec<u32>,
    /// A logit was NaN or infinite.
    pub fault: bool,
}

impl Engine {
    pub(crate) fn new(p: Parts) -> Self {
        Self {
            p,
            logs: HashMap::new(),
            prefilled_tokens: 0,
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

    /// The adapter in use.
    #[must_use]
    pub fn adapter(&self) -> &AdapterInfo {
        self.p.gpu.info()
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

    /// Destroys the device under the engine, as a driver reset would: every later call fails with `E_DEVICE_LOST`.
    pub fn destroy_device(&self) {
        self.p.gpu.destroy();
    }

    /// Milliseconds [`Engine::load`] took.
    #[must_use]
    pub fn load_ms(&self) -> f64 {
        self.p.load_ms
    }

    /// Dispatches of one layer while decoding.
    #[must_use]
    pub fn dispatches_per_layer(&self) -> usize {
        self.p
            .decode
            .iter()
            .filter(|s| s.name.starts_with("layer0."))
            .count()
    }

    /// Counter readings.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let c = self.p.gpu.counters();
        let read = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
        Counters {
            dispatches: read(&c.dispatches),
            submits: read(&c.submits),
            weight_bytes: read(&c.weight_bytes),
            kv_bytes: read(&c.kv_bytes),
            readback_bytes: read(&c.readback_bytes),
            gpu_bytes: read(&c.gpu_bytes),
            loader_peak_host_bytes: self.p.loader_peak_host_bytes,
            pipelines: read(&c.pipelines),
            bind_groups: read(&c.bind_groups),
            buffers: read(&c.buffers),
            prefilled_tokens: self.prefilled_tokens,
        }
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
        push(
            "precision",
            if o.precision == Precision::Exact {
                "exact".into()
            } else {
                "fast".into()
            },
        );
        push(
            "kv",
            if o.kv == KvType::F16 {
                "f16".into()
            } else {
                "f32".into()
            },
        );
        push("layout", format!("{:?}", self.p.plan.head_kernel.layout));
        push("context", self.p.fit.context.to_string());
        push("overflow", format!("{:?}", o.overflow));
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

    /// Makes page table and page copies true on the device.
    fn apply(&self, edits: &[Edit]) {
        let ids = &self.p.plan.ids;
        let page = self.buffer(ids.page);
        let words = ids.page_words;
        let mut copies = Vec::new();
        for edit in edits {
            match *edit {
                Edit::Table { index, page } => {
                    self.p
                        .gpu
                        .write(self.buffer(ids.table), index.into(), &[page]);
                }
                Edit::CopyPage { from, to } => {
                    for id in ids.kv.iter().flat_map(|(k, v)| [*k, *v]) {
                        let store = self.buffer(id);
                        copies.push(Copy::new(store, u64::from(from) * words, page, 0, words));
                        copies.push(Copy::new(page, 0, store, u64::from(to) * words, words));
                    }
                }
            }
        }
        if !copies.is_empty() {
            self.p.gpu.run(std::iter::empty(), 0, &copies);
        }
    }

    /// Bytes of K and V that rows at `positions` read.
    fn count_kv(&self, positions: std::ops::Range<u32>) {
        let s = &self.p.plan.kv_shape;
        let slot = 2
            * 4
            * s.kv.words(u64::from(s.n_kv_heads * s.head_dim))
            * u64::from(self.p.config.n_layers);
        let ring = s.seq_pages * PAGE;
        let slots = |pos: u32| {
            if pos < ring {
                pos + 1
            } else {
                ring - PAGE + pos % PAGE + 1
            }
        };
        let total: u64 = positions.map(|pos| u64::from(slots(pos))).sum();
        GpuCounters::add(&self.p.gpu.counters().kv_bytes, total * slot);
    }

    /// Writes `tokens` as batch rows of a sequence from position `first` on; rows up to whole groups are marked invalid.
    fn write_rows(&self, id: SeqId, first: u32, tokens: &[u32]) {
        let base = self.p.kv.table_base(id);
        let mut rows: Vec<u32> = tokens
            .iter()
            .zip(first..)
            .flat_map(|(t, pos)| [*t, pos, base, 1])
            .collect();
        let padded = tokens
            .len()
            .next_multiple_of(self.p.plan.prefill_cols as usize)
            .min(CHUNK as usize);
        rows.resize(4 * padded, 0);
        self.p
            .gpu
            .write(self.buffer(self.p.plan.ids.rows), 0, &rows);
    }

    /// Computes the next tokens of a sequence, at most a chunk. Returns how many were taken.
    pub(crate) async fn append(
        &mut self,
        id: SeqId,
        tokens: &[u32],
        max: u32,
    ) -> Result<u32, Error> {
        let (first, n) = self.prepare(id, tokens, max)?;
        let taken = &tokens[..n as usize];
        self.write_rows(id, first, taken);
        for group in self.groups(n) {
            self.p.gpu.run(self.p.prefill[group].iter(), n, &[]);
            self.p.gpu.wait()?;
        }
        self.count_kv(first..first + n);
        self.commit(id, taken);
        self.prefilled_tokens += u64::from(n);
        Ok(n)
    }

    /// Prepares a batch and counts it as computed without running it: the tracer runs the steps one by one. Returns how many
    /// tokens were taken.
    pub(crate) fn append_for_trace(&mut self, id: SeqId, tokens: &[u32]) -> Result<u32, Error> {
        let (first, n) = self.prepare(id, tokens, CHUNK)?;
        self.write_rows(id, first, &tokens[..n as usize]);
        self.commit(id, &tokens[..n as usize]);
        Ok(n)
    }

    /// Makes room for a batch: its first position and how many of the tokens it takes.
    fn prepare(&mut self, id: SeqId, tokens: &[u32], max: u32) -> Result<(u32, u32), Error> {
        let want = (tokens.len() as u32).min(max).min(CHUNK);
        let n = self.p.kv.batch(id, want);
        // No room at all: let the pages say why.
        let edits = self.p.kv.reserve(id, n.max(1))?;
        self.apply(&edits);
        Ok((self.p.kv.length(id), n))
    }

    /// Cuts the prefill steps into submits that no watchdog minds: by the work they hold.
    fn groups(&self, rows: u32) -> Vec<std::ops::Range<usize>> {
        // Weight bytes times rows: about 0.1 s of work.
        let budget = if self.p.gpu.caps().software {
            1 << 27
        } else {
            1 << 38
        };
        let mut groups = Vec::new();
        let (mut start, mut work) = (0, 0);
        for (i, step) in self.p.prefill.iter().enumerate() {
            work += step.weight_bytes(1) * u64::from(rows);
            if work > budget {
                groups.push(start..i + 1);
                (start, work) = (i + 1, 0);
            }
        }
        groups.push(start..self.p.prefill.len());
        groups
    }

    fn commit(&mut self, id: SeqId, tokens: &[u32]) {
        self.p.kv.commit(id, tokens.len() as u32);
        self.logs.entry(id).or_default().extend(tokens);
    }

    /// Makes the last of the `n` rows just appended the head's input.
    pub(crate) fn select_last(&self, n: u32) {
        let ids = &self.p.plan.ids;
        let words = u64::from(ids.act_head_words);
        let copy = Copy::new(
            self.buffer(ids.act),
            u64::from(n - 1) * words,
            self.buffer(ids.act_head),
            0,
            words,
        );
        self.p.gpu.run(std::iter::empty(), 0, &[copy]);
    }

    /// Sets the sampler for a request.
    pub(crate) fn set_sampler(&self, params: &SampleParams) {
        self.p.gpu.write(
            self.buffer(self.p.plan.ids.sampler[0]),
            0,
            bytemuck::cast_slice(bytemuck::bytes_of(params)),
        );
    }

    /// Tokens in one submit: the first of an answer, or up to `k` after a token. The sequence's pages then hold every
    /// token but the last.
    pub(crate) async fn chain(
        &mut self,
        id: SeqId,
        start: Start,
        k: u32,
        seed: u64,
    ) -> Result<Chain, Error> {
        let length = self.p.kv.length(id);
        let decodes = match start {
            Start::Head => 0,
            Start::Token(_) => k,
        };
        let edits = self.p.kv.reserve(id, decodes)?;
        self.apply(&edits);
        let [_, ctl_id, _] = self.p.plan.ids.sampler;
        let mut control = [0; ctl::WORDS];
        control[ctl::SEED_LOW] = seed as u32;
        control[ctl::SEED_HIGH] = (seed >> 32) as u32;
        self.p.gpu.write(self.buffer(ctl_id), 0, &control);
        let choose = [&self.p.head, &self.p.sample];
        let words = (ctl::LOG + k as usize) as u64;
        let copy = [self
            .p
            .gpu
            .stage(&self.p.staging, self.buffer(ctl_id), 0, words)];
        match start {
            Start::Head => {
                // The sampler goes on from the position of the last computed token.
                self.write_rows(id, length.saturating_sub(1), &[0]);
                self.p.gpu.run(choose.into_iter(), 1, &copy);
            }
            Start::Token(token) => {
                self.write_rows(id, length, &[token]);
                let chained = (0..decodes).flat_map(|_| self.p.decode.iter().chain(choose));
                self.p.gpu.run(chained, 1, &copy);
            }
        }
        self.count_kv(length..length + decodes);
        let words = self.p.gpu.map(&self.p.staging, words).await?;
        let made = (words[ctl::STEP] as usize).min(k as usize);
        let tokens = words[ctl::LOG..ctl::LOG + made].to_vec();
        let fed: Vec<u32> = match start {
            Start::Head => tokens.clone(),
            Start::Token(token) => std::iter::once(token)
                .chain(tokens.iter().copied())
                .collect(),
        };
        // The last token chosen has not been through the layers yet.
        let held = if made == 0 { 0 } else { fed.len() - 1 };
        self.commit(id, &fed[..held]);
        Ok(Chain {
            tokens,
            fault: words[ctl::FAULT] != 0,
        })
    }

    /// The logits after the last appended token, or after `token`.
    pub(crate) async fn logits(&mut self, id: SeqId, start: Start) -> Result<Vec<f32>, Error> {
        let ids = &self.p.plan.ids;
        let words = u64::from(self.p.config.n_vocab);
        let head = std::iter::once(&self.p.head);
        match start {
            Start::Head => {
                let copy = [self
                    .p
                    .gpu
                    .stage(&self.p.staging, self.buffer(ids.logits), 0, words)];
                self.p.gpu.run(head, 1, &copy);
            }
            Start::Token(token) => {
                let length = self.p.kv.length(id);
                let edits = self.p.kv.reserve(id, 1)?;
                self.apply(&edits);
                self.write_rows(id, length, &[token]);
                let copy = [self.p.gpu.stage(
                    &self.p.staging,
                    self.buffer(self.p.plan.ids.logits),
                    0,
                    words,
                )];
                self.p.gpu.run(self.p.decode.iter().chain(head), 1, &copy);
                self.count_kv(length..length + 1);
            }
        }
        let words = self.p.gpu.map(&self.p.staging, words).await?;
        if let Start::Token(token) = start {
            self.commit(id, &[token]);
        }
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    /// Cuts a sequence to its first `length` tokens. Where the ring has forgotten what those saw, they are forgotten too
    /// and must be computed again: returns how many are left.
    pub(crate) fn rewind(&mut self, id: SeqId, length: u32) -> u32 {
        let kept = if self.p.kv.can_rewind(id, length) {
            self.p.kv.rewind(id, length);
            length
        } else {
            self.p.kv.reset(id);
            0
        };
        self.logs.entry(id).or_default().truncate(kept as usize);
        kept
    }

    /// Gives sequence `to` what it can share of `tokens`: keeps its own longest common prefix, or takes another
    /// sequence's where that is at least a page longer. Returns the tokens it then holds; never all of `tokens`, since the last
    /// one's logits are wanted.
    pub(crate) fn reuse(&mut self, to: SeqId, tokens: &[u32]) -> u32 {
        let limit = tokens.len().saturating_sub(1);
        let common = |log: &[u32]| {
            log.iter()
                .zip(&tokens[..limit])
                .take_while(|(a, b)| a == b)
                .count() as u32
        };
        let own = self.logs.get(&to).map_or(0, |log| common(log));
        let others = self.logs.iter().filter(|(id, _)| **id != to);
        // Of equals always the same one: their bits may differ, and a run must repeat.
        let best = others
            .map(|(id, log)| (common(log), *id))
            .filter(|(n, id)| self.p.kv.can_share(*id, *n))
            .max();
        match best {
            Some((n, from)) if n >= own + PAGE => {
                self.p.kv.reset(to);
                let edits = self.p.kv.share(from, to, n);
                self.apply(&edits);
                self.logs.insert(to, tokens[..n as usize].to_vec());
                n
            }
            _ => self.rewind(to, own),
        }
    }

    /// A test aid: overwrites with NaN every KV slot that no open session can still see, so that reading one shows.
    /// Returns how many slots that is.
    #[doc(hidden)]
    pub fn poison_unused_kv(&mut self) -> u32 {
        let shape = self.p.plan.kv_shape;
        // Quiet NaN as f32 and as two f16.
        let nan = match shape.kv {
            KvType::F32 => f32::NAN.to_bits(),
            KvType::F16 => 0x7e00_7e00,
        };
        let mut poisoned = 0;
        for (page, held) in (0..).zip(self.p.kv.held_slots()) {
            poisoned += PAGE - held;
            for head in 0..shape.n_kv_heads {
                let at = shape.kv.words(shape.at(page, head, held) as u64);
                let words = shape.kv.words(u64::from((PAGE - held) * shape.head_dim));
                let values = vec![nan; words as usize];
                for id in self.p.plan.ids.kv.iter().flat_map(|(k, v)| [*k, *v]) {
                    self.p.gpu.write(self.buffer(id), at, &values);
                }
            }
        }
        poisoned
    }

    /// Forgets every token of a sequence.
    pub(crate) fn forget(&mut self, id: SeqId) {
        self.p.kv.reset(id);
        self.logs.insert(id, Vec::new());
    }
}
