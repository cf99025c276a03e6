//! The chat: reads messages and commands, keeps the conversation. Knows neither terminal nor engine.

use chord_text::Message;

use super::run::message;
use crate::error::{Error, exit};
use crate::out::{Out, dim, note, report};

/// What came from the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D.
    End,
}

/// Where lines come from.
pub trait Lines {
    fn read(&mut self, prompt: &str) -> Result<Input, Error>;
    /// Adds a whole message to the history.
    fn remember(&mut self, message: &str);
}

/// An answer that was already written out.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub text: String,
    /// The reasoning before it; the template decides what the model sees of it later.
    pub reasoning: String,
    /// Why it ended early.
    pub why: Option<String>,
    /// Its speed, for people.
    pub figures: String,
}

/// Who answers.
pub trait Model {
    fn answer(&mut self, messages: &[Message], out: &mut Out) -> Result<Answer, Error>;
    fn clear(&mut self);
    fn stats(&self) -> Vec<String>;
}

const HELP: &str = "\
/clear          forget the conversation
/system [TEXT]  show the instructions, or set them and begin a new conversation
/stats          figures of the last answer and of the model
/help           this list
/exit           leave (also Ctrl-D, or Ctrl-C twice)
A line that ends in \\ goes on in the next; \"\"\" begins and ends a message of several lines.
Ctrl-C while an answer is being written stops the answer.";

const PROMPT: &str = "> ";
const MORE: &str = ". ";

/// Talks until the user leaves.
pub fn chat(
    lines: &mut dyn Lines,
    model: &mut dyn Model,
    out: &mut Out,
    system: Option<String>,
) -> Result<(), Error> {
    let begin = |system: &Option<String>| {
        system
            .iter()
            .map(|s| message("system", s.as_str()))
            .collect::<Vec<_>>()
    };
    let mut system = system;
    let mut messages = begin(&system);
    let mut figures = None;
    let mut interrupted = false;
    loop {
        let text = match read_message(lines)? {
            Input::End => return Ok(()),
            Input::Interrupted if interrupted => return Ok(()),
            Input::Interrupted => {
                interrupted = true;
                note("(Ctrl-C again or Ctrl-D leaves)");
                continue;
            }
            Input::Line(text) => text,
        };
        interrupted = false;
        let trimmed = text.trim();
        if trimmed.is_empty() {
            continue;
        }
        lines.remember(&text);
        if let Some(command) = trimmed.strip_prefix('/') {
            let (name, rest) = command
                .split_once(char::is_whitespace)
                .unwrap_or((command, ""));
            match name {
                "exit" | "quit" => return Ok(()),
                "help" => note(HELP),
                "clear" => {
                    messages = begin(&system);
                    figures = None;
                    model.clear();
                    note("conversation forgotten");
                }
                "system" if rest.trim().is_empty() => match &system {
                    Some(s) => note(s),
                    None => note("no instructions set; the model's template may bring its own"),
                },
                "system" => {
                    system = Some(rest.trim().to_owned());
                    messages = begin(&system);
                    figures = None;
                    model.clear();
                    note("instructions set; new conversation");
                }
                "stats" => {
                    note(figures.as_deref().unwrap_or("no answer yet"));
                    model.stats().iter().for_each(|line| note(line));
                }
                other => note(&format!("unknown command /{other}; /help lists them")),
            }
            continue;
        }
        messages.push(message("user", text));
        match model.answer(&messages, out) {
            Ok(answer) => {
                if !answer.text.ends_with('\n') {
                    out.line("")?;
                    out.flush()?;
                }
                if let Some(why) = &answer.why {
                    note(why);
                }
                dim(&answer.figures);
                figures = Some(answer.figures);
                let answered = message("assistant", answer.text);
                messages.push(answered.with_text("reasoning_content", &answer.reasoning));
            }
            // What the message itself causes leaves the conversation as it was; a lost device ends it.
            Err(e) if e.exit_code() == exit::USAGE || matches!(e, Error::Text(_)) => {
                messages.pop();
                report(&e);
            }
            Err(e) => return Err(e),
        }
    }
}

/// One message, of several lines where the user asks for that.
fn read_message(lines: &mut dyn Lines) -> Result<Input, Error> {
    let first = match lines.read(PROMPT)? {
        Input::Line(line) => line,
        other => return Ok(other),
    };
    let mut text = String::new();
    if let Some(rest) = first.trim_start().strip_prefix("\"\"\"") {
        let mut line = rest.to_owned();
        loop {
            if let Some(end) = line.trim_end().strip_suffix("\"\"\"") {
                text.push_str(end);
                return Ok(Input::Line(text));
            }
            text.push_str(&line);
            text.push('\n');
            line = match lines.read(MORE)? {
                Input::Line(line) => line,
                other => return Ok(other),
            };
        }
    }
    let mut line = first;
    loop {
        match line.strip_suffix('\\') {
            Some(part) => {
                text.push_str(part);
                text.push('\n');
            }
            None => {
                text.push_str(&line);
                return Ok(Input::Line(text));
            }
        }
        line = match lines.read(MORE)? {
            Input::Line(line) => line,
            other => return Ok(other),
        };
    }
}

#[cfg(test)]
#[path = "repl_tests.rs"]
mod tests;
