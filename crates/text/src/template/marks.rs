//! Marks around the texts of a conversation, to be found again in what a template makes of it.

use std::ops::{Range, RangeInclusive};

use serde_json::{Map, Value};

use crate::chat::Message;
use crate::template::python;

/// Where marks are taken from: letters without case, which no method of a text changes or escapes, and which hardly any
/// text holds.
const HIEROGLYPHS: RangeInclusive<char> = '\u{13000}'..='\u{1342E}';

/// What a request wrote and a template reads.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    pub(super) tools: Option<Vec<Value>>,
}

/// A text on its way to a template.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Role of the message it is in; `None` in a tool definition.
    role: Option<&'a str>,
    /// The field it is the value of, or in a list of.
    field: &'a str,
    text: &'a str,
}

impl Place<'_> {
    /// A message's own words, rather than an identifier or part of a schema.
    fn prose(self) -> bool {
        self.role.is_some()
            && matches!(
                self.field,
                "content" | "reasoning_content" | "reasoning" | "thinking"
            )
    }

    /// Nothing but an identifier: templates compare such texts, and hardly any control token fits into one.
    fn identifier(self) -> bool {
        self.text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    }
}

/// Which texts get marks.
type Choice = fn(Place<'_>) -> bool;

/// From the most that can be marked to the least. Templates compare the kinds of things; they look into earlier answers
/// for reasoning to cut, and seldom into anything else.
pub(super) const CHOICES: &[Choice] = &[
    |p| p.field != "type",
    |p| p.prose() || !p.identifier(),
    |p| (p.prose() || !p.identifier()) && p.role != Some("assistant"),
    |p| p.prose(),
    |p| p.prose() && p.role != Some("assistant"),
];

/// A conversation with marks.
pub(super) struct Marked {
    pub(super) conversation: Conversation,
    /// Its texts without marks, names of fields and roles included.
    pub(super) unmarked: Vec<String>,
    open: char,
    close: char,
}

impl Conversation {
    /// Marks what `choice` takes; `None` if no characters are left that occur nowhere in the texts.
    pub(super) fn marked(&self, text: &str, others: &[String], choice: Choice) -> Option<Marked> {
        let strings = self.strings();
        let free =
            |c: &char| !text.contains(*c) && !strings.iter().chain(others).any(|s| s.contains(*c));
        let mut found = HIEROGLYPHS.filter(free);
        let (open, close) = (found.next()?, found.next()?);
        let mut conversation = self.clone();
        let mut unmarked = Vec::new();
        conversation.visit(&mut |part| {
            let marked = match part {
                Part::Text(place) if choice(place) => mark(place.text, open, close),
                Part::Text(_) | Part::Name(_) => None,
            };
            if marked.is_none() {
                unmarked.push(part.text().to_owned());
            }
            marked
        });
        Some(Marked {
            conversation,
            unmarked,
            open,
            close,
        })
    }

    /// Every text, names of fields and roles included.
    pub(super) fn strings(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.clone().visit(&mut |part| {
            found.push(part.text().to_owned());
            None
        });
        found
    }

    fn visit(&mut self, each: &mut impl FnMut(Part<'_>) -> Option<String>) {
        for message in &mut self.messages {
            let role = message.role().to_owned();
            each(Part::Name(&role));
            for (field, value) in message.fields_mut().iter_mut() {
                each(Part::Name(field));
                if field != "role" {
                    walk(value, Some(&role), field, each);
                }
            }
        }
        for tool in self.tools.iter_mut().flatten() {
            walk(tool, None, "tools", each);
        }
    }
}

/// What a walk through a conversation comes by.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    /// A field's name or a role: these are never changed.
    Name(&'a str),
    Text(Place<'a>),
}

impl<'a> Part<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Name(text) => text,
            Self::Text(place) => place.text,
        }
    }
}

/// Every text of `objects`, names of fields included.
pub(super) fn strings(objects: &Map<String, Value>, found: &mut Vec<String>) {
    walk(&mut Value::Object(objects.clone()), None, "", &mut |part| {
        found.push(part.text().to_owned());
        None
    });
}

/// Shows `each` every text, and puts what it gives in the text's place.
fn walk(
    value: &mut Value,
    role: Option<&str>,
    field: &str,
    each: &mut impl FnMut(Part<'_>) -> Option<String>,
) {
    match value {
        Value::String(text) => {
            if let Some(new) = each(Part::Text(Place { role, field, text })) {
                *text = new;
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(item, role, field, each);
            }
        }
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                each(Part::Name(name));
                walk(inner, role, name, each);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with a mark at each end, inside its white space; `None` if there is nothing else.
fn mark(text: &str, open: char, close: char) -> Option<String> {
    let inner = python::strip(text, None, true, true);
    if inner.is_empty() {
        return None;
    }
    let start = text.len() - python::strip(text, None, true, false).len();
    let (before, rest) = text.split_at(start);
    let (inner, after) = rest.split_at(inner.len());
    Some(format!("{before}{open}{inner}{close}{after}"))
}

impl Marked {
    /// A rendering without its marks, and the ranges they enclosed; `None` if they do not alternate.
    pub(super) fn unmark(&self, rendered: &str) -> Option<(String, Vec<Range<usize>>)> {
        let mut text = String::with_capacity(rendered.len());
        let mut ranges = Vec::new();
        let mut start = None;
        for c in rendered.chars() {
            if c == self.open {
                if start.replace(text.len()).is_some() {
                    return None;
                }
            } else if c == self.close {
                ranges.push(start.take()?..text.len());
            } else {
                text.push(c);
            }
        }
        start.is_none().then_some((text, ranges))
    }
}
