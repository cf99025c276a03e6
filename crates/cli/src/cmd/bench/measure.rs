//! The runs that are measured, and the work of a token.

use std::sync::atomic::AtomicBool;

use crate::args::BenchArgs;
use crate::error::Error;
use crate::interrupt;
use chord_runtime::{Counters, Done, Engine, GenerateRequest, Sampling, Session, Timings};

/// Repeats one request on one conversation.
pub struct Runs {
    session: Session,
    ids: Vec<u32>,
    depth: u32,
    sampling: Sampling,
}

impl Runs {
    /// Computes what the context holds before the prompt, the prompt and a first token.
    pub fn new(engine: &mut Engine, args: &BenchArgs) -> Result<Runs, Error> {
        let ids = prompt_ids(engine, args.depth.saturating_add(args.prompt));
        let mut runs = Runs {
            session: engine.new_session()?,
            ids,
            depth: args.depth,
            // Either is the same work on every machine.
            sampling: match args.sample {
                true => Sampling::default(),
                false => Sampling::greedy(),
            },
        };
        // The first run pays for what the driver compiles late.
        runs.once(engine, 1)?;
        Ok(runs)
    }

    /// Prompt and `n` tokens, and the work they were.
    pub fn once(&mut self, engine: &mut Engine, n: u32) -> Result<(Done, Counters), Error> {
        self.session.rewind(engine, self.depth);
        let before = engine.counters();
        let done = self.generate(engine, n)?;
        Ok((done, engine.counters().since(&before)))
    }

    fn generate(&mut self, engine: &mut Engine, n: u32) -> Result<Done, Error> {
        let request = GenerateRequest {
            prompt: self.ids.clone(),
            max_tokens: Some(n),
            sampling: self.sampling,
            stop: Vec::new(),
            ignore_eog: true,
            ..GenerateRequest::default()
        };
        let session = &mut self.session;
        let done = interrupt::answering(|cancel: &AtomicBool| {
            pollster::block_on(session.generate(engine, &request, cancel, &mut |_| {}))
        })?;
        // A shorter run would make every figure wrong.
        if u32::try_from(done.tokens.len()) != Ok(n) {
            return Err(Error::Interrupted);
        }
        Ok(done)
    }

    /// All runs, after which the conversation's memory is given back; `said` hears of each.
    pub fn measure(
        mut self,
        engine: &mut Engine,
        args: &BenchArgs,
        mut said: impl FnMut(u32, &Timings) -> Result<(), Error>,
    ) -> Result<Measured, Error> {
        let (_, prompt_only) = self.once(engine, 1)?;
        let mut timings = Vec::new();
        let mut whole = Counters::default();
        for rep in 0..args.repeat {
            let (done, counters) = self.once(engine, args.generate)?;
            whole = counters;
            said(rep, &done.timings)?;
            timings.push(done.timings);
        }
        self.session.close(engine);
        Ok(Measured {
            timings,
            per_token: per_token(&prompt_only, &whole, args.generate),
        })
    }
}

/// What was measured.
pub struct Measured {
    pub timings: Vec<Timings>,
    pub per_token: Vec<(&'static str, f64)>,
}

/// A prompt of ordinary tokens spread over the vocabulary; the same on every machine.
pub fn prompt_ids(engine: &Engine, n: u32) -> Vec<u32> {
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

/// Work of a decoded token: a run of `generate` tokens less a run of one, which holds the prompt's work.
fn per_token(one: &Counters, whole: &Counters, generate: u32) -> Vec<(&'static str, f64)> {
    let steps = f64::from(generate.saturating_sub(1).max(1));
    let mean = |of: fn(&Counters) -> u64| (of(whole) as f64 - of(one) as f64) / steps;
    let dispatches = mean(|c| c.dispatches);
    // Of the whole run, as they are times: a difference of two runs would be mostly noise.
    let us_per_dispatch = |ns: u64| ns as f64 / 1e3 / (whole.dispatches.max(1) as f64);
    let (encode, submit) = (
        us_per_dispatch(whole.encode_ns),
        us_per_dispatch(whole.submit_ns),
    );
    vec![
        ("dispatches_per_token", dispatches),
        ("submits_per_token", mean(|c| c.submits)),
        ("weight_bytes_per_token", mean(|c| c.weight_bytes)),
        ("kv_bytes_per_token", mean(|c| c.kv_bytes)),
        ("readback_bytes_per_token", mean(|c| c.readback_bytes)),
        ("buffers_per_token", mean(|c| c.buffers)),
        ("bind_groups_per_token", mean(|c| c.bind_groups)),
        ("pipelines_per_token", mean(|c| c.pipelines)),
        ("encode_us_per_token", encode * dispatches),
        ("encode_us_per_dispatch", encode),
        ("submit_us_per_token", submit * dispatches),
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
            encode_ns: 416_000,
            submit_ns: 104_000,
            ..Counters::default()
        };
        let got = per_token(&one, &whole, 10);
        let value = |name: &str| got.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        assert_eq!(value("dispatches_per_token"), Some(12.0));
        assert_eq!(value("submits_per_token"), Some(1.0));
        assert_eq!(value("weight_bytes_per_token"), Some(700.0));
        assert_eq!(value("buffers_per_token"), Some(0.0));
        assert_eq!(value("encode_us_per_dispatch"), Some(2.0));
        assert_eq!(value("encode_us_per_token"), Some(24.0));
        assert_eq!(value("submit_us_per_token"), Some(6.0));
    }
}
