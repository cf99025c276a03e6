//! A model's reasoning on standard error, dimmed, for somebody who watches: standard output holds the answer only.

use std::io::{self, IsTerminal as _, Write as _};

use crate::out::{ControlFilter, stderr_colour};

/// Shows reasoning as it comes. What cannot be written is not worth an error.
pub struct Thinking {
    /// Whether a person sees standard error.
    watched: bool,
    colour: bool,
    filter: ControlFilter,
    /// Reasoning has been shown, and no answer yet.
    open: bool,
}

impl Thinking {
    pub fn stderr() -> Self {
        Self {
            watched: io::stderr().is_terminal(),
            colour: stderr_colour(),
            filter: ControlFilter::default(),
            open: false,
        }
    }

    /// More reasoning.
    pub fn show(&mut self, text: &str) {
        let bytes = self.reasoning(text);
        write(&bytes);
    }

    /// The answer begins, or nothing more comes.
    pub fn end(&mut self) {
        let bytes = self.border();
        write(bytes);
    }

    fn reasoning(&mut self, text: &str) -> String {
        if !self.watched || text.is_empty() {
            return String::new();
        }
        self.open = true;
        let clean = self.filter.push(text);
        // Each piece for itself: an interrupted program leaves no dim terminal behind.
        if self.colour {
            format!("\x1b[2m{clean}\x1b[0m")
        } else {
            clean
        }
    }

    fn border(&mut self) -> &'static str {
        if std::mem::take(&mut self.open) {
            "\n\n"
        } else {
            ""
        }
    }
}

fn write(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes());
    let _ = err.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dim_for_a_person_and_nothing_for_a_file() {
        let mut shown = Thinking {
            watched: true,
            colour: true,
            filter: ControlFilter::default(),
            open: false,
        };
        assert_eq!(shown.border(), "");
        assert_eq!(shown.reasoning("a\x1b[31mb"), "\x1b[2mab\x1b[0m");
        assert_eq!(shown.reasoning(""), "");
        assert_eq!((shown.border(), shown.border()), ("\n\n", ""));
        shown.colour = false;
        assert_eq!(shown.reasoning("c"), "c");
        let mut file = Thinking {
            watched: false,
            ..shown
        };
        file.open = false;
        assert_eq!((file.reasoning("a"), file.border()), (String::new(), ""));
    }
}
