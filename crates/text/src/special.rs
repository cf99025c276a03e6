//! Cutting control and user-defined tokens out of a text before the rest is tokenized.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::error::Error;
use crate::vocab::{Kind, Vocab};

/// A part of a text: raw bytes still to be tokenized, or a token already found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment<'a> {
    Text(&'a [u8]),
    Token(u32),
}

/// Finds one group of tokens: leftmost first, longest at a place, in time linear in the text.
///
/// llama.cpp searches longest token first over the whole text instead, which is quadratic; the two differ only where
/// two different tokens overlap without one beginning where the other does.
#[derive(Debug)]
struct Finder {
    automaton: AhoCorasick,
    ids: Vec<u32>,
}

impl Finder {
    fn new(vocab: &Vocab, wanted: impl Fn(Kind) -> bool) -> Result<Option<Self>, Error> {
        let (ids, texts): (Vec<u32>, Vec<&[u8]>) = vocab
            .iter()
            .filter(|(_, _, kind)| wanted(*kind))
            .map(|(id, text, _)| (id, text))
            .unzip();
        if ids.is_empty() {
            return Ok(None);
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&texts)
            .map_err(|e| Error::Vocab(format!("special tokens: {e}")))?;
        Ok(Some(Self { automaton, ids }))
    }

    /// Calls `each` with (start, end, id) of every token in `range` of `text`; `end` is behind swallowed white space.
    fn find(
        &self,
        vocab: &Vocab,
        text: &[u8],
        range: Range<usize>,
        each: &mut impl FnMut(usize, usize, u32),
    ) {
        let mut at = range.start;
        while let Some(rest) = text.get(at..range.end) {
            let Some(found) = self.automaton.find(rest) else {
                return;
            };
            let Some(&id) = self.ids.get(found.pattern().as_usize()) else {
                return;
            };
            let mut end = at + found.end();
            if vocab.swallows_space.contains(&id) {
                let after = text.get(end..range.end).unwrap_or_default();
                // The white space of C's `isspace`.
                end += after
                    .iter()
                    .take_while(|b| matches!(b, b' ' | b'\t'..=b'\r'))
                    .count();
            }
            each(at + found.start(), end, id);
            at = end;
        }
    }
}

fn push_text<'a>(text: &'a [u8], range: Range<usize>, out: &mut Vec<Fragment<'a>>) {
    if let Some(part) = text.get(range).filter(|part| !part.is_empty()) {
        out.push(Fragment::Text(part));
    }
}

/// The tokens that are found by their text, in two groups.
#[derive(Debug)]
pub(crate) struct SpecialTokens {
    /// Control and unknown tokens: only in text that may hold them.
    control: Option<Finder>,
    /// User-defined tokens: in every text.
    user_defined: Option<Finder>,
}

impl SpecialTokens {
    pub(crate) fn new(vocab: &Vocab) -> Result<Self, Error> {
        Ok(Self {
            control: Finder::new(vocab, Kind::is_control)?,
            user_defined: Finder::new(vocab, |kind| kind == Kind::UserDefined)?,
        })
    }

    /// Every control token's text in `text`, with its range.
    pub(crate) fn control_in(
        &self,
        vocab: &Vocab,
        text: &[u8],
        each: &mut impl FnMut(Range<usize>, u32),
    ) {
        if let Some(control) = &self.control {
            control.find(vocab, text, 0..text.len(), &mut |start, end, id| {
                each(start..end, id);
            });
        }
    }

    /// `text` in fragments. `trusted` are the ranges where control tokens may be recognised: ascending, disjoint,
    /// on the same text. A control token must lie wholly inside one of them.
    pub(crate) fn split<'a>(
        &self,
        vocab: &Vocab,
        text: &'a [u8],
        trusted: &[Range<usize>],
    ) -> Vec<Fragment<'a>> {
        let mut found = Vec::new();
        // Start of the raw text not yet handed on: it runs across range borders, so that words are not cut there.
        let mut open = 0;
        if let Some(control) = &self.control {
            for range in trusted {
                control.find(vocab, text, range.clone(), &mut |start, end, id| {
                    push_text(text, open..start, &mut found);
                    found.push(Fragment::Token(id));
                    open = end;
                });
            }
        }
        push_text(text, open..text.len(), &mut found);

        let Some(user_defined) = &self.user_defined else {
            return found;
        };
        let mut out = Vec::with_capacity(found.len());
        for fragment in found {
            let Fragment::Text(raw) = fragment else {
                out.push(fragment);
                continue;
            };
            let mut open = 0;
            user_defined.find(vocab, raw, 0..raw.len(), &mut |start, end, id| {
                push_text(raw, open..start, &mut out);
                out.push(Fragment::Token(id));
                open = end;
            });
            push_text(raw, open..raw.len(), &mut out);
        }
        out
    }
}
