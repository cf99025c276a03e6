//! Splitting text into words before byte-pair merging, by the name in `tokenizer.ggml.pre`.

mod engine;
mod names;
mod patterns;
mod ranges;

use engine::Stage;
pub(crate) use names::{by_name, supported};

/// A pre-tokenizer: its pattern and what else its name implies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PreTokenizer {
    stages: &'static [Stage],
    /// A whole word that is a token is that token, whatever the merges say.
    pub(crate) ignore_merges: bool,
    /// Whether a beginning-of-sequence token is added when the file does not say.
    pub(crate) add_bos: bool,
}

impl PreTokenizer {
    /// Calls `word` with each word of `text` in order; together they are the text.
    pub(crate) fn split(self, text: &[u32], word: &mut impl FnMut(&[u32])) {
        if !text.is_empty() {
            engine::split(self.stages, text, word);
        }
    }
}

#[cfg(test)]
mod tests;
