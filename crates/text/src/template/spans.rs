//! Which parts of a rendered text the request wrote, so that control tokens are not recognised there.
//!
//! The conversation is rendered a second time with a mark at each end of every text in its messages and tool definitions
//! ([`super::marks`]). Where that rendering without its marks is the first text, the marks say exactly what the request
//! wrote. The marks stand inside leading and trailing white space, so that templates may trim. A template that compares
//! a text or cuts it can come out differently: then fewer texts are marked. For texts that no mark surrounds (names of
//! fields and roles never have one) the rule is that no control token that occurs in any of them is recognised anywhere.
//! That can only lose a token the template wrote, never let one of the request's through.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::template::marks::{self, Conversation};
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

/// Finds the request's parts of `text`; `again` renders a changed conversation.
pub(super) fn trace(
    text: String,
    conversation: &Conversation,
    kwargs: &Map<String, Value>,
    again: impl Fn(&Conversation) -> Option<String>,
) -> Rendered {
    let mut fixed = Vec::new();
    marks::strings(kwargs, &mut fixed);
    for choice in marks::CHOICES {
        let Some(marked) = conversation.marked(&text, &fixed, *choice) else {
            break;
        };
        let found = again(&marked.conversation).and_then(|rendered| marked.unmark(&rendered));
        if let Some((_, ranges)) = found.filter(|(plain, _)| *plain == text) {
            let spans = cover(text.len(), ranges);
            let mut suspects = marked.unmarked;
            suspects.append(&mut fixed);
            return Rendered {
                text,
                spans,
                suspects,
            };
        }
    }
    let spans = cover(text.len(), []);
    let mut suspects = conversation.strings();
    suspects.append(&mut fixed);
    Rendered {
        text,
        spans,
        suspects,
    }
}
