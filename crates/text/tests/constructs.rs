//! What templates use of Jinja and of Python's types, in small templates of our own: byte for byte as Python's jinja2 renders
//! them with Hugging Face's settings (tools/chat_templates.py).

mod common;

use chord_text::ChatTemplate;
use common::templates;

#[test]
fn every_construct_is_that_of_python() {
    let inputs = templates::inputs();
    let conversations = inputs["conversations"].as_array().unwrap();
    let calls = conversations.iter().find(|c| c["name"] == "calls").unwrap();
    let golden = common::json("chat/constructs.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    for case in cases {
        let source = case["template"].as_str().unwrap();
        let template = ChatTemplate::new(source).unwrap();
        let (kind, text) = templates::record(&template, &inputs, calls, &inputs["settings"][0]);
        if case["kind"] != kind || kind != "failed" && case["text"] != text {
            wrong.push(format!(
                "{source}\n want {} {}\n got {kind:?} {text:?}",
                case["kind"], case["text"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
