//! An answer as it grows: tokens into events, each with the text that became certain with it.

use crate::session::{Event, Logprobs};
use chord_text::{StopStrings, StreamDecoder, Tokenizer};
use web_time::Instant;

/// What the loop carries from token to token.
pub(crate) struct Answer {
    /// A token some of whose text is held back: its event waits for the next token or the end.
    waiting: Option<(u32, String, Option<Logprobs>)>,
    /// Bytes of text decoded so far.
    decoded: usize,
    pub tokens: Vec<u32>,
    pub text: String,
    decoder: StreamDecoder,
    stops: StopStrings,
    pub first: Option<Instant>,
    pub last: Instant,
}

impl Answer {
    /// `asked` is when the request came.
    pub(crate) fn new(tokenizer: &Tokenizer, stop: &[String], asked: Instant) -> Self {
        Self {
            waiting: None,
            decoded: 0,
            tokens: Vec::new(),
            text: String::new(),
            decoder: StreamDecoder::new(tokenizer),
            stops: StopStrings::new(stop.iter().cloned()),
            first: None,
            last: asked,
        }
    }

    fn send_waiting(&mut self, on_event: &mut dyn FnMut(Event)) {
        if let Some((id, text, logprobs)) = self.waiting.take() {
            on_event(Event::Token { id, text, logprobs });
        }
    }

    /// Lets go of what was held back; true if it completes a stop string.
    pub(crate) fn finish(&mut self, stopped: bool, on_event: &mut dyn FnMut(Event)) -> bool {
        let rest = self.decoder.finish();
        let tail = self.stops.push(&rest);
        let mut text = tail.emit;
        if !stopped && !tail.stopped {
            text.push_str(&self.stops.finish());
        }
        self.text.push_str(&text);
        if let Some((_, waiting, _)) = &mut self.waiting {
            waiting.push_str(&text);
        }
        self.send_waiting(on_event);
        tail.stopped
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
        let text = text.unwrap_or_default();
        self.decoded += text.len();
        let event = self.stops.push(&text);
        self.text.push_str(&event.emit);
        self.waiting = Some((id, event.emit, logprobs));
        if event.stopped || (whole && self.decoded == self.text.len()) {
            self.send_waiting(on_event);
        }
        event.stopped
    }
}
