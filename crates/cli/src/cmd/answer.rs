//! One answer: messages to ids, tokens to the reader as they come, and the figures afterwards.

use std::sync::atomic::{AtomicBool, Ordering};

use chord_text::{ChatTemplate, ChatVariables, Message, Tokenizer};
use serde_json::{Value, json};

use super::adapters;
use super::recovery::{Recovery, is_loss};
use crate::args::SamplingArgs;
use crate::error::Error;
use crate::interrupt;
use crate::out::{Out, note};
use crate::thinking::Thinking;
use chord_runtime::{
    AdapterInfo, Done, Engine, Event, FinishReason, GenerateRequest, Overrides, Sampling, Session,
    Timings,
    prompt::{ChatPrompt, chat_prompt, text_ids},
};

/// How answers are made.
#[derive(Debug, Clone)]
pub struct Style {
    /// Continue the text without a chat template.
    pub raw: bool,
    /// What the template is told.
    pub variables: ChatVariables,
    pub sampling: Sampling,
    pub stop: Vec<String>,
    pub max_tokens: Option<u32>,
    pub json: bool,
}

/// A loaded model with one conversation.
pub struct Chat {
    /// None once a lost device could not be replaced.
    loaded: Option<(Engine, Session)>,
    pub style: Style,
    pub last: Option<Timings>,
    recovery: Recovery,
    /// Why the engine is where it is, after a loss moved it.
    moved: Option<String>,
}

impl Chat {
    pub fn new(mut engine: Engine, style: Style, recovery: Recovery) -> Result<Chat, Error> {
        let session = engine.new_session()?;
        Ok(Chat {
            loaded: Some((engine, session)),
            style,
            last: None,
            recovery,
            moved: None,
        })
    }

    /// The model. Fails once its device was lost and nothing took its place.
    pub fn engine(&self) -> Result<&Engine, Error> {
        self.loaded.as_ref().map(|l| &l.0).ok_or_else(gone)
    }

    /// Why the model runs where it does.
    pub fn reason(&self) -> &str {
        let reason = self.loaded.as_ref().map_or("", |l| l.0.device_reason());
        self.moved.as_deref().unwrap_or(reason)
    }

    /// Tokens that the conversation holds in the cache.
    pub fn held(&self) -> u32 {
        let held = |(engine, session): &(Engine, Session)| session.held_tokens(engine);
        self.loaded.as_ref().map_or(0, held)
    }

    /// Forgets the conversation.
    pub fn clear(&mut self) {
        if let Some((engine, session)) = &mut self.loaded {
            session.clear(engine);
        }
        self.last = None;
    }

    /// Answers `messages` and writes the answer to `out` as it comes.
    pub fn answer(&mut self, messages: &[Message], out: &mut Out) -> Result<Done, Error> {
        let engine = self.engine()?;
        let template = if self.style.raw {
            None
        } else {
            engine.template()
        };
        let tokenizer = engine.tokenizer();
        let chat = prompt(tokenizer, template, messages, &self.style.variables)?;
        let prompt = chat.ids;
        let context = engine.context_length();
        if u32::try_from(prompt.len()).map_or(true, |n| n > context) {
            return Err(Error::Context {
                prompt: prompt.len(),
                context,
            });
        }
        let request = GenerateRequest {
            prompt,
            max_tokens: self.style.max_tokens,
            sampling: self.style.sampling,
            stop: self.style.stop.clone(),
            reasoning: chat.reasoning,
            ..GenerateRequest::default()
        };
        let mut given = Vec::new();
        loop {
            let request = GenerateRequest {
                resume: given.clone(),
                ..request.clone()
            };
            let before = given.len();
            let attempt = self.attempt(&request, &mut given, out);
            if given.len() > before {
                self.recovery.progress();
            }
            match attempt {
                Err((e, false)) if is_loss(&e) => {
                    if out.terminal && !given.is_empty() {
                        // Behind the part of a line that is there.
                        note("");
                    }
                    let lost = self.loaded.take().map(|(engine, _)| engine);
                    let (mut engine, moved) = self.recovery.replace(lost, e)?;
                    let session = engine.new_session()?;
                    self.loaded = Some((engine, session));
                    self.moved = moved.or(self.moved.take());
                }
                Err((e, _)) => return Err(e),
                Ok(done) => {
                    self.last = Some(done.timings);
                    return Ok(done);
                }
            }
        }
    }

