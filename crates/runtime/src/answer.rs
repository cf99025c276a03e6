//! An answer as it grows: tokens into events, each with the text that became certain with it.

use crate::session::{Event, GenerateRequest, Logprobs};
use chord_text::{Parts, Reasoning, StopStrings, StreamDecoder, Tokenizer};
use web_time::Instant;

/// What the loop carries from token to token.
pub(crate) struct Answer {
    /// A token some of whose text is held back: its event waits for the next token or the end.
    waiting: Option<(u32, Parts, Option<Logprobs>)>,
    pub tokens: Vec<u32>,
    /// All text so far.
    pub text: Parts,
    decoder: StreamDecoder,
    reasoning: Option<Reasoning>,
    stops: StopStrings,
    pub first: Option<Instant>,
    pub last: Instant,
}

impl Answer {
    /// `asked` is when the request came.
    pub(crate) fn new(tokenizer: &Tokenizer, req: &GenerateRequest, asked: Instant) -> Self {
        let marks = req.reasoning.as_ref().map(|r| r.format().marks());
        Self {
            waiting: None,
            tokens: Vec::new(),
            text: Parts::default(),
            decoder: StreamDecoder::new(tokenizer).showing(&marks.unwrap_or_default()),
            reasoning: req.reasoning.clone(),
            stops: StopStrings::new(req.stop.iter().cloned()),
            first: None,
            last: asked,
        }
    }

    fn send_waiting(&mut self, on_event: &mut dyn FnMut(Event)) {
        if let Some((id, parts, logprobs)) = self.waiting.take() {
            on_event(Event::Token {
                id,
                text: parts.answer,
                reasoning: parts.reasoning,
                logprobs,
            });
        }
    }

    /// Whole characters into parts.
    fn parts(&mut self, text: String) -> Parts {
        match &mut self.reasoning {
            Some(reasoning) => reasoning.push(&text),
            None => Parts {
                answer: text,
                ..Parts::default()
            },
        }
    }

    /// Passes the answer through the stop strings, which know nothing of reasoning; true if one is complete.
    fn take(&mut self, mut parts: Parts) -> (Parts, bool) {
        let event = self.stops.push(&parts.answer);
        parts.answer = event.emit;
        self.text.answer.push_str(&parts.answer);
        self.text.reasoning.push_str(&parts.reasoning);
        (parts, event.stopped)
    }

    /// Lets go of what was held back; true if it completes a stop string.
    pub(crate) fn finish(&mut self, stopped: bool, on_event: &mut dyn FnMut(Event)) -> bool {
        let rest = self.decoder.finish();
        let mut parts = self.parts(rest);
        if let Some(reasoning) = &mut self.reasoning {
            let tail = reasoning.finish();
            parts.answer.push_str(&tail.answer);
            parts.reasoning.push_str(&tail.reasoning);
        }
        let (mut parts, stops_now) = self.take(parts);
        if !stopped && !stops_now {
            let held = self.stops.finish();
            self.text.answer.push_str(&held);
            parts.answer.push_str(&held);
        }
        if let Some((_, waiting, _)) = &mut self.waiting {
            waiting.answer.push_str(&parts.answer);
            waiting.reasoning.push_str(&parts.reasoning);
        }
        self.send_waiting(on_event);
        stops_now
    }

    /// Takes one token; true if a stop string is complete.
    pub(crate) fn push(
        &mut self,
        id: u32,
        logprobs: Option<Logprobs>,
        on_event: &mut dyn FnMut(Event),
    ) -> bool {
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.tokens.push(id);
        self.send_waiting(on_event);
        let text = self.decoder.push(id);
        let whole = text.is_some();
        let parts = self.parts(text.unwrap_or_default());
        let (parts, stopped) = self.take(parts);
        self.waiting = Some((id, parts, logprobs));
        let parted = self.reasoning.as_ref().is_none_or(Reasoning::is_settled);
        if stopped || (whole && parted && self.stops.is_settled()) {
            self.send_waiting(on_event);
        }
        stopped
    }
}
