//! Chat templates: the Jinja source in a file's metadata turns messages into the text the model was trained on.
//!
//! A template comes from an untrusted file, messages come from outside. The engine has no host objects and no loader;
//! steps, recursion, source, ranges, text and work are bounded ([`limits`]); a message cannot smuggle in control tokens
//! ([`spans`]).

mod frame;
mod functions;
mod guard;
mod limits;
mod marks;
mod python;
mod scanner;
mod slice;
mod source;
mod spans;
mod text;
mod words;

use std::sync::Arc;

use chord_gguf::{Directory, Value as MetaValue};
use minijinja::{Environment, ErrorKind, Value};

pub use functions::CivilTime;
pub use spans::{Rendered, RenderedSpan};

use crate::chat::Message;
use crate::error::{Error, TemplateError};
use guard::Budget;
use marks::Conversation;
use source::{Prepared, column_of, line_of, prepare};

/// The name under which the engine reports a template.
const NAME: &str = "chat_template";

/// A model's chat template.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    prepared: Prepared,
}

/// What a template sees besides the messages.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// End with the beginning of an assistant's answer.
    pub add_generation_prompt: bool,
    /// `bos_token`.
    pub bos: String,
    /// `eos_token`.
    pub eos: String,
    /// Tool definitions; `None` where the request has no such list.
    pub tools: Option<Vec<serde_json::Value>>,
    /// Further variables (`enable_thinking`, …). They cannot replace the ones above or the messages.
    pub kwargs: serde_json::Map<String, serde_json::Value>,
    /// The time `strftime_now` formats. Without it, templates use the date they were written with.
    pub now: Option<CivilTime>,
}

impl ChatTemplate {
    /// The template of a file, if it has one.
    ///
    /// # Errors
    /// `E_TEMPLATE_TYPE`, and those of [`ChatTemplate::new`].
    pub fn from_directory(d: &Directory) -> Result<Option<Self>, Error> {
        let bad = |found: String| Error::Template(TemplateError::Type { found });
        match d.get("tokenizer.chat_template") {
            None => Ok(None),
            Some(MetaValue::Str(bytes)) => {
                let source = std::str::from_utf8(bytes)
                    .map_err(|_| bad("a string that is not UTF-8".into()))?;
                Self::new(source).map(Some)
            }
            Some(other) => Err(bad(other.describe())),
        }
    }

    /// A template from its source.
    ///
    /// # Errors
    /// `E_TEMPLATE_SIZE`, `E_TEMPLATE_SYNTAX`, `E_TEMPLATE_DEPTH`.
    pub fn new(source: &str) -> Result<Self, Error> {
        if source.len() > limits::SOURCE {
            return Err(TemplateError::Size {
                bytes: source.len() as u64,
                limit: limits::SOURCE as u64,
            }
            .into());
        }
        let template = Self {
            source: source.to_owned(),
            prepared: prepare(source)?,
        };
        let env = environment(&Arc::default(), None);
        env.template_from_named_str(NAME, &template.prepared.text)
            .map_err(|e| template.explain(&e))?;
        Ok(template)
    }

    /// The source as the file has it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a conversation, and which parts of it the messages wrote.
    ///
    /// # Errors
    /// `E_TEMPLATE_RAISED` when the template refuses the messages, `E_TEMPLATE_RENDER` when it fails, the other
    /// `E_TEMPLATE_*` when it reaches a limit.
    pub fn render(&self, messages: &[Message], opts: &RenderOptions) -> Result<Rendered, Error> {
        let conversation = Conversation {
            messages: messages.to_vec(),
            tools: opts.tools.clone(),
        };
        let text = self.text(&conversation, opts)?;
        Ok(spans::trace(text, &conversation, &opts.kwargs, |marked| {
            self.text(marked, opts).ok()
        }))
    }

