//! A conversation: the generate loop over one sequence.

use crate::Error;
use crate::answer::Answer;
use crate::engine::{Engine, Start};
use crate::sampler::Sampling;
use chord_model::SeqId;
use chord_text::Reasoning;
use std::sync::atomic::{AtomicBool, Ordering};
use web_time::Instant;

/// What to generate.
#[derive(Clone, Debug, Default)]
pub struct GenerateRequest {
    /// The whole token sequence. What the session already holds of its beginning is not computed again.
    pub prompt: Vec<u32>,
    /// At most so many tokens; None: until the context is full.
    pub max_tokens: Option<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Texts that end the answer; they are not part of it. Reasoning may say them.
    pub stop: Vec<String>,
    /// Parts reasoning from the answer ([`crate::prompt::chat_prompt`] knows it); without it, all text is the answer.
    pub reasoning: Option<Reasoning>,
    /// Go on past end-of-generation tokens.
    pub ignore_eog: bool,
    /// Tokens of this answer that an earlier, broken attempt has already given: it goes on behind them, and reports them as
    /// events too.
    pub resume: Vec<u32>,
    /// A text that the answer is expected to be much like, such as the file to be edited: where it is, several tokens come from one
    /// pass. It changes no token, and nothing where the engine does not speculate.
    pub prediction: Vec<u32>,
    /// Report the log probability of every token, and of so many alternatives.
    pub logprobs: Option<u32>,
}

/// Natural logarithms of probabilities by the model itself, before any sampling setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprobs {
    /// Of the token.
    pub logprob: f32,
    /// The likeliest tokens with theirs, in order.
    pub top: Vec<(u32, f32)>,
}

/// Progress of a generation.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Prompt tokens computed.
    Prefill {
        /// So far.
        done: u32,
        /// In all.
        total: u32,
    },
    /// A token, with the text that became certain with it: empty inside a character or a possible stop string. One event
    /// per token; the texts joined are the answer.
    Token {
        /// The token.
        id: u32,
        /// Text of the answer.
        text: String,
        /// Text of the reasoning before it.
        reasoning: String,
        /// Where the request asks for them.
        logprobs: Option<Logprobs>,
    },
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// `max_tokens`, or the context is full.
    Length,
    /// A stop string.
    StopString,
    /// The caller.
    Cancelled,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Loading the model.
    pub load_ms: f64,
    /// Computing the prompt.
    pub prefill_ms: f64,
    /// Prompt tokens computed per second.
    pub prefill_tok_s: f64,
    /// From the request to the first token.
    pub ttft_ms: f64,
    /// Tokens after the first.
    pub decode_ms: f64,
    /// Tokens after the first, per second.
    pub decode_tok_s: f64,
    /// Prompt tokens computed.
    pub prefilled_tokens: u32,
    /// Prompt tokens already held.
    pub reused_tokens: u32,
    /// Tokens guessed ahead.
    pub drafted_tokens: u32,
    /// Of these, the ones that were right.
    pub accepted_tokens: u32,
}

/// A finished generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The prompt.
    pub prompt_tokens: Vec<u32>,
    /// The answer's tokens, without the end-of-generation token.
    pub tokens: Vec<u32>,
    /// The answer.
    pub text: String,
    /// The reasoning before it; empty where there is none.
    pub reasoning: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Where the time went.
    pub timings: Timings,
}

/// One conversation on an engine. Give it back with [`Session::close`].
#[derive(Debug)]
pub struct Session {
    id: SeqId,
    tokens: Vec<u32>,
}

impl Engine {
    /// A new conversation.
    ///
    /// # Errors
    /// `E_KV_FULL` when `max_sequences` are open.
    pub fn new_session(&mut self) -> Result<Session, Error> {
        let id = self.p.kv.open()?;
        self.logs.insert(id, Vec::new());
        Ok(Session {
            id,
            tokens: Vec::new(),
        })
    }
}

impl Session {
    /// The token log of the last generation: prompt and answer.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens whose keys and values the engine holds for this session.
    #[must_use]
    pub fn held_tokens(&self, engine: &Engine) -> u32 {
        engine.p.kv.length(self.id)
    }

    pub(crate) fn id(&self) -> SeqId {
        self.id
    }

    /// Forgets everything.
    pub fn clear(&mut self, engine: &mut Engine) {
        engine.forget(self.id);
        self.tokens.clear();
    }

    /// Cuts the conversation to its first `length` tokens; the next request goes on from there.
    pub fn rewind(&mut self, engine: &mut Engine, length: u32) {
        // The last token of an answer has not been through the layers: the pages may hold one less.
        engine.rewind(self.id, length.min(engine.p.kv.length(self.id)));
        self.tokens.truncate(length as usize);
    }

    /// Gives the session's pages back.
    pub fn close(self, engine: &mut Engine) {
        engine.p.kv.close(self.id);
        engine.logs.remove(&self.id);
    }

