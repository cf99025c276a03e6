//! Byte-level byte-pair encoding. The merging is the `tokenizers` crate's; words are cut by [`crate::pretokenize`].

use std::collections::{HashMap, HashSet};

use tokenizers::Model;
use tokenizers::models::bpe::BPE;

use crate::error::Error;
use crate::merges;
use crate::pretokenize::PreTokenizer;
use crate::unicode::{code_points, push_utf8};
use crate::vocab::{Vocab, encode_byte_level};

#[derive(Debug)]
pub(crate) struct ByteLevelBpe {
    model: BPE,
    pre: PreTokenizer,
    /// The bytes that are no token. They give no ids, and nothing merges across them.
    missing: Vec<u8>,
}

impl ByteLevelBpe {
    /// `merges` are lines `left right`, best first.
    ///
    /// Control tokens stay out of the merging vocabulary, and rules about them are dropped: plain text never becomes one.
    pub(crate) fn new(vocab: &Vocab, merges: &[&[u8]], pre: PreTokenizer) -> Result<Self, Error> {
        let mut mergeable: HashMap<String, u32> = HashMap::new();
        for (id, text, kind) in vocab.iter() {
            if !kind.is_control()
                && let Ok(text) = std::str::from_utf8(text)
            {
                mergeable.insert(text.to_owned(), id);
            }
        }

        let missing = (0u8..=255)
            .filter(|&b| !mergeable.contains_key(&encode_byte_level([b])))
            .collect();

        let mut rules = Vec::new();
        let mut seen = HashSet::new();
        for rule in merges::parse(vocab, merges)? {
            let rule = rule?;
            // The first of two equal rules counts, as in llama.cpp.
            if !seen.insert((rule.left, rule.right)) {
                continue;
            }
            let text = |id: u32| {
                vocab
                    .text(id)
                    .and_then(|text| std::str::from_utf8(text).ok())
                    .filter(|text| mergeable.contains_key(*text))
            };
            if let (Some(left), Some(right), Some(_)) =
                (text(rule.left), text(rule.right), text(rule.union))
            {
                rules.push((left.to_owned(), right.to_owned()));
            }
        }
        let model = BPE::builder()
            .vocab_and_merges(mergeable.into_iter().collect::<Vocabulary>(), rules)
            .ignore_merges(pre.ignore_merges)
            // Its cache lives in the thread for ever, keyed by model: a program that changes models would leak.
            .cache_capacity(0)
            .build()
            .map_err(|e| merges::bad(0, e.to_string()))?;
        Ok(Self {
            model,
            pre,
            missing,
        })
    }

    /// Appends the ids of `text`, which holds no special tokens.
    pub(crate) fn encode(&self, text: &[u8], out: &mut Vec<u32>) {
        self.pre.split(&code_points(text), &mut |word| {
            let mut bytes = Vec::with_capacity(word.len());
            for &c in word {
                push_utf8(c, &mut |b| bytes.push(b));
            }
            for part in bytes.split(|b| self.missing.contains(b)) {
                // Fails only for a missing unknown token or a dropout, and this model has neither.
                if let Ok(tokens) = self
                    .model
                    .tokenize(&encode_byte_level(part.iter().copied()))
                {
                    out.extend(tokens.iter().map(|t| t.id));
                }
            }
        });
    }
}

type Vocabulary = tokenizers::models::bpe::Vocab;
