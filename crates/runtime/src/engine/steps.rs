//! Computing: append tokens to a sequence, choose the next one, chain several decode steps in one submit.

use super::{Batches, Engine};
use crate::Error;
use crate::session::Logprobs;
use chord_kernels::device::{BoundStep, Copy};
use chord_kernels::gpu::Counters;
use chord_kernels::op::Step;
use chord_kernels::sample::{SampleParams, ctl};
use chord_model::SeqId;
use std::ops::Range;
use web_time::Instant;

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
    /// Of its one token, where asked for.
    pub logprobs: Option<Logprobs>,
}

impl Engine {
    /// Counts the bytes of K and V that rows at `positions` read in these steps of the plan.
    pub(super) fn count_kv<'a>(
        &self,
        steps: impl Iterator<Item = &'a Step>,
        positions: &Range<u32>,
    ) {
        let read = steps.map(|s| s.kernel.kv_bytes(positions.clone()));
        Counters::add(&self.p.device.counters().kv_bytes, read.sum());
    }

    /// The same for tokens decoded at `positions`.
    fn count_kv_decoded(&self, positions: Range<u32>) {
        let plan = &self.p.plan;
        for position in positions {
            let steps = plan.decode_at(position).map(|at| &plan.decode[at]);
            self.count_kv(steps, &(position..position + 1));
        }
    }

    /// Steps that decode a token at `position`, without head and sampler.
    pub(crate) fn decode_at(&self, position: u32) -> impl Iterator<Item = &BoundStep> {
        let steps = &self.p.steps.decode;
        self.p.plan.decode_at(position).map(|at| &steps[at])
    }

    /// Writes `tokens` as batch rows of a sequence from position `first` on; rows up to whole groups of `multiple` are marked invalid.
    pub(super) fn write_rows(&self, id: SeqId, first: u32, tokens: &[u32], multiple: u32) {
        let base = self.p.kv.table_base(id);
        let mut rows: Vec<u32> = tokens
            .iter()
            .zip(first..)
            .flat_map(|(t, pos)| [*t, pos, base, 1])
            .collect();
        let padded = tokens.len().next_multiple_of(multiple as usize);
        let padded = padded.min(self.p.plan.chunk as usize);
        rows.resize(4 * padded, 0);
        self.p
            .device
            .write(self.buffer(self.p.plan.ids.rows), 0, &rows);
    }

    /// Computes the next tokens of a sequence, at most a batch. Returns how many were taken.
    pub(crate) async fn append(
        &mut self,
        id: SeqId,
        tokens: &[u32],
        batches: Batches,
    ) -> Result<u32, Error> {
        let (first, taken) = self.prepare(id, tokens, batches).await?;
        let n = taken.len() as u32;
        let mut pace = self.pace;
        let (plan, mut steps) = self.batch_steps(batches);
        while !steps.is_empty() {
            let (count, work) = pace.submit(steps, n);
            let (now, later) = steps.split_at(count);
            let began = Instant::now();
            self.p.device.run(now.iter(), n, &[]);
            self.p.device.wait().await?;
            pace.took(work, began.elapsed());
            steps = later;
        }
        self.count_kv(plan.iter(), &(first..first + n));
        self.pace = pace;
        self.commit(id, taken);
        self.prefilled_tokens += u64::from(n);
        Ok(n)
    }

    /// Prepares a batch and counts it as computed without running it: tracer and profiler run the steps one by one. Returns how
    /// many tokens were taken.
    pub(crate) async fn append_unrun(
        &mut self,
        id: SeqId,
        tokens: &[u32],
        batches: Batches,
    ) -> Result<u32, Error> {
        let (_, taken) = self.prepare(id, tokens, batches).await?;
        self.commit(id, taken);
        Ok(taken.len() as u32)
    }

    /// Makes room for a batch and writes its rows: its first position, and those of the tokens that it takes.
    async fn prepare<'a>(
        &mut self,
        id: SeqId,
        tokens: &'a [u32],
        batches: Batches,
    ) -> Result<(u32, &'a [u32]), Error> {
        let want = (tokens.len() as u32).min(self.most_rows(batches));
        let n = self.p.kv.batch(id, want);
        // No room at all: let the pages say why.
        self.reserve(id, n.max(1)).await?;
        let (first, taken) = (self.p.kv.length(id), &tokens[..n as usize]);
        self.write_rows(id, first, taken, self.row_multiple(batches));
        Ok((first, taken))
    }

    /// Prepares decoding `token` and counts it as computed without running it.
    pub(crate) async fn append_one_unrun(&mut self, id: SeqId, token: u32) -> Result<(), Error> {
        let length = self.p.kv.length(id);
        self.reserve(id, 1).await?;
        self.write_control(&control(0));
        self.write_rows(id, length, &[token], 1);
        self.commit(id, &[token]);
        Ok(())
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
        self.p.device.run(std::iter::empty(), 0, &[copy]);
    }

    /// Sets the sampler for a request.
    pub(crate) fn set_sampler(&self, params: &SampleParams) {
        self.p.device.write(
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
        self.reserve(id, decodes).await?;
        self.write_control(&control(seed));
        let choose = || self.p.steps.head.iter().chain(&self.p.steps.sample);
        let (copy, words) = self.read_control(k as usize);
        match start {
            Start::Head => {
                // The sampler goes on from the position of the last computed token.
                self.write_rows(id, length.saturating_sub(1), &[0], 1);
                self.p.device.run(choose(), 1, &[copy]);
            }
            Start::Token(token) => {
                self.write_rows(id, length, &[token], 1);
                let chained = (length..length + decodes)
                    .flat_map(|position| self.decode_at(position).chain(choose()));
                self.p.device.run(chained, 1, &[copy]);
            }
        }
        self.count_kv_decoded(length..length + decodes);
        let words = self.p.device.map(&self.p.staging, words).await?;
        let fed = match start {
            Start::Head => None,
            Start::Token(token) => Some(token),
        };
        Ok(self.finish_chain(id, fed, &words, k as usize))
    }

    /// Writes the sampler's control words for a submit.
    pub(super) fn write_control(&self, control: &[u32; ctl::WORDS]) {
        let [_, ctl_id, ..] = self.p.plan.ids.sampler;
        self.p.device.write(self.buffer(ctl_id), 0, control);
    }

    /// The copy that brings them back with up to `tokens` tokens, and its words.
    pub(super) fn read_control(&self, tokens: usize) -> (Copy<'_>, u64) {
        let [_, ctl_id, ..] = self.p.plan.ids.sampler;
        let words = (ctl::LOG + tokens) as u64;
        let copy = Copy::stage(&self.p.staging, 0, self.buffer(ctl_id), 0, words);
        (copy, words)
    }

    /// Reads a chain of up to `k` tokens out of the control words, and counts as held what went through the layers: all but
    /// the last token chosen, behind `fed`, the token that it started from.
    pub(super) fn finish_chain(
        &mut self,
        id: SeqId,
        fed: Option<u32>,
        words: &[u32],
        k: usize,
    ) -> Chain {
        let made = (words[ctl::STEP] as usize).min(k);
        let tokens = words[ctl::LOG..ctl::LOG + made].to_vec();
        if let Some((_, held)) = tokens.split_last() {
            let held: Vec<u32> = fed.into_iter().chain(held.iter().copied()).collect();
            self.commit(id, &held);
        }
        Chain {
            tokens,
            fault: words[ctl::FAULT] != 0,
            logprobs: None,
        }
    }

    /// The logits after the last appended token, or after `token`.
    pub(crate) async fn logits(&mut self, id: SeqId, start: Start) -> Result<Vec<f32>, Error> {
        let words = u64::from(self.p.config.n_vocab);
        if let Start::Token(_) = start {
            self.reserve(id, 1).await?;
        }
        let head = self.p.steps.head.iter();
        let logits = self.buffer(self.p.plan.ids.logits);
        let copy = [Copy::stage(&self.p.staging, 0, logits, 0, words)];
        match start {
            Start::Head => self.p.device.run(head, 1, &copy),
            Start::Token(token) => {
                let length = self.p.kv.length(id);
                self.write_rows(id, length, &[token], 1);
                self.p
                    .device
                    .run(self.decode_at(length).chain(head), 1, &copy);
                self.count_kv_decoded(length..length + 1);
            }
        }
        let words = self.p.device.map(&self.p.staging, words).await?;
        if let Start::Token(token) = start {
            self.commit(id, &[token]);
        }
        Ok(words.into_iter().map(f32::from_bits).collect())
    }
}

/// The sampler's control words at the start of a submit.
pub(super) fn control(seed: u64) -> [u32; ctl::WORDS] {
    let mut control = [0; ctl::WORDS];
    control[ctl::SEED_LOW] = seed as u32;
    control[ctl::SEED_HIGH] = (seed >> 32) as u32;
    control
}
