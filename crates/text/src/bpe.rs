//! Byte-level byte-pair encoding. The merging is the `tokenizers` crate's; words are cut by [`crate::pretokenize`].

use std::collections::{HashMap, HashSet};

use tokenizers::Model;
use tokenizers::models::bpe::BPE;

use crate::error::Error;
use crate::pretokenize::PreTokenizer;
use crate::unicode::{code_points, push_utf8};
use crate::vocab::{Vocab, encode_byte_level};

/// Most merge rules a file may have (the largest real list has about 515,000).
const MAX_MERGES: usize = 4_000_000;

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
        let bad = |line: usize, problem: String| Error::Merges {
            line: line as u64,
            problem,
        };
        if merges.is_empty() || merges.len() > MAX_MERGES {
            return Err(bad(
                0,
                format!("{} rules; want 1 to {MAX_MERGES}", merges.len()),
            ));
        }
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
        for (line, rule) in (1..).zip(merges) {
            // A space at the very start belongs to the left side.
            let cut = rule.iter().skip(1).position(|&b| b == b' ').map(|n| n + 1);
            let (left, right) = cut
                .and_then(|n| Some((rule.get(..n)?, rule.get(n + 1..)?)))
                .filter(|(left, right)| !left.is_empty() && !right.is_empty())
                .ok_or_else(|| {
                    bad(
                        line,
                        format!("\"{}\" is not two pieces with a space between", show(rule)),
                    )
                })?;
            let known = |piece: &[u8]| {
                vocab
                    .id(piece)
                    .ok_or_else(|| bad(line, format!("\"{}\" is not a token", show(piece))))
            };
            let pair = (known(left)?, known(right)?);
            known(&[left, right].concat())?;
            // The first of two equal rules counts, as in llama.cpp.
            if !seen.insert(pair) {
                continue;
            }
            if let (Ok(left), Ok(right)) = (std::str::from_utf8(left), std::str::from_utf8(right)) {
                let merged = [left, right].concat();
                if [left, right, &merged]
                    .into_iter()
                    .all(|piece| mergeable.contains_key(piece))
                {
                    rules.push((left.to_owned(), right.to_owned()));
                }
            }
        }
        let model = BPE::builder()
            .vocab_and_merges(mergeable.into_iter().collect::<Vocabulary>(), rules)
            .ignore_merges(pre.ignore_merges)
            // Its cache lives in the thread for ever, keyed by model: a program that changes models would leak.
            .cache_capacity(0)
            .build()
            .map_err(|e| bad(0, e.to_string()))?;
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

fn show(piece: &[u8]) -> String {
    String::from_utf8_lossy(piece).escape_debug().to_string()
}
