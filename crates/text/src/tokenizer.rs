//! Text to token ids and back.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use chord_gguf::Directory;

use crate::bpe::ByteLevelBpe;
use crate::error::Error;
use crate::pretokenize;
use crate::raw_bpe::RawBpe;
use crate::spec::VocabSpec;
use crate::special::{Fragment, SpecialTokens};
use crate::spm::SentencePiece;
use crate::vocab::{Scheme, Vocab};

/// What [`Tokenizer::encode`] adds and recognises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add the beginning- and end-of-sequence tokens the model wants.
    pub add_special: bool,
    /// Recognise control tokens by their text. Never for text that comes from outside.
    pub parse_special: bool,
}

/// A stretch of text and whether control tokens are recognised in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'a> {
    /// The text.
    pub text: &'a str,
    /// Whether a control token's text means the token.
    pub parse_special: bool,
}

/// A model's tokenizer, equal to llama.cpp's. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    vocab: Vocab,
    special: SpecialTokens,
    encoder: Encoder,
    name: String,
    add_bos: bool,
    add_eos: bool,
    /// SentencePiece: a space goes before text at the start and after a special token.
    add_space_prefix: bool,
}

#[derive(Debug)]
enum Encoder {
    ByteLevel(Box<ByteLevelBpe>),
    SentencePiece(SentencePiece),
    Raw(RawBpe),
}

impl Tokenizer {
    /// The tokenizer of a file.
    ///
    /// # Errors
    /// Those of [`VocabSpec::from_directory`] and [`Tokenizer::new`].
    pub fn from_directory(d: &Directory) -> Result<Self, Error> {
        Self::new(&VocabSpec::from_directory(d)?)
    }

    /// The tokenizer of a vocabulary.
    ///
    /// # Errors
    /// `E_TOKENIZER`, `E_PRETOKENIZER`: not supported (nothing is guessed); `E_VOCAB`, `E_VOCAB_LEN`, `E_TOKEN_ID`,
    /// `E_MERGES`: it contradicts itself; `E_META_MISSING`: a part is absent.
    pub fn new(spec: &VocabSpec<'_>) -> Result<Self, Error> {
        let missing = |key: &str| Error::MetaMissing { key: key.into() };
        let (vocab, encoder, name, add_bos, add_space_prefix) = match spec.model.as_str() {
            "gpt2" => {
                let name = spec
                    .pre
                    .as_deref()
                    .ok_or_else(|| Error::PreTokenizer("missing".into()))?;
                let pre =
                    pretokenize::by_name(name).ok_or_else(|| Error::PreTokenizer(name.into()))?;
                let vocab = Vocab::new(spec, Scheme::ByteLevel)?;
                let merges = spec
                    .merges
                    .as_ref()
                    .ok_or_else(|| missing("tokenizer.ggml.merges"))?;
                let bpe = ByteLevelBpe::new(&vocab, merges, pre)?;
                (
                    vocab,
                    Encoder::ByteLevel(Box::new(bpe)),
                    format!("gpt2/{name}"),
                    pre.add_bos,
                    false,
                )
            }
            "llama" => {
                let vocab = Vocab::new(spec, Scheme::SentencePiece)?;
                if vocab.scores.is_empty() {
                    return Err(missing("tokenizer.ggml.scores"));
                }
                let spm = SentencePiece::new(&vocab)?;
                (
                    vocab,
                    Encoder::SentencePiece(spm),
                    "llama".into(),
                    true,
                    spec.add_space_prefix.unwrap_or(true),
                )
            }
            "gemma4" => {
                let vocab = Vocab::new(spec, Scheme::SentencePiece)?;
                let merges = spec
                    .merges
                    .as_ref()
                    .ok_or_else(|| missing("tokenizer.ggml.merges"))?;
                let bpe = RawBpe::new(&vocab, merges)?;
                let prefix = spec.add_space_prefix.unwrap_or(false);
                (vocab, Encoder::Raw(bpe), "gemma4".into(), true, prefix)
            }
            other => return Err(Error::TokenizerModel(other.into())),
        };
        // Gemma 4 needs it, whatever its file says.
        let add_bos = spec.add_bos.unwrap_or(add_bos) || spec.model == "gemma4";
        let add_eos = spec.add_eos.unwrap_or(false);
        for (wanted, id, end) in [(add_bos, vocab.bos, "bos"), (add_eos, vocab.eos, "eos")] {
            if wanted && id.is_none() {
                return Err(Error::TokenId {
                    key: format!("tokenizer.ggml.{end}_token_id"),
                    problem: format!("absent, although the model adds {end} to every text"),
                });
            }
        }
        let special = SpecialTokens::new(&vocab)?;
        Ok(Self(Arc::new(Inner {
            vocab,
            special,
            encoder,
            name,
            add_bos,
            add_eos,
            add_space_prefix,
        })))
    }

    /// The ids of a text.
    #[must_use]
    pub fn encode(&self, text: &str, opts: EncodeOptions) -> Vec<u32> {
        self.encode_bytes(text.as_bytes(), opts)
    }

