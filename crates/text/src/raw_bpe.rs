//! Byte-pair encoding over characters, not byte stand-ins, as `gemma4` vocabularies have it: spaces are U+2581, words
//! end at line feeds only, and what is no token falls back to byte tokens.

use crate::error::Error;
use crate::merges;
use crate::merging::{Rule, merge};
use crate::spm::{ByteTokens, mergeable};
use crate::unicode::{code_points, push_utf8};
use crate::vocab::{Kind, Vocab};

#[derive(Debug)]
pub(crate) struct RawBpe {
    bytes: ByteTokens,
    /// (left, right), its place in the file's list, union: ascending.
    rules: Vec<((u32, u32), u32, u32)>,
}

impl RawBpe {
    /// `merges` are lines `left right`, best first. Rules about control tokens are dropped: plain text never becomes one.
    pub(crate) fn new(vocab: &Vocab, merges: &[&[u8]]) -> Result<Self, Error> {
        let mut rules = Vec::with_capacity(merges.len());
        for (rank, rule) in (0u32..).zip(merges::parse(vocab, merges)?) {
            let rule = rule?;
            let plain = [rule.left, rule.right, rule.union].into_iter().all(|id| {
                vocab
                    .kind(id)
                    .is_some_and(|kind| !kind.is_control() && kind != Kind::Byte)
            });
            if plain {
                rules.push(((rule.left, rule.right), rank, rule.union));
            }
        }
        rules.sort_unstable();
        // The first of two equal rules counts, as in llama.cpp.
        rules.dedup_by_key(|(pair, ..)| *pair);
        Ok(Self {
            bytes: ByteTokens::new(vocab)?,
            rules,
        })
    }

    /// Appends the ids of `text`, which holds no special tokens and has its spaces already as U+2581.
    pub(crate) fn encode(&self, vocab: &Vocab, text: &[u8], out: &mut Vec<u32>) {
        let code_points = code_points(text);
        for word in code_points.chunk_by(|&a, &b| (a == LINE_FEED) == (b == LINE_FEED)) {
            let mut bytes = Vec::with_capacity(word.len());
            for &c in word {
                push_utf8(c, &mut |b| bytes.push(b));
            }
            if word.first() == Some(&LINE_FEED)
                && let Some(id) = mergeable(vocab, &bytes)
            {
                out.push(id);
                continue;
            }
            merge(&bytes, &mut ByRank { vocab, bpe: self }, |symbol| {
                self.bytes.push(symbol.id, symbol.of(&bytes), out);
            });
        }
    }
}

const LINE_FEED: u32 = 0x0A;

struct ByRank<'a> {
    vocab: &'a Vocab,
    bpe: &'a RawBpe,
}

impl Rule for ByRank<'_> {
    fn character(&self, text: &[u8]) -> Option<u32> {
        mergeable(self.vocab, text)
    }

    fn union(&mut self, left: Option<u32>, right: Option<u32>, _: &[u8]) -> Option<(u32, f32)> {
        let pair = (left?, right?);
        let rules = &self.bpe.rules;
        let found = rules.binary_search_by_key(&pair, |(pair, ..)| *pair).ok()?;
        let &(_, rank, union) = rules.get(found)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "ranks stay below four million, f32 is exact to sixteen"
        )]
        Some((union, 1.0 - rank as f32))
    }
}
