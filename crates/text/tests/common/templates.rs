//! Conversations of `tests/data/inputs/template_convs.json` on their way to a template, as tools/chat_templates.py renders them.

use chord_text::{ChatTemplate, CivilTime, Error, Message, RenderOptions, TemplateError};
use serde_json::Value;

/// What became of one rendering: its kind, and its text or message.
pub type Record = (&'static str, String);

pub fn inputs() -> Value {
    super::json("inputs/template_convs.json")
}

/// One record for each of the settings.
pub fn renderings(template: &ChatTemplate, inputs: &Value, conversation: &Value) -> Vec<Record> {
    let settings = inputs["settings"].as_array().unwrap();
    settings
        .iter()
        .map(|setting| record(template, inputs, conversation, setting))
        .collect()
}

pub fn record(
    template: &ChatTemplate,
    inputs: &Value,
    conversation: &Value,
    setting: &Value,
) -> Record {
    let now: Vec<u8> = inputs["now"].as_array().unwrap()[1..]
        .iter()
        .map(|n| u8::try_from(n.as_u64().unwrap()).unwrap())
        .collect();
    let mut kwargs = setting.as_object().unwrap().clone();
    let add_generation_prompt = kwargs.remove("add_generation_prompt").unwrap();
    let options = RenderOptions {
        add_generation_prompt: add_generation_prompt.as_bool().unwrap(),
        bos: inputs["bos"].as_str().unwrap().into(),
        eos: inputs["eos"].as_str().unwrap().into(),
        tools: conversation
            .get("tools")
            .map(|tools| tools.as_array().unwrap().clone()),
        kwargs,
        now: Some(CivilTime {
            year: i32::try_from(inputs["now"][0].as_i64().unwrap()).unwrap(),
            month: now[0],
            day: now[1],
            hour: now[2],
            minute: now[3],
            second: now[4],
        }),
    };
    let messages: Vec<Message> = conversation["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| Message::from_json(m.clone()).unwrap())
        .collect();
    match template.render(&messages, &options) {
        Ok(rendered) => ("text", rendered.text),
        Err(Error::Template(TemplateError::Raised(message))) => ("raised", message),
        Err(error) => {
            // Python's RecursionError is one of the failures too.
            let expected = ["E_TEMPLATE_RENDER", "E_TEMPLATE_DEPTH"];
            assert!(expected.contains(&error.code()), "{error}");
            ("failed", error.to_string())
        }
    }
}
