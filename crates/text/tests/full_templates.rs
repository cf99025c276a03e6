//! llama.cpp's chat templates render byte for byte as Python's jinja2 renders them with Hugging Face's settings: 27
//! conversations under 7 settings each, refusals included. Needs WASM_CHORD_LLAMA_TEMPLATES: the
//! `vendor/llama.cpp/models/templates` folder of the source package `llama-cpp-python==0.3.36`. Run by `just test-full`;
//! fails without the folder. `tools/chat_templates.py show` prints the texts behind a digest.

mod common;

use std::path::PathBuf;

use chord_text::ChatTemplate;
use common::templates::{self, Record};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Renderings that differ.
struct Exception {
    template: &'static str,
    conversations: fn(&Value) -> bool,
    why: &'static str,
}

const EXCEPTIONS: [Exception; 1] = [Exception {
    template: "llama-cpp-deepseek-r1",
    conversations: |conversation| {
        conversation
            .get("tools")
            .is_some_and(|t| t != &Value::Array(Vec::new()))
    },
    why: "it writes `tools | map(…) | tojson`, which Python cannot: a generator is not JSON serializable there. The template \
     was written for llama.cpp's own engine, which renders it, as ours does.",
}];

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn digest(records: &[Record]) -> String {
    let mut state = Sha256::new();
    for (kind, text) in records {
        let text = if *kind == "failed" { "" } else { text };
        state.update(format!("{kind}\0{text}\0"));
    }
    hex(&state.finalize()[..16])
}

#[test]
fn llama_cpp_templates_are_those_of_python() {
    let folder = std::env::var_os("WASM_CHORD_LLAMA_TEMPLATES")
        .map(PathBuf::from)
        .expect("set WASM_CHORD_LLAMA_TEMPLATES to vendor/llama.cpp/models/templates of llama-cpp-python 0.3.36's source package");
    let golden = common::json("chat/templates.json");
    let inputs = templates::inputs();
    let raw = std::fs::read(common::data("inputs/template_convs.json")).unwrap();
    assert_eq!(
        Value::from(hex(Sha256::digest(raw))),
        golden["inputs_sha256"]
    );
    let conversations = inputs["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 27);
    let wanted = golden["templates"].as_object().unwrap();
    assert_eq!(wanted.len(), 70);

    let (mut wrong, mut excepted) = (Vec::new(), 0);
    for (name, want) in wanted {
        let path = folder.join(format!("{name}.jinja"));
        let source = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(
            Value::from(hex(Sha256::digest(&source))),
            want["sha256"],
            "{name} is another file"
        );
        let template = ChatTemplate::new(&String::from_utf8(source).unwrap()).unwrap();
        for (conversation, want) in conversations
            .iter()
            .zip(want["conversations"].as_array().unwrap())
        {
            let records = templates::renderings(&template, &inputs, conversation);
            let equal = *want == digest(&records);
            let exception = EXCEPTIONS
                .iter()
                .find(|e| e.template == name && (e.conversations)(conversation));
            excepted += usize::from(exception.is_some());
            if equal == exception.is_some() {
                let said = exception.map_or("differs", |e| e.why);
                wrong.push(format!(
                    "{name}, {}: equal is {equal}: {said}",
                    conversation["name"]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(excepted, 8);
}
