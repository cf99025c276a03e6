//! How a text is cut into words: stages one after another, each a list of rules.
//!
//! Rules are data, not regular expressions: no backtracking limit on a mebibyte of spaces, and code points that `&str`
//! cannot hold. What a rule gives back is bounded by its own match, so every pattern in `patterns` takes linear time.

use crate::classes::{Class, class};

/// A set of code points: whole classes, with single ranges added and taken away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Set {
    pub(super) classes: u8,
    pub(super) plus: &'static [(u32, u32)],
    pub(super) minus: &'static [(u32, u32)],
}

impl Set {
    pub(super) const fn of(classes: u8) -> Self {
        Self {
            classes,
            plus: &[],
            minus: &[],
        }
    }

    /// Only these ranges. White space beyond ASCII is in no range, whatever its number: llama.cpp's general matcher
    /// sees a vertical tab in its place.
    pub(super) const fn ranges(plus: &'static [(u32, u32)]) -> Self {
        Self {
            classes: 0,
            plus,
            minus: &[],
        }
    }

    pub(super) const fn plus(self, plus: &'static [(u32, u32)]) -> Self {
        Self { plus, ..self }
    }

    pub(super) const fn minus(self, minus: &'static [(u32, u32)]) -> Self {
        Self { minus, ..self }
    }

    fn has(&self, c: u32) -> bool {
        let within = |ranges: &[(u32, u32)]| ranges.iter().any(|&(a, b)| a <= c && c <= b);
        let class = class(c);
        if self.classes & class as u8 != 0 {
            return !within(self.minus);
        }
        within(self.plus) && (c < 0x80 || class != Class::Space)
    }
}

/// A piece of a rule.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// `[set]{least,most}`: as many as the parts behind it allow.
    Run { set: Set, least: usize, most: usize },
    /// `'s|'t|'re|'ve|'m|'ll|'d`
    Contraction { any_case: bool, optional: bool },
    /// `\s+(?!\S)|\s+`: a run of spaces leaves its last one to the word that follows.
    Spaces,
}

pub(super) const fn one(set: Set) -> Part {
    exactly(1, set)
}

pub(super) const fn exactly(n: usize, set: Set) -> Part {
    Part::Run {
        set,
        least: n,
        most: n,
    }
}

/// `?`
pub(super) const fn maybe(set: Set) -> Part {
    Part::Run {
        set,
        least: 0,
        most: 1,
    }
}

/// `+`
pub(super) const fn some(set: Set) -> Part {
    up_to(usize::MAX, set)
}

/// `*`
pub(super) const fn any(set: Set) -> Part {
    Part::Run {
        set,
        least: 0,
        most: usize::MAX,
    }
}

/// `{1,n}`
pub(super) const fn up_to(n: usize, set: Set) -> Part {
    Part::Run {
        set,
        least: 1,
        most: n,
    }
}

/// Parts that match one after another.
pub(super) type Rule = &'static [Part];

/// One pass over the words that the stage before it left.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    /// From left to right, the first rule that matches at a place makes a word there; what lies between two such
    /// words is a word too.
    Find(&'static [Rule]),
    /// `\s+$`
    TrailingSpace,
    /// Runs of numbers in groups of three counted from their end. What stands before a run belongs to its first group,
    /// as in llama.cpp.
    ThreesFromTheRight,
}

/// Calls `word` with each word of `text` in order; together they are the text.
pub(super) fn split(stages: &[Stage], text: &[u32], word: &mut dyn FnMut(&[u32])) {
    match stages.split_first() {
        None => word(text),
        Some((stage, rest)) => stage.cut(text, &mut |part| split(rest, part, word)),
    }
}

impl Stage {
    fn cut(self, text: &[u32], word: &mut dyn FnMut(&[u32])) {
        let mut open = 0;
        let mut cut_at = |end: usize| {
            if let Some(part) = text.get(open..end).filter(|part| !part.is_empty()) {
                word(part);
                open = end;
            }
        };
        match self {
            Self::Find(rules) => {
                let mut at = 0;
                while at < text.len() {
                    match rules.iter().find_map(|rule| match_at(rule, text, at)) {
                        Some(end) if end > at => {
                            cut_at(at);
                            cut_at(end);
                            at = end;
                        }
                        _ => at += 1,
                    }
                }
            }
            Self::TrailingSpace => {
                let spaces = text.iter().rev().take_while(|&&c| is_space(c)).count();
                cut_at(text.len() - spaces);
            }
            Self::ThreesFromTheRight => {
                let mut at = 0;
                while at < text.len() {
                    let numbers = run(text, at, usize::MAX, |c| class(c) == Class::Number);
                    let end = at + numbers;
                    if numbers % 3 > 0 {
                        at += numbers % 3;
                        cut_at(at);
                    }
                    while at < end {
                        at += 3;
                        cut_at(at);
                    }
                    if numbers == 0 {
                        at += 1;
                    }
                }
            }
        }
        cut_at(text.len());
    }
}

fn is_space(c: u32) -> bool {
    matches!(class(c), Class::Space | Class::Newline)
}

/// How many code points from `at` on are wanted, at most `most`.
fn run(text: &[u32], at: usize, most: usize, want: impl Fn(u32) -> bool) -> usize {
    text.get(at..)
        .unwrap_or_default()
        .iter()
        .take(most)
        .take_while(|&&c| want(c))
        .count()
}

/// The end of `parts` matched from `at` on.
fn match_at(parts: &[Part], text: &[u32], at: usize) -> Option<usize> {
    let Some((part, rest)) = parts.split_first() else {
        return Some(at);
    };
    match *part {
        Part::Run { set, least, most } => {
            let found = run(text, at, most, |c| set.has(c));
            (least..=found)
                .rev()
                .find_map(|n| match_at(rest, text, at + n))
        }
        Part::Contraction { any_case, optional } => {
            let length = contraction(text.get(at..)?, any_case);
            match_at(rest, text, at + length.or(optional.then_some(0))?)
        }
        Part::Spaces => {
            let n = run(text, at, usize::MAX, is_space);
            let kept = usize::from(n > 1 && at + n < text.len());
            if n == 0 {
                return None;
            }
            match_at(rest, text, at + n - kept)
        }
    }
}

/// Length of `'s 't 'm 'd 're 've 'll` at the front, if there is one.
fn contraction(text: &[u32], any_case: bool) -> Option<usize> {
    let letter = |i: usize| {
        let c = u8::try_from(*text.get(i)?).ok()?;
        Some(if any_case { c.to_ascii_lowercase() } else { c })
    };
    if letter(0)? != b'\'' {
        return None;
    }
    match (letter(1)?, letter(2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}
