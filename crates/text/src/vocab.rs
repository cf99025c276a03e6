//! The validated vocabulary: token texts, kinds, pieces, and the ids with a meaning.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::known_tokens::check_special_ids;
use crate::spec::VocabSpec;
use crate::text_index::TextIndex;
use crate::unicode::{byte_to_char, char_to_byte, code_points, push_utf8};

/// Longest token text, in bytes. Real vocabularies stay under 1,100.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 << 10;
/// Most bytes of control and user-defined token texts together: they become one search automaton.
const MAX_SPECIAL_BYTES: usize = 4 << 20;

/// How a vocabulary writes bytes in token texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Every byte has a printable stand-in (GPT-2).
    ByteLevel,
    /// Spaces are U+2581, stray bytes are tokens `<0x00>` to `<0xFF>` (SentencePiece).
    SentencePiece,
}

/// What a token is, after llama.cpp's corrections by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Undefined,
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    fn from_type(token_type: i32) -> Option<Self> {
        Some(match token_type {
            0 => Self::Undefined,
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }

    /// Never the result of tokenizing plain text.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Control | Self::Unknown)
    }
}

/// Byte strings end to end, by index.
#[derive(Debug, Default)]
struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    fn push(&mut self, s: &[u8]) {
        self.bytes.extend_from_slice(s);
        self.ends.push(self.bytes.len());
    }

    fn of(&self, id: u32) -> Option<&[u8]> {
        let i = usize::try_from(id).ok()?;
        let end = *self.ends.get(i)?;
        let start = i
            .checked_sub(1)
            .and_then(|j| self.ends.get(j))
            .copied()
            .unwrap_or(0);
        self.bytes.get(start..end)
    }
}

#[derive(Debug)]
pub(crate) struct Vocab {
    pub(crate) scheme: Scheme,
    texts: Strings,
    pieces: Strings,
    pub(crate) kinds: Vec<Kind>,
    /// Empty when the file has no scores (all zero).
    pub(crate) scores: Vec<f32>,
    ids: TextIndex,
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) eog: Vec<u32>,
    /// Specials that swallow the white space that follows them (Phi-3's).
    pub(crate) swallows_space: BTreeSet<u32>,
}

