//! Decoding: tokens chosen on the device, several of them in one submit. While it is at work on one chain, the commands of the next are
//! recorded: else it would have nothing to do for as long as that takes, milliseconds for a chain of a large model.

use super::Engine;
use crate::Error;
use crate::session::Logprobs;
use chord_kernels::device::{BoundStep, Copy, Recorded};
use chord_kernels::sample::{SampleParams, ctl};
use chord_model::SeqId;
use std::ops::Range;

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

/// The commands of a chain behind a token. They are any sequence's: which one is in the row that the chain begins with.
pub(super) struct Ahead {
    positions: Range<u32>,
    recorded: Recorded,
}

impl Engine {
    /// Counts the bytes of K and V that tokens decoded at `positions` read.
    pub(super) fn count_kv_decoded(&self, positions: Range<u32>) {
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

    /// Steps that decode tokens at `positions` one after another.
    fn chained(&self, positions: Range<u32>) -> impl Iterator<Item = &BoundStep> {
        positions.flat_map(|position| self.decode_at(position).chain(self.choose()))
    }

    /// Steps that choose a token.
    fn choose(&self) -> impl Iterator<Item = &BoundStep> {
        self.p.steps.head.iter().chain(&self.p.steps.sample)
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
    /// token but the last. `next`: tokens of the chain that probably follows, 0 for none.
    pub(crate) async fn chain(
        &mut self,
        id: SeqId,
        start: Start,
        (k, next): (u32, u32),
        seed: u64,
    ) -> Result<Chain, Error> {
        let length = self.p.kv.length(id);
        let (fed, decodes) = match start {
            Start::Head => (None, 0),
            Start::Token(token) => (Some(token), k),
        };
        // Memory that grows drops what was recorded.
        self.reserve(id, decodes).await?;
        self.write_control(&control(seed));
        let positions = length..length + decodes;
        let ahead = self.ahead.take();
        let (copy, words) = self.read_control(k as usize);
        match start {
            Start::Head => {
                // The sampler goes on from the position of the last computed token.
                self.write_rows(id, length.saturating_sub(1), &[0], 1);
                self.p.device.run(self.choose(), 1, &[copy]);
            }
            Start::Token(token) => {
                self.write_rows(id, length, &[token], 1);
                match ahead.filter(|ahead| ahead.positions == positions) {
                    Some(ahead) => {
                        self.p.device.submit(ahead.recorded);
                        self.recorded_ahead += 1;
                    }
                    None => {
                        let steps = self.chained(positions.clone());
                        self.p.device.run(steps, 1, &[copy]);
                    }
                }
            }
        }
        self.record_ahead(positions.end..positions.end + next);
        self.count_kv_decoded(positions);
        let words = self.p.device.map(&self.p.staging, words).await?;
        Ok(self.finish_chain(id, fed, &words, k as usize))
    }

    /// Records the chain that decodes at these positions, if any.
    fn record_ahead(&mut self, positions: Range<u32>) {
        if positions.is_empty() {
            return;
        }
        let (copy, _) = self.read_control(positions.len());
        let steps = self.chained(positions.clone());
        let recorded = self.p.device.record(steps, 1, &[copy]);
        self.ahead = recorded.map(|recorded| Ahead {
            positions,
            recorded,
        });
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
}

/// The sampler's control words at the start of a submit.
pub(super) fn control(seed: u64) -> [u32; ctl::WORDS] {
    let mut control = [0; ctl::WORDS];
    control[ctl::SEED_LOW] = seed as u32;
    control[ctl::SEED_HIGH] = (seed >> 32) as u32;
    control
}
