//! Decoding: tokens chosen on the device, several of them in one submit. A GPU has the next chain before it is done with one, because all that
//! follows from its tokens is there already: else it would wait while they are read, told and answered with commands.

use super::Engine;
use crate::Error;
use crate::session::Logprobs;
use chord_kernels::device::{BoundStep, Buffer, Copy, Device, Recorded, Staging, Submission};
use chord_kernels::sample::{SampleParams, ctl};
use chord_model::SeqId;
use std::ops::Range;

/// Most tokens of a submit while decoding.
pub(crate) const MAX_CHAIN: u32 = 16;
const _: () = assert!(MAX_CHAIN as usize <= ctl::LOG_LENGTH);
/// Tokens of a chain that has another behind it. Where an answer ends, part of the one and all of the other were computed for nothing, so these
/// are shorter.
pub const OVERLAPPED_CHAIN: u32 = 8;

/// Where a decode chain starts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// The head's input of the last prefilled token is ready.
    Head,
    /// This token comes next.
    Token(u32),
}

/// How many tokens are computed at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// Of the chain that is wanted. That of an answer's first token has one.
    pub now: u32,
    /// Of the chain that probably follows it, 0 for none.
    pub next: u32,
    /// Whether that may be submitted before it is known to follow.
    pub overlap: bool,
}

impl Lengths {
    /// One chain, and nothing prepared behind it.
    pub fn only(now: u32) -> Self {
        Self {
            now,
            next: 0,
            overlap: false,
        }
    }
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

/// The chain behind another.
pub(super) struct Ahead {
    positions: Range<u32>,
    commands: Commands,
    /// Which of the two stagings it writes.
    staging: usize,
}

enum Commands {
    /// They are any sequence's: which one is in the row that the chain begins with.
    Recorded(Recorded),
    /// They go on with what the chain before left on the device.
    UnderWay(Submission),
}

impl Ahead {
    /// Whether it would bind a buffer that is replaced now.
    pub(super) fn waits(&self) -> bool {
        matches!(self.commands, Commands::Recorded(_))
    }
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

    /// Whether a chain of `next` tokens may be submitted behind one of `now`. In a ring that recycles it might take the place of tokens that are
    /// still seen when the first turns out to be the last.
    fn may_overlap(&self, id: SeqId, now: u32, next: u32) -> bool {
        let free = matches!(self.p.device, Device::Gpu(_)) && self.speculation.is_none();
        free && next > 0 && self.p.kv.batch(id, now + next) == now + next
    }

    /// Most tokens to chain. Where a draft may be found between chains, they are short: on the CPU, chains of four
    /// measured 0.97 to 0.98 of full ones where nothing repeats, and those of one token 0.89 to 0.94.
    pub(crate) fn longest_chain(&self, id: SeqId) -> u32 {
        match (&self.speculation, &self.p.device) {
            (Some(_), Device::Cpu(_)) => 4,
            _ if self.may_overlap(id, OVERLAPPED_CHAIN, OVERLAPPED_CHAIN) => OVERLAPPED_CHAIN,
            _ => MAX_CHAIN,
        }
    }

    /// Ends what an answer left under way: its time is not that of the next prompt, nor its length that of a chain to come.
    pub(crate) async fn settle(&mut self) -> Result<(), Error> {
        match self.ahead.take_if(|ahead| !ahead.waits()) {
            Some(_) => Ok(self.p.device.wait().await?),
            None => Ok(()),
        }
    }

    /// Tokens of the chain that was submitted behind the one read last.
    pub(crate) fn under_way(&self) -> Option<u32> {
        let ahead = self.ahead.as_ref().filter(|ahead| !ahead.waits());
        ahead.map(|ahead| ahead.positions.len() as u32)
    }