    fn text(&self, conversation: &Conversation, opts: &RenderOptions) -> Result<String, Error> {
        let mut context = serde_json::Map::new();
        // Hugging Face's renderer defines this always.
        context.insert("documents".into(), serde_json::Value::Null);
        context.extend(opts.kwargs.clone());
        context.insert("bos_token".into(), opts.bos.clone().into());
        context.insert("eos_token".into(), opts.eos.clone().into());
        context.insert(
            "add_generation_prompt".into(),
            opts.add_generation_prompt.into(),
        );
        context.insert("tools".into(), conversation.tools.clone().into());
        let messages = conversation.messages.iter().cloned();
        context.insert(
            "messages".into(),
            messages.map(serde_json::Value::from).collect(),
        );

        let env = environment(&Arc::default(), opts.now);
        let template = env
            .template_from_named_str(NAME, &self.prepared.text)
            .map_err(|e| self.explain(&e))?;
        let mut out = Limited(Vec::new());
        template
            .render_captured_to(to_value(&context.into()), &mut out)
            .map_err(|e| self.explain(&e))?;
        String::from_utf8(out.0).map_err(|e| {
            TemplateError::Render {
                line: 0,
                problem: e.to_string(),
            }
            .into()
        })
    }

    /// The engine's error as ours.
    fn explain(&self, error: &minijinja::Error) -> Error {
        let at = error
            .range()
            .map(|range| self.prepared.original(range.start));
        let line = at.map_or_else(
            || {
                error
                    .line()
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(0)
            },
            |at| line_of(&self.source, at),
        );
        let problem = error
            .detail()
            .map_or_else(|| error.to_string(), str::to_owned);
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(e) = cause {
            if let Some(ours) = e.downcast_ref::<TemplateError>() {
                return match ours {
                    TemplateError::Depth { line: 0 } => TemplateError::Depth { line }.into(),
                    other => other.clone().into(),
                };
            }
            if let Some(io) = e.downcast_ref::<std::io::Error>()
                && io.kind() == std::io::ErrorKind::FileTooLarge
            {
                return TemplateError::Output {
                    limit: limits::OUTPUT,
                }
                .into();
            }
            if let Some(inner) = e.downcast_ref::<minijinja::Error>() {
                let detail = inner.detail().unwrap_or_default();
                match inner.kind() {
                    ErrorKind::OutOfFuel => {
                        return TemplateError::Fuel {
                            limit: limits::FUEL,
                        }
                        .into();
                    }
                    ErrorKind::TemplateNotFound => return TemplateError::NotFound(problem).into(),
                    _ if detail.contains("recursion limit") => {
                        return TemplateError::Depth { line }.into();
                    }
                    _ if detail.contains("is too large") => {
                        return TemplateError::Output {
                            limit: limits::OUTPUT,
                        }
                        .into();
                    }
                    _ => {}
                }
            }
            cause = e.source();
        }
        if error.kind() == ErrorKind::SyntaxError {
            let column = at.map_or(0, |at| column_of(&self.source, at));
            return TemplateError::Syntax {
                line,
                column,
                problem,
            }
            .into();
        }
        TemplateError::Render { line, problem }.into()
    }
}

fn environment(budget: &Arc<Budget>, now: Option<CivilTime>) -> Environment<'static> {
    let mut env = Environment::new();
    let syntax = minijinja::syntax::SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    // The builder refuses delimiters only, and these are the default ones.
    env.set_syntax(syntax.unwrap_or_default());
    // Text for a model, not HTML.
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_fuel(Some(limits::FUEL));
    env.set_recursion_limit(limits::RECURSION);
    env.set_debug(false);
    guard::install(&mut env, budget);
    functions::install(&mut env, now);
    text::install(&mut env);
    env
}

/// JSON as a template value, maps in their order.
fn to_value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(b) => Value::from(*b),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), _, _) => Value::from(n),
            (_, Some(n), _) => Value::from(n),
            (_, _, n) => Value::from(n.unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(s) => Value::from(s.as_str()),
        serde_json::Value::Array(items) => items.iter().map(to_value).collect(),
        serde_json::Value::Object(map) => {
            Value::from_pairs(map.iter().map(|(k, v)| (k.as_str(), to_value(v))))
        }
    }
}

/// The result, up to its limit.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if (self.0.len() as u64).saturating_add(bytes.len() as u64) > limits::OUTPUT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
