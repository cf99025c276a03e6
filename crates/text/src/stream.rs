//! Token ids to text as they come: only whole characters leave.

use crate::tokenizer::{EncodeOptions, Tokenizer};

/// Turns a stream of ids into text. A character whose bytes lie in several tokens is held until it is whole.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    tokenizer: Tokenizer,
    /// At most three bytes: the beginning of a character.
    held: Vec<u8>,
    /// Control tokens that give their text.
    shown: Vec<u32>,
}

impl StreamDecoder {
    /// An empty stream.
    #[must_use]
    pub fn new(tokenizer: &Tokenizer) -> Self {
        Self {
            tokenizer: tokenizer.clone(),
            held: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Shows the control tokens of these texts, where the vocabulary has such.
    #[must_use]
    pub fn showing(mut self, texts: &[&str]) -> Self {
        let options = EncodeOptions {
            add_special: false,
            parse_special: true,
        };
        for text in texts {
            if let [id] = self.tokenizer.encode(text, options)[..] {
                self.shown.push(id);
            }
        }
        self
    }

    /// The text that became whole with this id, if any. Control tokens and ids outside the vocabulary give nothing.
    /// Bytes that can begin no character leave as U+FFFD.
    pub fn push(&mut self, id: u32) -> Option<String> {
        if !self.tokenizer.is_control(id) || self.shown.contains(&id) {
            self.held
                .extend_from_slice(self.tokenizer.piece(id).unwrap_or_default());
        }
        let whole = self.held.len() - incomplete_suffix(&self.held);
        if whole == 0 {
            return None;
        }
        let ready: Vec<u8> = self.held.drain(..whole).collect();
        Some(String::from_utf8_lossy(&ready).into_owned())
    }

    /// Ends the stream: U+FFFD if a character was cut, else nothing. The stream is empty again.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

/// Length of the longest suffix (0 to 3 bytes) that is the beginning of a UTF-8 character and not all of it.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => return 0,
            Err(e) => match e.error_len() {
                None => return rest.len() - e.valid_up_to(),
                Some(n) => rest = rest.get(e.valid_up_to() + n..).unwrap_or_default(),
            },
        }
    }
}