    /// One attempt at an answer; tokens that it gives beyond those it resumes go to `out` and to `given`. An error comes with
    /// whether the answer had been told to stop.
    fn attempt(
        &mut self,
        request: &GenerateRequest,
        given: &mut Vec<u32>,
        out: &mut Out,
    ) -> Result<Done, (Error, bool)> {
        let Some((engine, session)) = &mut self.loaded else {
            return Err((gone(), false));
        };
        let json = self.style.json;
        let mut thinking = Thinking::stderr();
        let mut failed = None;
        let mut repeated = given.len();
        let (done, stopped) = interrupt::answering(|cancel: &AtomicBool| {
            let mut on_event = |event: Event| {
                if let Event::Token { id, .. } = &event {
                    if repeated > 0 {
                        repeated = repeated.saturating_sub(1);
                        return;
                    }
                    given.push(*id);
                }
                let sent = match event {
                    Event::Prefill { .. } => Ok(()),
                    Event::Token {
                        id,
                        text,
                        reasoning,
                        ..
                    } if json => out.json(
                        &json!({"event": "token", "id": id, "text": text, "reasoning": reasoning}),
                    ),
                    Event::Token {
                        text, reasoning, ..
                    } => {
                        thinking.show(&reasoning);
                        if !text.is_empty() {
                            thinking.end();
                        }
                        out.model_text(&text)
                    }
                };
                if let Err(e) = sent {
                    // Nobody reads on: no use in computing on.
                    cancel.store(true, Ordering::SeqCst);
                    failed.get_or_insert(e);
                }
            };
            let done = pollster::block_on(session.generate(engine, request, cancel, &mut on_event));
            (done, cancel.load(Ordering::SeqCst))
        });
        thinking.end();
        match failed {
            Some(e) => Err((e, stopped)),
            None => done.map_err(|e| (e.into(), stopped)),
        }
    }
}

/// Nothing took the place of a device that was lost.
fn gone() -> Error {
    let lost = chord_kernels::Error::Lost("nothing took its place".into());
    chord_runtime::Error::from(lost).into()
}

/// A whole conversation in ids. Without a template the texts are joined as they stand.
pub fn prompt(
    tokenizer: &Tokenizer,
    template: Option<&ChatTemplate>,
    messages: &[Message],
    variables: &ChatVariables,
) -> Result<ChatPrompt, Error> {
    Ok(match template {
        Some(template) => chat_prompt(tokenizer, template, messages, variables)?,
        None => {
            let text: String = messages.iter().map(Message::content).collect();
            ChatPrompt {
                ids: text_ids(tokenizer, &text)?,
                reasoning: None,
            }
        }
    })
}

/// Flags before the model's own values before the defaults. Without `--seed` every run differs.
pub fn sampling(flags: &SamplingArgs, model: &chord_model::config::SamplingDefaults) -> Sampling {
    Overrides {
        temperature: flags.temperature,
        top_k: flags.top_k,
        top_p: flags.top_p,
        min_p: flags.min_p,
        repeat_last_n: flags.repeat_last_n,
        repeat_penalty: flags.repeat_penalty,
        presence_penalty: flags.presence_penalty,
        frequency_penalty: flags.frequency_penalty,
        seed: flags.seed,
    }
    .over(model)
}

/// The last line of `run --json`.
pub fn done_json(done: &Done, adapter: &AdapterInfo, reason: &str) -> Value {
    let t = &done.timings;
    json!({
        "event": "done",
        "prompt_tokens": done.prompt_tokens,
        "tokens": done.tokens,
        "text": done.text,
        "reasoning": done.reasoning,
        "finish_reason": finish_reason(done.finish_reason),
        "timings": {
            "load_ms": t.load_ms,
            "prefill_ms": t.prefill_ms,
            "prefill_tok_s": t.prefill_tok_s,
            "ttft_ms": t.ttft_ms,
            "decode_ms": t.decode_ms,
            "decode_tok_s": t.decode_tok_s,
            "drafted_tokens": t.drafted_tokens,
            "accepted_tokens": t.accepted_tokens,
        },
        "adapter": adapters::in_use(adapter, reason),
    })
}

/// Name of a finish reason in JSON.
pub fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::StopString => "stop_string",
        FinishReason::Cancelled => "cancelled",
    }
}

/// Speed of an answer, for people.
pub fn timings_line(t: &Timings, answered: usize) -> String {
    let reused = if t.reused_tokens > 0 {
        format!(", {} kept from before", t.reused_tokens)
    } else {
        String::new()
    };
    let guessed = if t.accepted_tokens > 0 {
        format!(", {} of them guessed ahead", t.accepted_tokens)
    } else {
        String::new()
    };
    format!(
        "{answered} tokens at {:.1} tok/s{guessed}; prompt {} tokens at {:.1} tok/s{reused}; first token after {:.2} s",
        t.decode_tok_s,
        t.prefilled_tokens,
        t.prefill_tok_s,
        t.ttft_ms / 1000.0
    )
}

/// Why an answer ended, where the reader must know; `None` for an answer that ended by itself.
pub fn ending(
    reason: FinishReason,
    answered: usize,
    max_tokens: Option<u32>,
    context: u32,
) -> Option<String> {
    match reason {
        FinishReason::Length
            if max_tokens
                .and_then(|m| usize::try_from(m).ok())
                .is_some_and(|m| answered >= m) =>
        {
            Some(format!("stopped after {answered} tokens (--max-tokens)"))
        }
        FinishReason::Length => Some(format!(
            "stopped: the context of {context} tokens is full (see --ctx)"
        )),
        FinishReason::Cancelled => Some("stopped by Ctrl-C".into()),
        FinishReason::Stop | FinishReason::StopString => None,
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
