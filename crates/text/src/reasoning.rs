//! Reasoning apart from the answer, in streamed text, wherever the stream is cut.
//!
//! Which tags a model uses is read off its chat template ([`ReasoningFormat::of_template`]); a template that knows none gets no
//! splitting. Tags open reasoning at the front of an answer only, so that an answer may speak of them.

use crate::stop::overlap;

/// How one family of models writes.
#[derive(Debug)]
enum Family {
    /// Reasoning between two tags, then the answer, in some between two tags more. White space at these borders is no part of
    /// either.
    Tags(Tags),
    /// Messages with headers, each in a channel (gpt-oss).
    Harmony,
}

#[derive(Debug, Clone, Copy)]
struct Tags {
    open: &'static str,
    close: &'static str,
    /// Empty where there is none.
    answer_open: &'static str,
    /// Expected behind `answer_open`, or at once where that is empty.
    answer_close: &'static str,
}

/// A template is of the first family whose mark it mentions: the tag that earlier answers are cut at or written with.
const FAMILIES: &[(&str, Family)] = &[
    ("<|channel|>analysis", Family::Harmony),
    tags("<seed:think>", "</seed:think>", "", ""),
    tags("<mm:think>", "</mm:think>", "", ""),
    tags("[THINK]", "[/THINK]", "", ""),
    tags(
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        "<|START_RESPONSE|>",
        "<|END_RESPONSE|>",
    ),
    tags("<|inner_prefix|>", "<|inner_suffix|>", "", ""),
    tags("<|channel>thought", "<channel|>", "", ""),
    tags(
        "Here are my reasoning steps:",
        "[BEGIN FINAL RESPONSE]",
        "",
        "[END FINAL RESPONSE]",
    ),
    tags("<think>", "</think>", "<response>", "</response>"),
];

const fn tags(
    open: &'static str,
    close: &'static str,
    answer_open: &'static str,
    answer_close: &'static str,
) -> (&'static str, Family) {
    let tags = Tags {
        open,
        close,
        answer_open,
        answer_close,
    };
    (close, Family::Tags(tags))
}

/// Harmony's tokens: what begins a header, what ends it, and what ends a message.
const HEADERS: [&str; 2] = ["<|start|>", "<|channel|>"];
const MESSAGE: &str = "<|message|>";
const ENDS: [&str; 3] = ["<|end|>", "<|return|>", "<|call|>"];
/// Bytes of a header; what is longer is none.
const HEADER: usize = 256;

/// How a model marks its reasoning.
#[derive(Debug, Clone, Copy)]
pub struct ReasoningFormat(&'static Family);

impl ReasoningFormat {
    /// The format of a chat template, from its source.
    #[must_use]
    pub fn of_template(source: &str) -> Option<Self> {
        let (_, family) = FAMILIES.iter().find(|(mark, _)| source.contains(mark))?;
        Some(Self(family))
    }

    /// The texts that must reach [`Reasoning::push`], also where the vocabulary has them as control tokens.
    #[must_use]
    pub fn marks(self) -> Vec<&'static str> {
        let all = match self.0 {
            Family::Tags(t) => vec![t.open, t.close, t.answer_open, t.answer_close],
            Family::Harmony => HEADERS.into_iter().chain([MESSAGE]).chain(ENDS).collect(),
        };
        all.into_iter().filter(|mark| !mark.is_empty()).collect()
    }

    /// For the answer to a prompt, whose end may have opened the reasoning already.
    #[must_use]
    pub fn behind(self, prompt: &str) -> Reasoning {
        let mut held = String::new();
        let state = match self.0 {
            Family::Tags(t) if prompt.trim_end().ends_with(t.open) => State::Reasoning,
            Family::Tags(_) => State::Front,
            Family::Harmony => {
                let header = prompt.ends_with(MESSAGE).then(|| prompt.rfind(HEADERS[1]));
                held.push_str(
                    header
                        .flatten()
                        .and_then(|at| prompt.get(at..))
                        .unwrap_or(""),
                );
                State::Header
            }
        };
        Reasoning {
            format: self,
            state,
            held,
            said: [false; 2],
        }
    }
}

/// What one push lets out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Text of the reasoning.
    pub reasoning: String,
    /// Text of the answer.
    pub answer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space so far.
    Front,
    Reasoning,
    /// Behind the reasoning, before the answer's first word; `opened` when its opening tag has been.
    Behind {
        opened: bool,
    },
    /// The answer; `close` where its closing tag is still to come.
    Answer {
        close: bool,
    },
    Header,
    Body {
        reasoning: bool,
    },
}

/// Parts one answer as it comes. Holds back only what may be the beginning of a tag, and white space at a border.
#[derive(Debug, Clone)]
pub struct Reasoning {
    format: ReasoningFormat,
    state: State,
    held: String,
    /// Whether reasoning and answer have any text yet.
    said: [bool; 2],
}

impl Reasoning {
    /// The format it looks for.
    #[must_use]
    pub fn format(&self) -> ReasoningFormat {
        self.format
    }

    /// Whether all text so far has been let out or dropped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes the next text and gives what is certain.
    pub fn push(&mut self, text: &str) -> Parts {
        self.held.push_str(text);
        let mut out = Parts::default();
        while self.step(&mut out) {}
        out
    }

