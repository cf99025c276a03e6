//! `run`: one answer, or a chat on a terminal.

use std::io::{IsTerminal as _, Read as _};

use chord_text::{ChatVariables, Message};

use super::answer::{self, Chat, Style};
use super::engine::{self, Needs};
use super::recovery::{Recovery, Reload};
use super::repl::{self, Answer, Model};
use super::template;
use super::terminal::Terminal;
use crate::args::{DeviceArg, RunArgs};
use crate::error::{Error, exit};
use crate::interrupt;
use crate::out::{Out, dim, note};
use chord_runtime::FinishReason;

/// What there is to answer.
#[derive(Debug, PartialEq, Eq)]
enum Input {
    Text(String),
    /// Somebody at a terminal.
    Person,
}

pub fn run(args: &RunArgs) -> Result<u8, Error> {
    // Before the model: reading a prompt takes no time, loading may take minutes.
    let input = input(args)?;
    let variables = template::variables(&args.template)?;
    let engine = engine::load(&args.model, &args.engine, Needs::default())?;
    let mut raw = args.raw;
    if !raw && engine.template().is_none() {
        raw = true;
        note("this model has no chat template: continuing the text as with --raw");
        if args.system.is_some() {
            return Err(Error::usage(
                "--system needs a chat template, and this model has none",
                "put the instructions into the prompt",
            ));
        }
        if variables != ChatVariables::default() {
            return Err(Error::usage(
                "--think, --no-think, --tools and --chat-template-kwarg need a chat template, and this model has none",
                "leave them out",
            ));
        }
    }
    let sampling = answer::sampling(&args.sampling, &engine.config().sampling);
    tracing::info!("sampling: {sampling:?}");
    let style = Style {
        raw,
        variables,
        sampling,
        stop: args.stop.clone(),
        max_tokens: args.max_tokens,
        json: args.json,
    };
    let chat = Chat::new(engine, style, recovery(args))?;
    let mut out = Out::stdout();
    match input {
        Input::Text(text) => once(chat, args.system.clone(), text, &mut out),
        Input::Person => {
            note("Type a message; /help lists commands, Ctrl-D leaves.");
            let mut person = Terminal::new()?;
            interrupt::chat_begins();
            repl::chat(
                &mut person,
                &mut LoadedModel(chat),
                &mut out,
                args.system.clone(),
            )?;
            Ok(exit::OK)
        }
    }
}

/// Where `--device` does not say otherwise, the CPU takes over from a GPU that is lost again and again.
fn recovery(args: &RunArgs) -> Recovery {
    let (model, engine) = (args.model.clone(), args.engine.clone());
    let cpu = engine.device == DeviceArg::Auto;
    let reload: Reload =
        Box::new(move |cpu| engine::load_again(&model, &engine, Needs::default(), cpu));
    Recovery::new(reload, cpu)
}

fn input(args: &RunArgs) -> Result<Input, Error> {
    match &args.prompt {
        Some(p) if p == "-" => Ok(Input::Text(stdin_text()?)),
        Some(p) => match p.to_str() {
            Some(text) => Ok(Input::Text(text.to_owned())),
            None => Err(Error::usage(
                "the prompt is not valid UTF-8",
                "convert it to UTF-8",
            )),
        },
        None if !std::io::stdin().is_terminal() => Ok(Input::Text(stdin_text()?)),
        None if args.json => Err(Error::usage(
            "--json needs a prompt",
            "give one as an argument, or - and standard input",
        )),
        None => Ok(Input::Person),
    }
}

/// Standard input without the newline that ends its last line.
fn stdin_text() -> Result<String, Error> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(Error::stdin)?;
    let mut text = String::from_utf8(bytes)
        .map_err(|_| Error::usage("standard input is not valid UTF-8", "convert it to UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// One message as the template wants it.
pub fn message(role: &str, content: impl Into<String>) -> Message {
    Message::new(role, content)
}

fn once(mut chat: Chat, system: Option<String>, text: String, out: &mut Out) -> Result<u8, Error> {
    let messages: Vec<Message> = system
        .map(|s| message("system", s))
        .into_iter()
        .chain([message("user", text)])
        .collect();
    let done = chat.answer(&messages, out)?;
    let engine = chat.engine()?;
    if chat.style.json {
        out.json(&answer::done_json(&done, engine.adapter(), chat.reason()))?;
    } else if !done.text.ends_with('\n') {
        out.line("")?;
        out.flush()?;
    }
    let answered = done.tokens.len();
    if let Some(why) = answer::ending(
        done.finish_reason,
        answered,
        chat.style.max_tokens,
        engine.context_length(),
    ) {
        note(&why);
    }
    dim(&answer::timings_line(&done.timings, answered));
    if done.finish_reason == FinishReason::Cancelled {
        Err(Error::Interrupted)
    } else {
        Ok(exit::OK)
    }
}

/// The loaded model as the chat sees it.
struct LoadedModel(Chat);

impl Model for LoadedModel {
    fn answer(&mut self, messages: &[Message], out: &mut Out) -> Result<Answer, Error> {
        let done = self.0.answer(messages, out)?;
        let why = answer::ending(
            done.finish_reason,
            done.tokens.len(),
            self.0.style.max_tokens,
            self.0.engine()?.context_length(),
        );
        Ok(Answer {
            figures: answer::timings_line(&done.timings, done.tokens.len()),
            text: done.text,
            reasoning: done.reasoning,
            why,
        })
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn stats(&self) -> Vec<String> {
        let Ok(engine) = self.0.engine() else {
            return Vec::new();
        };
        let counters = engine.counters();
        let mut lines = vec![
            engine::device_line(engine, self.0.reason()),
            format!(
                "context: {} of {} tokens used",
                self.0.held(),
                engine.context_length()
            ),
            format!(
                "device memory: {}",
                super::figures::bytes(counters.gpu_bytes)
            ),
        ];
        lines.extend(
            engine
                .describe()
                .into_iter()
                .map(|(key, value)| format!("{key}: {value}")),
        );
        lines
    }
}