    /// The ids of bytes. Where they are not UTF-8, a byte-level vocabulary sees U+FFFD for each stray byte and a
    /// SentencePiece one its byte tokens.
    #[must_use]
    pub fn encode_bytes(&self, bytes: &[u8], opts: EncodeOptions) -> Vec<u32> {
        let whole = 0..bytes.len();
        let mut out = Vec::new();
        if opts.add_special && self.0.add_bos {
            out.extend(self.bos());
        }
        self.encode_trusted(
            bytes,
            if opts.parse_special {
                std::slice::from_ref(&whole)
            } else {
                &[]
            },
            &mut out,
        );
        if opts.add_special && self.0.add_eos {
            out.extend(self.eos());
        }
        out
    }

    /// The ids of consecutive stretches of one text, without bos or eos. Words run across the borders: the ids are those
    /// of the joined text, except that a control token is recognised only inside a stretch that allows it.
    #[must_use]
    pub fn encode_spans(&self, spans: &[Span<'_>]) -> Vec<u32> {
        let mut text = String::new();
        let mut trusted: Vec<Range<usize>> = Vec::new();
        for span in spans {
            let start = text.len();
            text.push_str(span.text);
            if !span.parse_special || span.text.is_empty() {
                continue;
            }
            match trusted.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = text.len(),
                None => trusted.push(start..text.len()),
            }
        }
        let mut out = Vec::new();
        self.encode_trusted(text.as_bytes(), &trusted, &mut out);
        out
    }

    fn encode_trusted(&self, text: &[u8], trusted: &[Range<usize>], out: &mut Vec<u32>) {
        let inner = &*self.0;
        let mut after_special = true;
        for fragment in inner.special.split(&inner.vocab, text, trusted) {
            match (fragment, &inner.encoder) {
                (Fragment::Token(id), _) => out.push(id),
                (Fragment::Text(raw), Encoder::ByteLevel(bpe)) => bpe.encode(raw, out),
                (Fragment::Text(raw), Encoder::SentencePiece(spm)) => {
                    let prefix = inner.add_space_prefix && after_special;
                    spm.encode(&inner.vocab, &escape_spaces(raw, prefix), out);
                }
                // A prefix, where the file asks for one, is llama.cpp's to take off again, not to add.
                (Fragment::Text(raw), Encoder::Raw(bpe)) => {
                    bpe.encode(&inner.vocab, &escape_spaces(raw, false), out);
                }
            }
            after_special = matches!(fragment, Fragment::Token(_));
        }
    }

    /// Where `text` has the text of a control token that also occurs in one of `sources`: ascending, disjoint.
    pub(crate) fn control_texts(&self, text: &str, sources: &[String]) -> Vec<Range<usize>> {
        let inner = &*self.0;
        let mut seen = BTreeSet::new();
        for source in sources {
            inner
                .special
                .control_in(&inner.vocab, source.as_bytes(), &mut |_, id| {
                    seen.insert(id);
                });
        }
        let mut found = Vec::new();
        inner
            .special
            .control_in(&inner.vocab, text.as_bytes(), &mut |range, id| {
                if seen.contains(&id) {
                    found.push(range);
                }
            });
        found
    }

    /// The bytes a token stands for; control tokens give their text. `None` outside the vocabulary.
    #[must_use]
    pub fn piece(&self, id: u32) -> Option<&[u8]> {
        self.0.vocab.piece(id)
    }

    /// The text of ids, U+FFFD where the bytes are not UTF-8. `special`: control tokens give their text, else nothing.
    /// A SentencePiece model's prefix space is taken off the first token again. Unknown ids give nothing.
    #[must_use]
    pub fn decode(&self, ids: &[u32], special: bool) -> String {
        let mut bytes = Vec::new();
        for (i, &id) in ids.iter().enumerate() {
            let piece = self
                .piece(id)
                .filter(|_| special || !self.is_control(id))
                .unwrap_or_default();
            let prefixed = i == 0 && self.0.add_space_prefix;
            bytes.extend_from_slice(
                piece
                    .strip_prefix(b" ")
                    .filter(|_| prefixed)
                    .unwrap_or(piece),
            );
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Number of tokens.
    #[must_use]
    pub fn n_vocab(&self) -> u32 {
        self.0.vocab.len()
    }

    /// Beginning of sequence.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.0.vocab.bos
    }

    /// End of sequence.
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.0.vocab.eos
    }

    /// Whether a token is a control token (or the unknown token): it has no text of its own.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.0.vocab.kind(id).is_some_and(|kind| kind.is_control())
    }

    /// The ids that end a generation, ascending: eos, eot, eom and known texts, as llama.cpp derives them.
    #[must_use]
    pub fn eog(&self) -> &[u32] {
        &self.0.vocab.eog
    }

    /// Whether the model wants a beginning-of-sequence token.
    #[must_use]
    pub fn add_bos(&self) -> bool {
        self.0.add_bos
    }

    /// Whether the model wants an end-of-sequence token.
    #[must_use]
    pub fn add_eos(&self) -> bool {
        self.0.add_eos
    }

    /// For people, e.g. `gpt2/smollm, 49152 tokens`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}, {} tokens", self.0.name, self.n_vocab())
    }
}

/// Spaces become U+2581, with one more in front if `prefix`.
fn escape_spaces(text: &[u8], prefix: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 3);
    for &b in prefix.then_some(&b' ').into_iter().chain(text) {
        match b {
            b' ' => out.extend_from_slice("\u{2581}".as_bytes()),
            _ => out.push(b),
        }
    }
    out
}