    /// Ends the stream: what was held back is text after all.
    pub fn finish(&mut self) -> Parts {
        let rest = std::mem::take(&mut self.held);
        let mut out = Parts::default();
        match self.state {
            State::Reasoning => self.say(true, rest.trim_end(), &mut out),
            State::Body { reasoning } => self.say(reasoning, &rest, &mut out),
            // A header without its message says nothing.
            State::Header if self.in_header(&rest) => {}
            State::Behind { .. } => self.say(false, rest.trim_start(), &mut out),
            State::Front | State::Answer { .. } | State::Header => {
                self.say(false, &rest, &mut out);
            }
        }
        out
    }

    /// One change of state; false when more text is needed.
    fn step(&mut self, out: &mut Parts) -> bool {
        match (self.format.0, self.state) {
            (Family::Tags(t), State::Front) => self.front(*t, out),
            (Family::Tags(t), State::Behind { opened }) => self.behind(*t, opened),
            (Family::Tags(t), State::Reasoning) => {
                if !self.said[0] {
                    self.skip_space();
                }
                let Some(at) = self.held.find(t.close) else {
                    self.let_out(true, overlap(&self.held, t.close), true, out);
                    return false;
                };
                let text = self.cut(at, t.close.len());
                self.say(true, text.trim_end(), out);
                self.go(State::Behind { opened: false })
            }
            (Family::Tags(t), State::Answer { close: true }) => {
                let Some(at) = self.held.find(t.answer_close) else {
                    self.let_out(false, overlap(&self.held, t.answer_close), true, out);
                    return false;
                };
                let text = self.cut(at, t.answer_close.len());
                self.say(false, text.trim_end(), out);
                self.go(State::Answer { close: false })
            }
            (Family::Harmony, State::Header) => self.header(),
            (Family::Harmony, State::Body { reasoning }) => self.body(reasoning, out),
            _ => {
                self.let_out(false, 0, false, out);
                false
            }
        }
    }

    fn front(&mut self, t: Tags, out: &mut Parts) -> bool {
        let text = self.held.trim_start();
        for (tag, next) in [
            (t.open, State::Reasoning),
            (t.answer_open, State::Behind { opened: true }),
        ] {
            if let Some(rest) = text.strip_prefix(tag).filter(|_| !tag.is_empty()) {
                self.held = rest.to_owned();
                return self.go(next);
            }
        }
        if t.open.starts_with(text) || t.answer_open.starts_with(text) {
            return false;
        }
        self.let_out(false, 0, false, out);
        self.go(State::Answer { close: false })
    }

    fn behind(&mut self, t: Tags, opened: bool) -> bool {
        self.skip_space();
        if self.held.is_empty() {
            return false;
        }
        if !opened && !t.answer_open.is_empty() {
            if let Some(rest) = self.held.strip_prefix(t.answer_open) {
                self.held = rest.to_owned();
                return self.go(State::Behind { opened: true });
            }
            if t.answer_open.starts_with(&self.held) {
                return false;
            }
        }
        let expected = opened || t.answer_open.is_empty();
        self.go(State::Answer {
            close: expected && !t.answer_close.is_empty(),
        })
    }

    /// Whether `text` may still become a header.
    fn in_header(&self, text: &str) -> bool {
        let text = text.trim_start();
        text.len() <= HEADER
            && HEADERS
                .iter()
                .any(|h| h.starts_with(text) || text.starts_with(h))
    }

    fn header(&mut self) -> bool {
        if !self.in_header(&self.held) {
            return self.go(State::Body { reasoning: false });
        }
        let Some(at) = self.held.find(MESSAGE) else {
            return false;
        };
        let header = self.cut(at, MESSAGE.len());
        let reasoning = header.contains("<|channel|>analysis");
        // Messages of one part are paragraphs.
        if self.said[usize::from(!reasoning)] {
            self.held.insert_str(0, "\n\n");
        }
        self.go(State::Body { reasoning })
    }

    fn body(&mut self, reasoning: bool, out: &mut Parts) -> bool {
        let marks = || ENDS.iter().chain(&HEADERS);
        let found = marks().filter_map(|mark| Some((self.held.find(mark)?, mark)));
        if let Some((at, mark)) = found.min_by_key(|(at, _)| *at) {
            let dropped = if ENDS.contains(mark) { mark.len() } else { 0 };
            let text = self.cut(at, dropped);
            self.say(reasoning, &text, out);
            return self.go(State::Header);
        }
        let keep = marks().map(|mark| overlap(&self.held, mark)).max();
        self.let_out(reasoning, keep.unwrap_or(0), false, out);
        false
    }

    fn go(&mut self, state: State) -> bool {
        self.state = state;
        true
    }

    fn skip_space(&mut self) {
        let space = self.held.len() - self.held.trim_start().len();
        self.held.drain(..space);
    }

    /// Takes the held text before `at` and drops `length` bytes there.
    fn cut(&mut self, at: usize, length: usize) -> String {
        let rest = self
            .held
            .split_off(at.saturating_add(length).min(self.held.len()));
        let mut text = std::mem::replace(&mut self.held, rest);
        text.truncate(at);
        text
    }

    /// Lets go of the held text but its last `keep` bytes, and but white space before them where that may be a border.
    fn let_out(&mut self, reasoning: bool, keep: usize, border: bool, out: &mut Parts) {
        let mut end = self.held.len().saturating_sub(keep);
        if border {
            end = self.held.get(..end).map_or(0, |text| text.trim_end().len());
        }
        let text = self.cut(end, 0);
        self.say(reasoning, &text, out);
    }

    fn say(&mut self, reasoning: bool, text: &str, out: &mut Parts) {
        if text.is_empty() {
            return;
        }
        self.said[usize::from(!reasoning)] = true;
        let part = if reasoning {
            &mut out.reasoning
        } else {
            &mut out.answer
        };
        part.push_str(text);
    }
}
