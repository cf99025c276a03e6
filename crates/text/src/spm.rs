//! SentencePiece encoding of `llama`-model vocabularies: the pair whose union has the best score merges first.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use crate::error::Error;
use crate::vocab::{Kind, MAX_TOKEN_BYTES, Vocab};

/// Ids of the tokens `<0x00>` to `<0xFF>`.
#[derive(Debug)]
pub(crate) struct SentencePiece {
    bytes: Box<[u32; 256]>,
}

/// One piece of the text while pieces merge. `length` 0: it was merged into the piece on its left.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    start: usize,
    length: usize,
    id: Option<u32>,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours whose union is a token. Greatest first: best score, then leftmost.
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

impl SentencePiece {
    /// Refuses a vocabulary without a token for every byte: such text would have no ids.
    pub(crate) fn new(vocab: &Vocab) -> Result<Self, Error> {
        let mut bytes = Box::new([0u32; 256]);
        for (byte, slot) in (0u8..=255).zip(bytes.iter_mut()) {
            *slot = vocab
                .byte_id(byte)
                .ok_or_else(|| Error::Vocab(format!("no byte fallback token <0x{byte:02X}>")))?;
        }
        Ok(Self { bytes })
    }

    /// Appends the ids of `text`, which holds no special tokens and has its spaces already as U+2581.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        Merging::new(vocab, text).run(|symbol| match symbol.id {
            Some(id) => out.push(id),
            None => {
                let raw = text
                    .get(symbol.start..symbol.start + symbol.length)
                    .unwrap_or_default();
                out.extend(raw.iter().filter_map(|&b| self.bytes.get(usize::from(b))));
            }
        });
    }
}

/// The state of one encoding.
struct Merging<'a> {
    vocab: &'a Vocab,
    text: &'a [u8],
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Pair>,
    /// Union of two ids. Without it, pieces that grow one character at a time would hash their whole text each time.
    unions: HashMap<(u32, u32), Option<u32>>,
}

impl<'a> Merging<'a> {
    fn new(vocab: &'a Vocab, text: &'a [u8]) -> Self {
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
            let id = text
                .get(start..start + length)
                .and_then(|t| mergeable(vocab, t));
            symbols.push(Symbol {
                start,
                length,
                id,
                previous: i.checked_sub(1),
                next: Some(i + 1),
            });
            start += length;
        }
        if let Some(last) = symbols.last_mut() {
            last.next = None;
        }
        Self {
            vocab,
            text,
            symbols,
            queue: BinaryHeap::new(),
            unions: HashMap::new(),
        }
    }

    fn run(mut self, mut emit: impl FnMut(&Symbol)) {
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
        self.symbols
            .iter()
            .filter(|s| s.length > 0)
            .for_each(&mut emit);
    }

    /// Queues two neighbours if their union is a token.
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
        let look_up = || {
            self.text
                .get(l.start..l.start + length)
                .and_then(|t| mergeable(self.vocab, t))
        };
        let union = match (l.id, r.id) {
            (Some(a), Some(b)) => *self.unions.entry((a, b)).or_insert_with(look_up),
            _ => look_up(),
        };
        if let Some(id) = union {
            self.queue.push(Pair {
                score: self.vocab.score(id),
                left: Reverse(left),
                right,
                length,
                id,
            });
        }
    }
}

/// The token of exactly this text, if plain text may become it: not a control token, and not a byte token, whose
/// text only names what it stands for.
fn mergeable(vocab: &Vocab, text: &[u8]) -> Option<u32> {
    vocab.id(text).filter(|&id| {
        vocab
            .kind(id)
            .is_some_and(|kind| !kind.is_control() && kind != Kind::Byte)
    })
}
