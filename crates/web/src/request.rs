//! Requests and answers as the worker sends and gets them: `pkg/src/protocol.ts` in Rust.

use chord_runtime::prompt::{chat_prompt, text_ids};
use chord_runtime::{Done, Engine, Error, FinishReason, GenerateRequest, Logprobs, Overrides};
use chord_text::{ChatError, ChatVariables, EncodeOptions, Message, Tokenizer};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    messages: Option<Vec<Value>>,
    /// Tool definitions.
    tools: Option<Value>,
    /// Variables of the chat template.
    chat_template_kwargs: Option<Value>,
    prompt: Option<String>,
    tokens: Option<Vec<u32>>,
    max_tokens: Option<u32>,
    stop: Vec<String>,
    logprobs: Option<u32>,
    /// A text that the answer is expected to be much like.
    prediction: Option<String>,
    /// Tokens that a lost device had already given.
    #[serde(default)]
    resume: Vec<u32>,
    sampling: Sampling,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sampling {
    temperature: Option<f32>,
    top_k: Option<u32>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repeat_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    seed: Option<u64>,
}

impl Request {
    /// The engine's request. Messages go through the model's template; without one their texts are joined.
    pub(crate) fn for_engine(self, engine: &Engine) -> Result<GenerateRequest, Error> {
        let tokenizer = engine.tokenizer();
        let mut variables = ChatVariables::default();
        if let Some(tools) = self.tools {
            if engine.template().is_none() {
                let what = "this model has no chat template that could tell it of them";
                return Err(chord_text::Error::from(ChatError::Tools(what.into())).into());
            }
            variables.set_tools(tools)?;
        }
        if let Some(kwargs) = self.chat_template_kwargs {
            variables.add_kwargs(kwargs)?;
        }
        let messages = self
            .messages
            .map(|all| all.into_iter().map(Message::from_json).collect())
            .transpose()?;
        let messages: Option<Vec<Message>> = messages;
        let mut reasoning = None;
        let prompt = match (self.tokens, messages, engine.template()) {
            (Some(tokens), _, _) => tokens,
            (None, Some(messages), Some(template)) => {
                let chat = chat_prompt(tokenizer, template, &messages, &variables)?;
                reasoning = chat.reasoning;
                chat.ids
            }
            (None, Some(messages), None) => {
                let text: String = messages.iter().map(Message::content).collect();
                text_ids(tokenizer, &text)?
            }
            (None, None, _) => text_ids(tokenizer, &self.prompt.unwrap_or_default())?,
        };
        let s = self.sampling;
        let sampling = Overrides {
            temperature: s.temperature,
            top_k: s.top_k,
            top_p: s.top_p,
            min_p: s.min_p,
            repeat_last_n: None,
            repeat_penalty: s.repeat_penalty,
            presence_penalty: s.presence_penalty,
            frequency_penalty: s.frequency_penalty,
            seed: s.seed,
        };
        Ok(GenerateRequest {
            prompt,
            max_tokens: self.max_tokens,
            sampling: sampling.over(&engine.config().sampling),
            stop: self.stop,
            reasoning,
            ignore_eog: false,
            resume: self.resume,
            prediction: self
                .prediction
                .map(|text| tokenizer.encode(&text, EncodeOptions::default()))
                .unwrap_or_default(),
            logprobs: self.logprobs,
        })
    }
}

/// `TokenEvent.logprobs`.
pub(crate) fn logprobs(tokenizer: &Tokenizer, id: u32, logprobs: &Logprobs) -> Value {
    let bytes = |id| tokenizer.piece(id).unwrap_or_default();
    let top = logprobs.top.iter();
    json!({
        "bytes": bytes(id),
        "logprob": logprobs.logprob,
        "top": top.map(|(id, p)| json!({"id": id, "bytes": bytes(*id), "logprob": p})).collect::<Vec<_>>(),
    })
}

/// `GenerateDone`.
pub(crate) fn done(done: &Done) -> Value {
    let t = &done.timings;
    json!({
        "promptTokens": done.prompt_tokens,
        "tokens": done.tokens,
        "text": done.text,
        "reasoning": done.reasoning,
        "finishReason": match done.finish_reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::StopString => "stop_string",
            FinishReason::Cancelled => "cancelled",
        },
        "timings": {
            "prefillMs": t.prefill_ms, "prefillTokS": t.prefill_tok_s, "ttftMs": t.ttft_ms, "decodeMs": t.decode_ms,
            "decodeTokS": t.decode_tok_s, "prefilledTokens": t.prefilled_tokens, "reusedTokens": t.reused_tokens,
            "draftedTokens": t.drafted_tokens, "acceptedTokens": t.accepted_tokens,
        },
    })
}
