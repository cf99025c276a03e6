//! SentencePiece encoding of `llama`-model vocabularies: the pair whose union has the best score merges first.

use std::collections::HashMap;

use crate::error::Error;
use crate::merging::{Rule, merge};
use crate::vocab::{Kind, Vocab};

/// Ids of the tokens `<0x00>` to `<0xFF>`.
#[derive(Debug)]
pub(crate) struct ByteTokens(Box<[u32; 256]>);

impl ByteTokens {
    /// Refuses a vocabulary without a token for every byte: such text would have no ids.
    pub(crate) fn new(vocab: &Vocab) -> Result<Self, Error> {
        let mut bytes = Box::new([0u32; 256]);
        for (byte, slot) in (0u8..=255).zip(bytes.iter_mut()) {
            *slot = vocab
                .byte_id(byte)
                .ok_or_else(|| Error::Vocab(format!("no byte fallback token <0x{byte:02X}>")))?;
        }
        Ok(Self(bytes))
    }

    /// The id of `text`, or else those of its bytes.
    pub(crate) fn push(&self, id: Option<u32>, text: &[u8], out: &mut Vec<u32>) {
        match id {
            Some(id) => out.push(id),
            None => out.extend(text.iter().filter_map(|&b| self.0.get(usize::from(b)))),
        }
    }
}

#[derive(Debug)]
pub(crate) struct SentencePiece {
    bytes: ByteTokens,
}

impl SentencePiece {
    pub(crate) fn new(vocab: &Vocab) -> Result<Self, Error> {
        Ok(Self {
            bytes: ByteTokens::new(vocab)?,
        })
    }

    /// Appends the ids of `text`, which holds no special tokens and has its spaces already as U+2581.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        let mut rule = ByScore {
            vocab,
            unions: HashMap::new(),
        };
        merge(text, &mut rule, |symbol| {
            self.bytes.push(symbol.id, symbol.of(text), out);
        });
    }
}

struct ByScore<'a> {
    vocab: &'a Vocab,
    /// Union of two ids. Without it, pieces that grow one character at a time would hash their whole text each time.
    unions: HashMap<(u32, u32), Option<u32>>,
}

impl Rule for ByScore<'_> {
    fn character(&self, text: &[u8]) -> Option<u32> {
        mergeable(self.vocab, text)
    }

    fn union(&mut self, left: Option<u32>, right: Option<u32>, union: &[u8]) -> Option<(u32, f32)> {
        let look_up = || mergeable(self.vocab, union);
        let id = match (left, right) {
            (Some(a), Some(b)) => *self.unions.entry((a, b)).or_insert_with(look_up),
            _ => look_up(),
        }?;
        Some((id, self.vocab.score(id)))
    }
}

/// The token of exactly this text, if plain text may become it: not a control token, and not a byte token, whose
/// text only names what it stands for.
pub(crate) fn mergeable(vocab: &Vocab, text: &[u8]) -> Option<u32> {
    vocab.id(text).filter(|&id| {
        vocab
            .kind(id)
            .is_some_and(|kind| !kind.is_control() && kind != Kind::Byte)
    })
}
