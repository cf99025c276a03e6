//! The loop that chooses an answer's tokens: chained on the device, several at once where a guess is tried, or one by one.

use crate::Error;
use crate::answer::Answer;
use crate::engine::{Chain, Engine, Lengths, MAX_CHAIN, OVERLAPPED_CHAIN, Start};
use crate::sampler;
use crate::session::{Event, FinishReason, GenerateRequest, Session};
use crate::speculate;
use std::sync::atomic::{AtomicBool, Ordering};
use web_time::{Duration, Instant};

/// A submit that takes longer than this is not made longer.
const SUBMIT_TARGET: Duration = Duration::from_millis(60);

impl Session {
    /// Tokens until something ends the answer.
    pub(crate) async fn decode(
        &mut self,
        engine: &mut Engine,
        req: &GenerateRequest,
        budget: u32,
        answer: &mut Answer,
        cancel: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<FinishReason, Error> {
        let eog: Vec<u32> = if req.ignore_eog {
            Vec::new()
        } else {
            engine.tokenizer().eog().to_vec()
        };
        engine.set_sampler(
            &req.sampling
                .params(engine.config().n_vocab, eog.len() as u32),
        );
        let expected = speculate::expect(engine.log(self.id()), &req.prediction);
        let fixed = engine.p.options.tokens_per_submit;
        let mut k = fixed.unwrap_or(1);
        let mut slow = false;
        let mut start = Start::Head;
        while (answer.tokens.len() as u32) < budget {
            if cancel.load(Ordering::Relaxed) {
                return Ok(FinishReason::Cancelled);
            }
            let began = Instant::now();
            let left = budget - answer.tokens.len() as u32;
            let under_way = engine.under_way();
            let n = match start {
                Start::Head => 1,
                Start::Token(_) => under_way.unwrap_or(k.min(left).clamp(1, MAX_CHAIN)),
            };
            let longer = fixed.unwrap_or((2 * n).min(engine.longest_chain(self.id())));
            let next = match under_way {
                // It was when the one before turned out to take long.
                Some(_) if slow => k,
                _ => longer,
            };
            let lengths = Lengths {
                now: n,
                next: next.min(left - n).min(MAX_CHAIN),
                overlap: n >= OVERLAPPED_CHAIN && !slow,
            };
            let chain = match self
                .next_tokens(engine, req, start, (lengths, left), &expected)
                .await
            {
                // Other conversations hold the rest of the store.
                Err(Error::KvFull(_)) if !answer.tokens.is_empty() => {
                    return Ok(FinishReason::Length);
                }
                chain => chain?,
            };
            let mut logprobs = chain.logprobs;
            for (i, id) in chain.tokens.iter().enumerate() {
                if eog.contains(id) {
                    return Ok(FinishReason::Stop);
                }
                if answer.push(*id, logprobs.take(), on_event) {
                    // Tokens chosen after the stop string were never part of the answer.
                    let surplus = chain.tokens.len() - i - 1;
                    let held = engine.p.kv.length(self.id()).saturating_sub(surplus as u32);
                    engine.rewind(self.id(), held);
                    return Ok(FinishReason::StopString);
                }
            }
            match chain.tokens.last() {
                Some(last) if !chain.fault => start = Start::Token(*last),
                _ => {
                    return Err(Error::NonFinite {
                        position: engine.p.kv.length(self.id()),
                    });
                }
            }
            if fixed.is_none() {
                slow = began.elapsed() >= SUBMIT_TARGET;
                k = if slow { (n / 2).max(1) } else { next };
            }
        }
        Ok(FinishReason::Length)
    }

    /// A guess and what follows from it, or a chain on the device, or one token chosen by the CPU where penalties need the history or somebody wants to see the probabilities.
    async fn next_tokens(
        &mut self,
        engine: &mut Engine,
        req: &GenerateRequest,
        start: Start,
        (lengths, left): (Lengths, u32),
        expected: &[u32],
    ) -> Result<Chain, Error> {
        if req.sampling.needs_cpu() || req.logprobs.is_some() {
            return self.sampled_here(engine, req, start).await;
        }
        let (id, seed) = (self.id(), req.sampling.seed);
        let Start::Token(token) = start else {
            return engine.chain(id, start, lengths, seed).await;
        };
        if let Some(chain) = engine
            .speculate(id, token, expected, left, &req.sampling)
            .await?
        {
            return Ok(chain);
        }
        // In a ring that recycles, a chain ends with its page.
        let now = engine.p.kv.batch(id, lengths.now).max(1);
        let lengths = Lengths { now, ..lengths };
        let began = Instant::now();
        let chain = match engine.chain(id, start, lengths, seed).await {
            // The store has no page left for the whole chain: one token may still fit its page.
            Err(Error::KvFull(_)) if now > 1 => {
                engine.chain(id, start, Lengths::only(1), seed).await
            }
            chain => chain,
        }?;
        engine.note_steps(chain.tokens.len(), began);
        Ok(chain)
    }

    async fn sampled_here(
        &mut self,
        engine: &mut Engine,
        req: &GenerateRequest,
        start: Start,
    ) -> Result<Chain, Error> {
        let mut logits = engine.logits(self.id(), start).await?;
        let position = engine.p.kv.length(self.id());
        let mut history = engine.log(self.id()).to_vec();
        history.truncate(position as usize);
        let own = req.logprobs.map(|n| (n, logits.clone()));
        match sampler::sample(&mut logits, &history, &req.sampling, position) {
            Ok(token) => Ok(Chain {
                tokens: vec![token],
                fault: false,
                logprobs: own.map(|(n, logits)| sampler::logprobs(&logits, token, n)),
            }),
            Err(_) => Err(Error::NonFinite { position }),
        }
    }
}
