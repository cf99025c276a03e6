//! Chat templates from any text, with any messages: no panic, ended by the limits in time, output within its limit.
#![no_main]

use chord_gguf::Directory;
use chord_gguf::write::{FileSpec, WriteValue};
use chord_text::{ChatTemplate, Message, RenderOptions};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    template: &'a str,
    messages: Vec<(u8, &'a str)>,
    tool: Option<(&'a str, &'a str)>,
    reasoning: &'a str,
    add_generation_prompt: bool,
}

const ROLES: [&str; 5] = ["system", "user", "assistant", "tool", ""];
/// Bytes a render may give (chord-text's documented limit).
const OUTPUT: usize = 16 << 20;

fuzz_target!(|input: Input| {
    let mut spec = FileSpec::default();
    spec.push("tokenizer.chat_template", WriteValue::str(input.template));
    let directory = Directory::parse(&spec.to_bytes()).expect("the writer writes sound headers");
    let template = match ChatTemplate::from_directory(&directory) {
        Ok(Some(template)) => template,
        Ok(None) => return,
        Err(error) => {
            assert!(error.code().starts_with("E_") && !error.help().is_empty());
            return;
        }
    };
    let messages: Vec<Message> = input
        .messages
        .iter()
        .map(|(role, content)| {
            Message::new(ROLES[usize::from(*role) % ROLES.len()], *content)
                .with_text("reasoning_content", input.reasoning)
        })
        .collect();
    let tool = |(name, description): (&str, &str)| {
        serde_json::json!({"type": "function", "function": {
            "name": name, "description": description, "parameters": {"type": "object", "properties": {name: [1.5, null]}},
        }})
    };
    let options = RenderOptions {
        add_generation_prompt: input.add_generation_prompt,
        bos: "<s>".to_owned(),
        eos: "</s>".to_owned(),
        tools: input.tool.map(|tool_of| vec![tool(tool_of)]),
        ..RenderOptions::default()
    };
    match template.render(&messages, &options) {
        Ok(rendered) => {
            assert!(rendered.text.len() <= OUTPUT);
            // Spans are in order, on character borders, and inside the text.
            let mut end = 0;
            for span in &rendered.spans {
                assert!(span.range.start >= end, "{:?}", rendered.spans);
                assert!(
                    rendered.text.get(span.range.clone()).is_some(),
                    "{:?}",
                    rendered.spans
                );
                end = span.range.end;
            }
            let again = template
                .render(&messages, &options)
                .expect("it rendered once");
            assert_eq!(again.text, rendered.text, "two renders differ");
        }
        Err(error) => assert!(error.code().starts_with("E_") && !error.help().is_empty()),
    }
});
