//! What the command line tells the model's chat template.

use std::path::Path;

use chord_text::ChatVariables;
use serde_json::Value;

use crate::args::TemplateArgs;
use crate::error::Error;

/// The flags as variables, the more particular ones over the others.
pub fn variables(args: &TemplateArgs) -> Result<ChatVariables, Error> {
    let mut variables = ChatVariables::default();
    if let Some(path) = &args.tools {
        let tools = read(path)?;
        variables.set_tools(tools).map_err(|e| request(&e))?;
    }
    if args.think || args.no_think {
        variables.set_thinking(args.think);
    }
    for given in &args.chat_template_kwarg {
        let Some((name, text)) = given.split_once('=') else {
            return Err(Error::usage(
                format!("--chat-template-kwarg {given}: there is no ="),
                "write NAME=JSON, such as enable_thinking=false",
            ));
        };
        variables
            .add_kwarg(name, value(name, text)?)
            .map_err(|e| request(&e))?;
    }
    Ok(variables)
}

/// JSON, or a word as a text. What only begins like JSON is a mistake.
fn value(name: &str, text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).or_else(|e| {
        if text.starts_with(['{', '[', '"']) {
            return Err(Error::usage(
                format!("--chat-template-kwarg {name}: {e}"),
                "the value is JSON, such as false, 3, high or [\"a\"]",
            ));
        }
        Ok(Value::from(text))
    })
}

fn read(path: &Path) -> Result<Value, Error> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::FileContent {
        path: path.into(),
        what: e.to_string(),
        help: "the file must hold a JSON list of tool definitions".into(),
    })
}

/// A wrong flag, not a wrong model.
fn request(error: &chord_text::Error) -> Error {
    Error::usage(error.to_string(), error.help())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kwargs: &[&str]) -> Result<ChatVariables, Error> {
        variables(&TemplateArgs {
            no_think: true,
            chat_template_kwarg: kwargs.iter().map(|k| (*k).to_owned()).collect(),
            ..TemplateArgs::default()
        })
    }

    #[test]
    fn flags_become_variables() {
        let v = told(&[
            "thinking=true",
            "effort=high",
            "n=3",
            "s=\"4\"",
            "l=[1]",
            "e=",
        ])
        .unwrap();
        let want = serde_json::json!({
            "enable_thinking": false, "thinking": true, "effort": "high", "n": 3, "s": "4", "l": [1], "e": "",
        });
        assert_eq!(Value::Object(v.kwargs), want);
        for wrong in ["x", "=1", "a-b=1", "messages=[]", "x={", "x=[1", "x=\"a"] {
            let error = told(&[wrong]).unwrap_err();
            assert_eq!((error.code(), error.exit_code()), ("E_USAGE", 2), "{wrong}");
        }
    }

    #[test]
    fn tools_come_from_a_file() {
        let folder = std::env::temp_dir().join(format!("chord-tools-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let with = |text: &str| {
            let path = folder.join("tools.json");
            std::fs::write(&path, text).unwrap();
            variables(&TemplateArgs {
                tools: Some(path),
                ..TemplateArgs::default()
            })
        };
        let good = r#"[{"type": "function", "function": {"name": "f"}}]"#;
        assert_eq!(with(good).unwrap().tools.len(), 1);
        assert_eq!(with("[").unwrap_err().code(), "E_FILE_CONTENT");
        assert_eq!(with("{}").unwrap_err().code(), "E_USAGE");
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(with_missing(&folder).code(), "E_FILE");
    }

    fn with_missing(folder: &Path) -> Error {
        variables(&TemplateArgs {
            tools: Some(folder.join("none")),
            ..TemplateArgs::default()
        })
        .unwrap_err()
    }
}
