//! Computing: tokens appended to a sequence, and logits.

use super::chain::control;
use super::{Batches, Engine, Start};
use crate::Error;
use chord_kernels::device::Copy;
use chord_kernels::gpu::Counters;
use chord_kernels::op::Step;
use chord_model::SeqId;
use std::ops::Range;
use web_time::Instant;

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

    pub(super) fn commit(&mut self, id: SeqId, tokens: &[u32]) {
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

    /// The logits after the last appended token, or after `token`.
    pub(crate) async fn logits(&mut self, id: SeqId, start: Start) -> Result<Vec<f32>, Error> {
        let words = u64::from(self.p.config.n_vocab);
        if let Start::Token(_) = start {
            self.reserve(id, 1).await?;
        }
        let head = self.p.steps.head.iter();
        let logits = self.buffer(self.p.plan.ids.logits);
        let copy = [Copy::stage(&self.p.staging, 0, logits, 0, words)];
        let by = match start {
            Start::Head => self.p.device.run(head, 1, &copy),
            Start::Token(token) => {
                let length = self.p.kv.length(id);
                self.write_rows(id, length, &[token], 1);
                self.count_kv_decoded(length..length + 1);
                let steps = self.decode_at(length).chain(head);
                self.p.device.run(steps, 1, &copy)
            }
        };
        let words = self.p.device.map(&self.p.staging, words, by).await?;
        if let Start::Token(token) = start {
            self.commit(id, &[token]);
        }
        Ok(words.into_iter().map(f32::from_bits).collect())
    }
}
