//! From messages or text to the token ids of a prompt.

use crate::{Error, clock};
use chord_text::{
    ChatTemplate, ChatVariables, EncodeOptions, Message, Reasoning, ReasoningFormat, RenderOptions,
    Rendered, TemplateError, Tokenizer,
};
use web_time::SystemTime;

/// A conversation ready to be answered.
#[derive(Debug, Clone)]
pub struct ChatPrompt {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Parts reasoning from the answer, where the model's template knows reasoning.
    pub reasoning: Option<Reasoning>,
}

/// A conversation through the model's chat template, up to where the answer begins. Control tokens come from the template
/// only, never from what a message or a tool definition says.
///
/// # Errors
/// What the template finds wrong; `E_EMPTY_PROMPT`.
pub fn chat_prompt(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    messages: &[Message],
    variables: &ChatVariables,
) -> Result<ChatPrompt, Error> {
    let text_of = |id: Option<u32>| {
        id.and_then(|id| tokenizer.piece(id))
            .map(|p| String::from_utf8_lossy(p).into_owned())
            .unwrap_or_default()
    };
    let mut kwargs = variables.kwargs.clone();
    let add_generation_prompt = kwargs.remove("add_generation_prompt");
    let options = RenderOptions {
        add_generation_prompt: add_generation_prompt.is_none_or(|value| value != false),
        bos: text_of(tokenizer.bos()),
        eos: text_of(tokenizer.eos()),
        // As Hugging Face's users write it: no tools are no list, rather than an empty one.
        tools: Some(variables.tools.clone()).filter(|tools| !tools.is_empty()),
        kwargs,
        now: Some(clock::utc(SystemTime::now())),
    };
    let rendered = rendered(template, messages, &options)?;
    let format = ReasoningFormat::of_template(template.source());
    Ok(ChatPrompt {
        ids: not_empty(tokenizer, rendered.encode(tokenizer))?,
        reasoning: format.map(|format| format.behind(&rendered.text)),
    })
}

/// Arguments of tool calls are texts in OpenAI's shape, and objects for most templates; a few want the text.
fn rendered(
    template: &ChatTemplate,
    messages: &[Message],
    options: &RenderOptions,
) -> Result<Rendered, Error> {
    let read: Vec<Message> = messages
        .iter()
        .cloned()
        .map(Message::with_read_arguments)
        .collect();
    match template.render(&read, options) {
        Err(chord_text::Error::Template(TemplateError::Render { .. })) if read != messages => {
            Ok(template.render(messages, options)?)
        }
        result => Ok(result?),
    }
}

/// Ids of a text to continue. Names of control tokens in it become those tokens.
///
/// # Errors
/// `E_EMPTY_PROMPT`.
pub fn text_ids(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Error> {
    let options = EncodeOptions {
        add_special: true,
        parse_special: true,
    };
    not_empty(tokenizer, tokenizer.encode(text, options))
}

/// Nothing to continue: the beginning of a text is the least that a model can be asked for.
fn not_empty(tokenizer: &Tokenizer, mut ids: Vec<u32>) -> Result<Vec<u32>, Error> {
    if ids.is_empty() {
        ids.push(tokenizer.bos().ok_or(Error::EmptyPrompt)?);
    }
    Ok(ids)
}