    /// Computes what is new of the prompt, then generates.
    ///
    /// # Errors
    /// `E_CONTEXT`, `E_EMPTY_PROMPT`, `E_TOKEN_ID`, `E_SAMPLING`, `E_NONFINITE`, `E_KV_FULL`: the session stays usable. The
    /// device's errors: load the engine again.
    pub async fn generate(
        &mut self,
        engine: &mut Engine,
        req: &GenerateRequest,
        cancel: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Done, Error> {
        let started = Instant::now();
        let before = engine.counters();
        req.sampling.validate()?;
        let mut prompt = checked_prompt(engine, &req.prompt)?;
        let asked = prompt.len();
        prompt.extend(&req.resume);
        engine.check_tokens(&prompt)?;
        engine.check_ids(&req.prediction)?;
        let room = engine.position_limit() - asked as u32;
        let budget = req.max_tokens.unwrap_or(u32::MAX).min(room);
        let reused = engine.reuse(self.id, &prompt);
        self.tokens = prompt.clone();
        let mut timings = Timings {
            load_ms: engine.load_ms(),
            reused_tokens: reused,
            ..Timings::default()
        };
        let mut answer = Answer::new(engine.tokenizer(), req, started);
        engine.settle().await?;

        let mut finish = None;
        for id in &req.resume {
            if answer.push(*id, None, on_event) {
                finish = Some(FinishReason::StopString);
            }
        }
        let total = prompt.len() as u32 - reused;
        let batches = engine.batches(total as usize);
        let mut done = 0;
        let mut last_batch = 0;
        while done < total && finish.is_none() {
            on_event(Event::Prefill { done, total });
            last_batch = engine
                .append(self.id, &prompt[(reused + done) as usize..], batches)
                .await?;
            done += last_batch;
            finish = cancel
                .load(Ordering::Relaxed)
                .then_some(FinishReason::Cancelled);
        }
        timings.prefilled_tokens = done;
        timings.prefill_ms = started.elapsed().as_secs_f64() * 1e3;
        if finish.is_none() {
            on_event(Event::Prefill { done, total });
            engine.select_last(last_batch);
            finish = Some(
                self.decode(engine, req, budget, &mut answer, cancel, on_event)
                    .await?,
            );
        }

        let mut finish = finish.unwrap_or(FinishReason::Cancelled);
        if answer.finish(finish == FinishReason::StopString, on_event) {
            finish = FinishReason::StopString;
        }
        prompt.truncate(asked);
        self.tokens.truncate(asked);
        self.tokens.extend(&answer.tokens);
        let work = engine.counters().since(&before);
        timings.drafted_tokens = work.drafted_tokens as u32;
        timings.accepted_tokens = work.accepted_tokens as u32;
        let decoded = answer.tokens.len().saturating_sub(1) as f64;
        let per_second = |n: f64, ms: f64| if ms > 0.0 { n * 1e3 / ms } else { 0.0 };
        timings.prefill_tok_s = per_second(f64::from(done), timings.prefill_ms);
        if let Some(first) = answer.first {
            timings.ttft_ms = (first - started).as_secs_f64() * 1e3;
            timings.decode_ms = (answer.last - first).as_secs_f64() * 1e3;
            timings.decode_tok_s = per_second(decoded, timings.decode_ms);
        }
        Ok(Done {
            prompt_tokens: prompt,
            tokens: answer.tokens,
            text: answer.text.answer,
            reasoning: answer.text.reasoning,
            finish_reason: finish,
            timings,
        })
    }

    /// The logits after the prompt, `[n_vocab]`. What the session already holds is not computed again; a prompt that
    /// adds one token to it goes through the decode kernels, a longer one through those of prefill.
    ///
    /// # Errors
    /// `E_CONTEXT`, `E_EMPTY_PROMPT`, `E_TOKEN_ID`, `E_KV_FULL` and the device's.
    pub async fn next_logits(
        &mut self,
        engine: &mut Engine,
        prompt: &[u32],
    ) -> Result<Vec<f32>, Error> {
        let prompt = checked_prompt(engine, prompt)?;
        let held = engine.reuse(self.id, &prompt);
        self.tokens.clone_from(&prompt);
        let mut rest = &prompt[held as usize..];
        if let (true, [token]) = (held > 0, rest) {
            return engine.logits(self.id, Start::Token(*token)).await;
        }
        let batches = engine.batches(rest.len());
        let mut batch = 0;
        while !rest.is_empty() {
            batch = engine.append(self.id, rest, batches).await?;
            rest = &rest[batch as usize..];
        }
        engine.select_last(batch);
        engine.logits(self.id, Start::Head).await
    }
}

/// The prompt as it will be computed: never empty, within the vocabulary and the context.
fn checked_prompt(engine: &Engine, prompt: &[u32]) -> Result<Vec<u32>, Error> {
    let prompt = match (prompt.is_empty(), engine.tokenizer().bos()) {
        (false, _) => prompt.to_vec(),
        (true, Some(bos)) => vec![bos],
        (true, None) => return Err(Error::EmptyPrompt),
    };
    engine.check_tokens(&prompt)?;
    Ok(prompt)
}
