//! Text in and out of a model: tokenizers, streaming detokeniser, chat templates and stop strings, all from a GGUF
//! file's own metadata.
//!
//! In: a [`chord_gguf::Directory`] and text or messages. Out: token ids and text. This crate knows no files, clocks or
//! devices; nothing that a file or a message contains makes it panic.
#![forbid(unsafe_code)]

mod bpe;
mod chat;
mod classes;
mod error;
mod known_tokens;
mod merges;
mod merging;
mod pretokenize;
mod raw_bpe;
mod reasoning;
mod spec;
mod special;
mod spm;
mod stop;
mod stream;
mod template;
mod text_index;
mod tokenizer;
mod unicode;
mod vocab;

pub use chat::{ChatVariables, Message};
pub use error::{ChatError, Error, TemplateError};
pub use reasoning::{Parts, Reasoning, ReasoningFormat};
pub use spec::{SpecialIds, VocabSpec};
pub use stop::{StopEvent, StopStrings};
pub use stream::StreamDecoder;
pub use template::{ChatTemplate, CivilTime, RenderOptions, Rendered, RenderedSpan};
pub use tokenizer::{EncodeOptions, Span, Tokenizer};
