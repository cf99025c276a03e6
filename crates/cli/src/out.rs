//! Writing to standard output and standard error without ever panicking: a closed pipe is a quiet end.

use std::io::{self, IsTerminal as _, Write};

use crate::error::Error;

/// Standard output. A reader that went away is [`Error::ClosedPipe`], which ends the program with code 0.
pub struct Out {
    inner: Box<dyn Write>,
    /// Whether people read it directly.
    pub terminal: bool,
    filter: ControlFilter,
}

impl Out {
    /// The process's standard output.
    pub fn stdout() -> Out {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Out {
            inner: Box::new(stdout.lock()),
            terminal,
            filter: ControlFilter::default(),
        }
    }

    #[cfg(test)]
    pub fn to(inner: Box<dyn Write>, terminal: bool) -> Out {
        Out {
            inner,
            terminal,
            filter: ControlFilter::default(),
        }
    }

    /// One line of our own text.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// One JSON object as one line, sent at once.
    pub fn json(&mut self, value: &serde_json::Value) -> Result<(), Error> {
        self.line(&value.to_string())?;
        self.flush()
    }

    /// Text that a model wrote: a terminal gets it without control sequences, a pipe gets it as it is.
    pub fn model_text(&mut self, text: &str) -> Result<(), Error> {
        if self.terminal {
            let clean = self.filter.push(text);
            self.bytes(clean.as_bytes())?;
        } else {
            self.bytes(text.as_bytes())?;
        }
        self.flush()
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.inner.write_all(bytes).map_err(Error::stdout)
    }

    /// Sends what is buffered.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.inner.flush().map_err(Error::stdout)
    }
}

/// A line on standard error; nobody listening is not an error.
pub fn note(text: &str) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// As [`note`], dimmed where the terminal shows colours.
pub fn dim(text: &str) {
    if stderr_colour() {
        note(&format!("\x1b[2m{text}\x1b[0m"));
    } else {
        note(text);
    }
}

/// Colours only on a terminal, and never when `NO_COLOR` is set to anything (no-color.org).
pub fn stderr_colour() -> bool {
    io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|v| v != "dumb")
}

/// `error[CODE]: what` and `help: what to do` on standard error.
pub fn report(error: &Error) {
    let (red, bold, off) = if stderr_colour() {
        ("\x1b[1;31m", "\x1b[1m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    // File names and metadata reach messages, so a hostile file could otherwise drive the terminal.
    let clean = |s: String| ControlFilter::default().push(&s);
    note(&format!(
        "{red}error[{}]{off}: {}",
        error.code(),
        clean(error.to_string())
    ));
    let help = error.help();
    if !help.is_empty() {
        note(&format!("{bold}help{off}: {}", clean(help)));
    }
}

/// Removes terminal control: C0 but newline and tab, DEL, C1, and whole escape sequences (CSI, OSC, DCS, ...), also
/// where a sequence is spread over several pieces.
#[derive(Debug, Default)]
pub struct ControlFilter {
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// Inside ESC [ ... until a byte 0x40..=0x7e.
    Csi,
    /// Inside OSC, DCS, SOS, PM or APC until BEL or ESC \.
    Str,
    /// After ESC inside such a string.
    StrEscape,
}

impl ControlFilter {
    /// The printable part of `text`.
    pub fn push(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            self.state = match self.state {
                State::Text => match c {
                    '\n' | '\t' => {
                        out.push(c);
                        State::Text
                    }
                    '\x1b' => State::Escape,
                    '\u{9b}' => State::Csi,
                    '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => State::Str,
                    c if c.is_control() => State::Text,
                    c => {
                        out.push(c);
                        State::Text
                    }
                },
                State::Escape => match c {
                    '[' => State::Csi,
                    ']' | 'P' | 'X' | '^' | '_' => State::Str,
                    // Intermediate bytes of a longer sequence such as ESC ( B.
                    ' '..='/' => State::Escape,
                    '\n' => {
                        out.push(c);
                        State::Text
                    }
                    _ => State::Text,
                },
                State::Csi => match c {
                    // A newline cannot be part of a sequence: an unfinished one must not eat the rest of the answer.
                    '\n' => {
                        out.push(c);
                        State::Text
                    }
                    '\u{40}'..='\u{7e}' => State::Text,
                    _ => State::Csi,
                },
                State::Str => match c {
                    '\n' => {
                        out.push(c);
                        State::Text
                    }
                    '\x07' | '\u{9c}' => State::Text,
                    '\x1b' => State::StrEscape,
                    _ => State::Str,
                },
                State::StrEscape => {
                    if c == '\\' {
                        State::Text
                    } else {
                        State::Str
                    }
                }
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&str]) -> String {
        let mut f = ControlFilter::default();
        pieces.iter().map(|p| f.push(p)).collect()
    }

    #[test]
    fn control_sequences_are_removed_and_text_is_kept() {
        assert_eq!(clean(&["a\x1b[31mred\x1b[0m\tb\nc"]), "ared\tb\nc");
        assert_eq!(
            clean(&["\x1b]0;title\x07x", "\x1b]8;;http://e\x1b\\y"]),
            "xy"
        );
        assert_eq!(clean(&["a\x08\r\x7f\u{9b}2Jb\u{85}"]), "ab");
        assert_eq!(clean(&["Ünïcode 🙂 日本"]), "Ünïcode 🙂 日本");
    }

    #[test]
    fn a_sequence_split_over_tokens_is_removed() {
        assert_eq!(clean(&["a\x1b", "[", "3", "1", "mb"]), "ab");
        assert_eq!(clean(&["\x1b]52;c;", "AAAA", "\x1b", "\\ok"]), "ok");
    }

    #[test]
    fn an_unfinished_sequence_ends_at_the_newline() {
        assert_eq!(clean(&["\x1b[12\nstill here"]), "\nstill here");
        assert_eq!(clean(&["\x1b]oops\nstill here"]), "\nstill here");
    }
}
