//! Which parts of a rendered text the messages wrote, so that control tokens are not recognised there.
//!
//! The conversation is rendered a second time with a mark at each end of every message's content. Where that text
//! without its marks is the first text, the marks say exactly what the messages wrote. The marks stand inside leading
//! and trailing white space, so that templates may trim. A template that looks at the content's first words, or cuts
//! it, can come out differently: then the rule is that no control token whose text occurs in any message is recognised
//! anywhere. That can only lose a token the template wrote, never let one of a message's through. The same rule guards
//! against a role, which no mark surrounds.

use std::ops::Range;

use crate::template::Message;
use crate::tokenizer::{Span, Tokenizer};

/// A rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Ranges that cover the text in order.
    pub spans: Vec<RenderedSpan>,
    /// What the messages wrote that no span marks.
    suspects: Vec<String>,
}

/// Part of a rendered text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedSpan {
    /// Byte range in the text.
    pub range: Range<usize>,
    /// A message wrote it; else the template did.
    pub from_user: bool,
}

impl Rendered {
    /// The ids. Control tokens are recognised only where the template wrote them. The beginning-of-sequence token is
    /// added if the model wants one and the template has not written it.
    #[must_use]
    pub fn encode(&self, tok: &Tokenizer) -> Vec<u32> {
        let guarded;
        let spans = if self.suspects.is_empty() {
            &self.spans
        } else {
            let mut ranges = tok.control_texts(&self.text, &self.suspects);
            ranges.extend(
                self.spans
                    .iter()
                    .filter(|s| s.from_user)
                    .map(|s| s.range.clone()),
            );
            guarded = cover(self.text.len(), merged(ranges));
            &guarded
        };
        let spans: Vec<Span<'_>> = spans
            .iter()
            .filter_map(|s| {
                Some(Span {
                    text: self.text.get(s.range.clone())?,
                    parse_special: !s.from_user,
                })
            })
            .collect();
        let mut ids = tok.encode_spans(&spans);
        if let Some(bos) = tok
            .bos()
            .filter(|bos| tok.add_bos() && ids.first() != Some(bos))
        {
            ids.insert(0, bos);
        }
        ids
    }
}

/// Spans over `length` bytes of which `from_user` (ascending, disjoint) came from messages.
fn cover(length: usize, from_user: impl IntoIterator<Item = Range<usize>>) -> Vec<RenderedSpan> {
    let mut spans = Vec::new();
    let mut push = |range: Range<usize>, from_user| {
        if !range.is_empty() {
            spans.push(RenderedSpan { range, from_user });
        }
    };
    let mut at = 0;
    for range in from_user {
        push(at..range.start, false);
        at = range.end;
        push(range, true);
    }
    push(at..length, false);
    spans
}

/// Ascending and disjoint: ranges that touch or overlap become one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|r| r.start);
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match out.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => out.push(range),
        }
    }
    out
}

/// Finds the messages' parts of `text`; `again` renders changed messages.
pub(super) fn trace(
    text: String,
    messages: &[Message],
    again: impl Fn(&[Message]) -> Option<String>,
) -> Rendered {
    // Templates cut the reasoning out of earlier answers more than anything else: then only the answers are suspect.
    let everyone = |_: &Message| true;
    let not_answers = |m: &Message| m.role != "assistant";
    for wanted in [&everyone as &dyn Fn(&Message) -> bool, &not_answers] {
        let found = marks(&text, messages).and_then(|(open, close)| {
            let mark_wanted = |m: &Message| {
                if wanted(m) {
                    mark(m, open, close)
                } else {
                    m.clone()
                }
            };
            let marked: Vec<Message> = messages.iter().map(mark_wanted).collect();
            unmark(&again(&marked)?, open, close)
        });
        if let Some((_, ranges)) = found.filter(|(plain, _)| *plain == text) {
            let suspects = messages
                .iter()
                .flat_map(|m| {
                    [
                        (!wanted(m)).then(|| m.content.clone()),
                        Some(m.role.clone()),
                    ]
                })
                .flatten()
                .collect();
            let spans = cover(text.len(), ranges);
            return Rendered {
                text,
                spans,
                suspects,
            };
        }
    }
    let spans = cover(text.len(), []);
    let suspects = messages
        .iter()
        .flat_map(|m| [m.content.clone(), m.role.clone()])
        .collect();
    Rendered {
        text,
        spans,
        suspects,
    }
}

/// Two private-use characters that occur nowhere else.
fn marks(text: &str, messages: &[Message]) -> Option<(char, char)> {
    let free = |c: &char| {
        !text.contains(*c)
            && messages
                .iter()
                .all(|m| !m.content.contains(*c) && !m.role.contains(*c))
    };
    let mut found = ('\u{E000}'..='\u{F8FF}').filter(free);
    Some((found.next()?, found.next()?))
}

fn mark(message: &Message, open: char, close: char) -> Message {
    let text = message.content.as_str();
    let inner = text.trim();
    if inner.is_empty() {
        return message.clone();
    }
    let start = text.len() - text.trim_start().len();
    let (before, rest) = text.split_at(start);
    let (inner, after) = rest.split_at(inner.len());
    Message {
        role: message.role.clone(),
        content: format!("{before}{open}{inner}{close}{after}"),
    }
}

/// The text without marks and the ranges they enclosed; `None` if they do not alternate.
fn unmark(marked: &str, open: char, close: char) -> Option<(String, Vec<Range<usize>>)> {
    let mut text = String::with_capacity(marked.len());
    let mut ranges = Vec::new();
    let mut start = None;
    for c in marked.chars() {
        if c == open {
            if start.replace(text.len()).is_some() {
                return None;
            }
        } else if c == close {
            ranges.push(start.take()?..text.len());
        } else {
            text.push(c);
        }
    }
    start.is_none().then_some((text, ranges))
}