    /// Tokens in one submit: the first of an answer, or several after a token. The sequence's pages then hold every
    /// token but the last.
    pub(crate) async fn chain(
        &mut self,
        id: SeqId,
        start: Start,
        Lengths { now, next, overlap }: Lengths,
        seed: u64,
    ) -> Result<Chain, Error> {
        let length = self.p.kv.length(id);
        let (fed, decodes) = match start {
            Start::Head => (None, 0),
            Start::Token(token) => (Some(token), now),
        };
        // Memory that grows drops what was recorded.
        let overlap = overlap
            && self.may_overlap(id, decodes, next)
            && self.has_room(id, decodes + next).await?;
        if !overlap {
            self.reserve(id, decodes).await?;
        }
        let positions = length..length + decodes;
        let ahead = self.ahead.take();
        let ahead = ahead.filter(|ahead| fed.is_some() && ahead.positions == positions);
        self.recorded_ahead += u64::from(ahead.is_some());
        let (staging, by) = match ahead {
            Some(Ahead {
                commands: Commands::UnderWay(by),
                staging,
                ..
            }) => {
                self.submitted_ahead += 1;
                (staging, by)
            }
            recorded => self.begin(id, fed, &positions, now, seed, recorded),
        };
        let follows = positions.end..positions.end + next;
        self.ahead = self.record_ahead(follows, 1 - staging, overlap);
        let (_, words) = self.read_control(&self.p.chained[staging], now as usize);
        let staging = &self.p.chained[staging];
        let words = self.p.device.map(staging, words, by).await?;
        Ok(self.finish_chain(id, fed, &words, now as usize))
    }

    /// [`Engine::reserve`], with no for an answer.
    async fn has_room(&mut self, id: SeqId, n: u32) -> Result<bool, Error> {
        match self.reserve(id, n).await {
            Err(Error::KvFull(_)) => Ok(false),
            reserved => reserved.map(|()| true),
        }
    }

    /// Submits a chain behind the token `fed`, or behind the last one computed, with its commands or new ones: where it is staged.
    fn begin(
        &self,
        id: SeqId,
        fed: Option<u32>,
        positions: &Range<u32>,
        tokens: u32,
        seed: u64,
        recorded: Option<Ahead>,
    ) -> (usize, Submission) {
        let device = &self.p.device;
        self.write_control(&control(seed));
        self.count_kv_decoded(positions.clone());
        // Behind none, the sampler goes on from the position of the last computed token.
        let first = positions.start - u32::from(fed.is_none()).min(positions.start);
        self.write_rows(id, first, &[fed.unwrap_or(0)], 1);
        if let Some(Ahead {
            commands: Commands::Recorded(recorded),
            staging,
            ..
        }) = recorded
        {
            return (staging, device.submit(recorded));
        }
        let (copy, _) = self.read_control(&self.p.chained[0], tokens as usize);
        let by = match fed {
            None => device.run(self.choose(), 1, &[copy]),
            Some(_) => device.run(self.chained(positions.clone()), 1, &[copy]),
        };
        (0, by)
    }

    /// Records the chain that decodes at these positions, if any, while the device is at work on the one before, and submits it where it may
    /// `overlap`.
    fn record_ahead(&self, positions: Range<u32>, staging: usize, overlap: bool) -> Option<Ahead> {
        if positions.is_empty() {
            return None;
        }
        let (copy, _) = self.read_control(&self.p.chained[staging], positions.len());
        let steps = self.chained(positions.clone());
        let recorded = self.p.device.record(steps, 1, &[copy])?;
        let commands = match overlap {
            false => Commands::Recorded(recorded),
            true => {
                // The row and the rest of the control words are as the chain before leaves them: with nothing more to do, if it ends.
                self.p.device.write(self.control(), ctl::STEP as u64, &[0]);
                self.count_kv_decoded(positions.clone());
                Commands::UnderWay(self.p.device.submit(recorded))
            }
        };
        Some(Ahead {
            positions,
            commands,
            staging,
        })
    }

    fn control(&self) -> &Buffer {
        let [_, ctl_id, ..] = self.p.plan.ids.sampler;
        self.buffer(ctl_id)
    }

    /// Writes the sampler's control words for a submit.
    pub(super) fn write_control(&self, control: &[u32; ctl::WORDS]) {
        self.p.device.write(self.control(), 0, control);
    }

    /// The copy that brings them to `staging` with up to `tokens` tokens, and its words.
    pub(super) fn read_control<'a>(
        &'a self,
        staging: &'a Staging,
        tokens: usize,
    ) -> (Copy<'a>, u64) {
        let words = (ctl::LOG + tokens) as u64;
        let copy = Copy::stage(staging, 0, self.control(), 0, words);
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