impl Vocab {
    pub(crate) fn new(spec: &VocabSpec<'_>, scheme: Scheme) -> Result<Self, Error> {
        let n = spec.tokens.len();
        if n == 0 {
            return Err(Error::Vocab("no tokens".into()));
        }
        let n_vocab =
            u32::try_from(n).map_err(|_| length("tokenizer.ggml.tokens", n, u32::MAX as usize))?;
        for (what, found) in [
            ("tokenizer.ggml.scores", spec.scores.as_ref().map(Vec::len)),
            (
                "tokenizer.ggml.token_type",
                spec.types.as_ref().map(Vec::len),
            ),
        ] {
            if let Some(found) = found.filter(|&found| found != n) {
                return Err(length(what, found, n));
            }
        }
        let scores = match &spec.scores {
            None => Vec::new(),
            // Adding +0 turns -0 into +0, so that ordering by bits is ordering by value.
            Some(scores) => scores.iter().map(|s| s + 0.0).collect(),
        };
        if let Some(id) = scores.iter().position(|s| s.is_nan()) {
            return Err(Error::Vocab(format!(
                "the score of token {id} is not a number"
            )));
        }

        let mut texts = Strings::default();
        let mut ids = TextIndex::new(n);
        for (id, &text) in (0..n_vocab).zip(&spec.tokens) {
            if text.len() > MAX_TOKEN_BYTES {
                return Err(length("bytes of one token", text.len(), MAX_TOKEN_BYTES));
            }
            let stand_in;
            let text = if text.is_empty() {
                stand_in = format!("[EMPTY_{id}]").into_bytes();
                &stand_in
            } else {
                text
            };
            texts.push(text);
            if let Some(first) = ids.insert(text, id, |id| texts.of(id)) {
                return Err(Error::Vocab(format!(
                    "tokens {first} and {id} have the same text \"{}\"",
                    String::from_utf8_lossy(text).escape_debug()
                )));
            }
        }

        let mut kinds = vec![Kind::Normal; n];
        for (id, (kind, &t)) in kinds
            .iter_mut()
            .zip(spec.types.iter().flatten())
            .enumerate()
        {
            *kind = Kind::from_type(t)
                .ok_or_else(|| Error::Vocab(format!("token {id} has the unknown type {t}")))?;
        }

        let special = check_special_ids(&spec.special, n_vocab)?;
        let mut vocab = Self {
            scheme,
            texts,
            pieces: Strings::default(),
            kinds,
            scores,
            ids,
            bos: special.bos,
            eos: special.eos,
            eog: Vec::new(),
            swallows_space: BTreeSet::new(),
        };
        vocab.eog = vocab.correct_by_text(&special);
        vocab.check_special_bytes()?;
        vocab.make_pieces()?;
        if spec.name.as_deref().is_some_and(|name| {
            let name = name.to_lowercase();
            name.contains("phi-3") || name.contains("phi3")
        }) {
            vocab.swallow_space_after_specials();
        }
        Ok(vocab)
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.kinds.len()).unwrap_or(u32::MAX)
    }

    /// The token whose text is exactly `text`.
    pub(crate) fn id(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(text, |id| self.text(id))
    }

    /// The text as the file has it.
    pub(crate) fn text(&self, id: u32) -> Option<&[u8]> {
        self.texts.of(id)
    }

    /// The bytes a token stands for.
    pub(crate) fn piece(&self, id: u32) -> Option<&[u8]> {
        self.pieces.of(id)
    }

    pub(crate) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(usize::try_from(id).ok()?).copied()
    }

    pub(crate) fn score(&self, id: u32) -> f32 {
        usize::try_from(id)
            .ok()
            .and_then(|i| self.scores.get(i))
            .copied()
            .unwrap_or(0.0)
    }

    /// All (id, text, kind).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8], Kind)> {
        (0..self.len()).filter_map(|id| Some((id, self.text(id)?, self.kind(id)?)))
    }

    /// The id of the token that stands for one byte in a SentencePiece vocabulary.
    pub(crate) fn byte_id(&self, byte: u8) -> Option<u32> {
        self.id(format!("<0x{byte:02X}>").as_bytes())
            .or_else(|| self.id(&[byte]))
    }

    pub(crate) fn set_kind(&mut self, id: u32, kind: Kind) {
        if let Some(slot) = usize::try_from(id).ok().and_then(|i| self.kinds.get_mut(i)) {
            *slot = kind;
        }
    }

    fn check_special_bytes(&self) -> Result<(), Error> {
        let bytes = self
            .iter()
            .filter(|(_, _, kind)| kind.is_control() || *kind == Kind::UserDefined)
            .fold(0usize, |sum, (_, text, _)| sum.saturating_add(text.len()));
        if bytes > MAX_SPECIAL_BYTES {
            return Err(length(
                "bytes of control and user-defined tokens",
                bytes,
                MAX_SPECIAL_BYTES,
            ));
        }
        Ok(())
    }

    fn make_pieces(&mut self) -> Result<(), Error> {
        let mut pieces = Strings::default();
        let mut piece = Vec::new();
        for (id, text, kind) in self.iter() {
            piece.clear();
            match (kind, self.scheme) {
                (Kind::Control | Kind::Unknown | Kind::UserDefined, _) => {
                    piece.extend_from_slice(text);
                }
                (Kind::Normal, Scheme::ByteLevel) => decode_byte_level(text, &mut piece),
                (Kind::Normal, Scheme::SentencePiece) => unescape_spaces(text, &mut piece),
                (Kind::Byte, _) => piece.push(byte_of(text).ok_or_else(|| {
                    Error::Vocab(format!(
                        "byte token {id} is \"{}\", not <0x00> to <0xFF>",
                        String::from_utf8_lossy(text).escape_debug()
                    ))
                })?),
                (Kind::Unused | Kind::Undefined, _) => {}
            }
            pieces.push(&piece);
        }
        self.pieces = pieces;
        Ok(())
    }

    fn swallow_space_after_specials(&mut self) {
        let keep = ["<unk>", "<s>", "<|endoftext|>"];
        self.swallows_space = self
            .iter()
            .filter(|(_, text, kind)| {
                (kind.is_control() || *kind == Kind::UserDefined || *text == b"</s>")
                    && !keep.iter().any(|k| k.as_bytes() == *text)
            })
            .map(|(id, _, _)| id)
            .collect();
    }
}

fn length(what: &'static str, found: usize, want: usize) -> Error {
    Error::VocabLen {
        what,
        found: found as u64,
        want: want as u64,
    }
}

/// The text of a byte-level token back to bytes. A character that stands for no byte is shown as llama.cpp shows it.
fn decode_byte_level(text: &[u8], out: &mut Vec<u8>) {
    for c in code_points(text) {
        if let Some(byte) = char::from_u32(c).and_then(char_to_byte) {
            out.push(byte);
            continue;
        }
        out.extend_from_slice(b"[UNK_BYTE_0x");
        push_utf8(c, &mut |b| {
            out.extend_from_slice(format!("{b:02x}").as_bytes());
        });
        out.extend_from_slice(text);
        out.push(b']');
    }
}

const LOWER_ONE_EIGHTH_BLOCK: &[u8] = "\u{2581}".as_bytes();

fn unescape_spaces(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(LOWER_ONE_EIGHTH_BLOCK) {
            out.push(b' ');
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
}

fn byte_of(text: &[u8]) -> Option<u8> {
    let hex = text.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    if hex.len() != 2 || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

/// The text of a byte-level token for a byte string (the inverse of [`decode_byte_level`]).
pub(crate) fn encode_byte_level(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(byte_to_char).collect()
}
