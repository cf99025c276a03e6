//! Merging neighbours of a text, best pair first: what SentencePiece and byte-pair encoding share.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::vocab::MAX_TOKEN_BYTES;

/// One piece of the text while pieces merge. `length` 0: it was merged into the piece on its left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    pub(crate) start: usize,
    pub(crate) length: usize,
    pub(crate) id: Option<u32>,
    previous: Option<usize>,
    next: Option<usize>,
}

impl Symbol {
    /// Its bytes.
    pub(crate) fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start..self.start + self.length)
            .unwrap_or_default()
    }
}

/// The rule of an encoding: what merges into what, and how good that is.
pub(crate) trait Rule {
    /// The token of a character.
    fn character(&self, text: &[u8]) -> Option<u32>;
    /// The token that two neighbours merge into, and its score; `union` is their text.
    fn union(&mut self, left: Option<u32>, right: Option<u32>, union: &[u8]) -> Option<(u32, f32)>;
}

/// Two neighbours that merge. Greatest first: best score, then leftmost.
#[derive(Debug, Clone, Copy)]
struct Pair {
    score: f32,
    left: Reverse<usize>,
    right: usize,
    length: usize,
    id: u32,
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Pair {}
impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        // Scores hold neither NaN nor -0, so the total order is the order by value.
        self.score
            .total_cmp(&other.score)
            .then(self.left.cmp(&other.left))
            .then(self.length.cmp(&other.length))
    }
}

/// Merges the characters of `text` until nothing merges, and calls `emit` with each piece that is left, in order.
pub(crate) fn merge(text: &[u8], rule: &mut impl Rule, emit: impl FnMut(&Symbol)) {
    let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some(&lead) = text.get(start) {
        let announced = match lead {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => 1,
        };
        let length = announced.min(text.len() - start);
        let i = symbols.len();
        symbols.push(Symbol {
            start,
            length,
            id: text
                .get(start..start + length)
                .and_then(|t| rule.character(t)),
            previous: i.checked_sub(1),
            next: Some(i + 1),
        });
        start += length;
    }
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }
    let mut merging = Merging {
        text,
        symbols,
        queue: BinaryHeap::new(),
        rule,
    };
    merging.run();
    merging
        .symbols
        .iter()
        .filter(|s| s.length > 0)
        .for_each(emit);
}

/// The state of one encoding.
struct Merging<'a, R> {
    text: &'a [u8],
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Pair>,
    rule: &'a mut R,
}

impl<R: Rule> Merging<'_, R> {
    fn run(&mut self) {
        for right in 1..self.symbols.len() {
            self.offer(Some(right - 1), Some(right));
        }
        while let Some(pair) = self.queue.pop() {
            let Reverse(left) = pair.left;
            let (Some(&l), Some(&r)) = (self.symbols.get(left), self.symbols.get(pair.right))
            else {
                continue;
            };
            // One of the two has changed since the pair was offered.
            if l.length == 0 || r.length == 0 || l.length + r.length != pair.length {
                continue;
            }
            if let Some(symbol) = self.symbols.get_mut(left) {
                symbol.length = pair.length;
                symbol.id = Some(pair.id);
                symbol.next = r.next;
            }
            if let Some(symbol) = self.symbols.get_mut(pair.right) {
                symbol.length = 0;
            }
            if let Some(after) = r.next.and_then(|i| self.symbols.get_mut(i)) {
                after.previous = Some(left);
            }
            self.offer(l.previous, Some(left));
            self.offer(Some(left), r.next);
        }
    }

    /// Queues two neighbours if they merge.
    fn offer(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else {
            return;
        };
        let (Some(&l), Some(&r)) = (self.symbols.get(left), self.symbols.get(right)) else {
            return;
        };
        let length = l.length + r.length;
        if length > MAX_TOKEN_BYTES {
            return;
        }
        let Some(union) = self.text.get(l.start..l.start + length) else {
            return;
        };
        if let Some((id, score)) = self.rule.union(l.id, r.id, union) {
            self.queue.push(Pair {
                score,
                left: Reverse(left),
                right,
                length,
                id,
            });
        }
    }
}
