//! From messages or text to the token ids of a prompt.

use crate::{Error, clock};
use chord_text::{ChatTemplate, EncodeOptions, Message, RenderOptions, Tokenizer};
use web_time::SystemTime;

/// Ids of a conversation through the model's chat template, up to where the answer begins. Control tokens come from the
/// template only, never from a message's text.
///
/// # Errors
/// What the template finds wrong; `E_EMPTY_PROMPT`.
pub fn chat_ids(
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
    messages: &[Message],
) -> Result<Vec<u32>, Error> {
    let text_of = |id: Option<u32>| {
        id.and_then(|id| tokenizer.piece(id))
            .map(|p| String::from_utf8_lossy(p).into_owned())
            .unwrap_or_default()
    };
    let options = RenderOptions {
        add_generation_prompt: true,
        bos: text_of(tokenizer.bos()),
        eos: text_of(tokenizer.eos()),
        now: Some(clock::utc(SystemTime::now())),
        ..RenderOptions::default()
    };
    not_empty(
        tokenizer,
        template.render(messages, &options)?.encode(tokenizer),
    )
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
