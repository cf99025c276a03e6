//! What a conversation is made of before a template sees it: messages, tool definitions and template variables, checked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{ChatError, Error};

/// Variables of every rendering that no keyword argument may replace.
const RESERVED: [&str; 4] = ["messages", "tools", "bos_token", "eos_token"];

/// One message of a conversation: a `role`, a `content` where it has one, and whatever else it brought (`tool_calls`,
/// `tool_call_id`, `name`, `reasoning_content`, …), which reaches the template as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Message(Map<String, Value>);

impl Message {
    /// A message of text.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("role".into(), Value::String(role.into()));
        fields.insert("content".into(), Value::String(content.into()));
        Self(fields)
    }

    /// A message from JSON in OpenAI's shape. A content of several text parts becomes one text, a line each.
    ///
    /// # Errors
    /// `E_MESSAGE` names the field.
    pub fn from_json(value: Value) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Chat(ChatError::Message(problem));
        let Value::Object(mut fields) = value else {
            return Err(wrong(format!("is {}, want an object", kind(&value))));
        };
        match fields.get("role") {
            Some(Value::String(_)) => {}
            Some(other) => return Err(wrong(format!("role is {}, want a text", kind(other)))),
            None => return Err(wrong("has no role".into())),
        }
        if let Some(content) = fields.get_mut("content") {
            let joined = match &*content {
                Value::Null | Value::String(_) => None,
                Value::Array(parts) => Some(joined(parts).map_err(wrong)?),
                other => {
                    return Err(wrong(format!(
                        "content is {}, want a text or text parts",
                        kind(other)
                    )));
                }
            };
            if let Some(joined) = joined {
                *content = Value::String(joined);
            }
        }
        for name in ["reasoning_content", "tool_call_id", "name"] {
            match fields.get(name) {
                None | Some(Value::Null | Value::String(_)) => {}
                Some(other) => {
                    return Err(wrong(format!("{name} is {}, want a text", kind(other))));
                }
            }
        }
        match fields.get("tool_calls") {
            None | Some(Value::Null) => {}
            Some(Value::Array(calls)) if calls.iter().all(Value::is_object) => {}
            Some(_) => return Err(wrong("tool_calls is not a list of objects".into())),
        }
        Ok(Self(fields))
    }

    /// `system`, `user`, `assistant`, `tool` or what else the template knows.
    #[must_use]
    pub fn role(&self) -> &str {
        self.text("role").unwrap_or_default()
    }

    /// The text; empty where there is none.
    #[must_use]
    pub fn content(&self) -> &str {
        self.text("content").unwrap_or_default()
    }

    /// A field that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The same message with a text more, if it is not empty.
    #[must_use]
    pub fn with_text(mut self, name: &str, text: &str) -> Self {
        if !text.is_empty() {
            self.0.insert(name.into(), text.into());
        }
        self
    }

    /// The same message with the arguments of its tool calls read: JSON texts that hold objects become these objects.
    #[must_use]
    pub fn with_read_arguments(mut self) -> Self {
        let calls = self.0.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten() {
            let function = call.get_mut("function").and_then(Value::as_object_mut);
            let Some(arguments) = function.and_then(|f| f.get_mut("arguments")) else {
                continue;
            };
            let read = arguments
                .as_str()
                .and_then(|text| serde_json::from_str::<Value>(text).ok());
            if let Some(read) = read.filter(Value::is_object) {
                *arguments = read;
            }
        }
        self
    }

    /// Everything it holds.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(crate) fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }
}

impl TryFrom<Value> for Message {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        Self::from_json(value)
    }
}

impl From<Message> for Value {
    fn from(message: Message) -> Self {
        Self::Object(message.0)
    }
}

fn joined(parts: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    for (i, part) in parts.iter().enumerate() {
        if part.get("type").and_then(Value::as_str) != Some("text") {
            return Err(format!(
                "content[{i}] is not of type text; only text is read"
            ));
        }
        let Some(inner) = part.get("text").and_then(Value::as_str) else {
            return Err(format!("content[{i}] has no text"));
        };
        if i > 0 {
            text.push('\n');
        }
        text.push_str(inner);
    }
    Ok(text)
}

/// What a request tells the template besides the messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatVariables {
    /// Tool definitions in OpenAI's shape; without any, the template's `tools` is none.
    pub tools: Vec<Value>,
    /// Keyword arguments of the template (`enable_thinking`, …).
    pub kwargs: Map<String, Value>,
}

impl ChatVariables {
    /// Takes tool definitions: a list of `{"type": "function", "function": {"name": …, …}}`.
    ///
    /// # Errors
    /// `E_TOOLS`.
    pub fn set_tools(&mut self, tools: Value) -> Result<(), Error> {
        let wrong = |problem: String| Error::Chat(ChatError::Tools(problem));
        let Value::Array(tools) = tools else {
            return Err(wrong(format!("they are {}, want a list", kind(&tools))));
        };
        for (i, tool) in tools.iter().enumerate() {
            if tool.get("type").and_then(Value::as_str) != Some("function") {
                return Err(wrong(format!("[{i}].type is not \"function\"")));
            }
            let function = tool.get("function").and_then(Value::as_object);
            let name = function.and_then(|f| f.get("name")).and_then(Value::as_str);
            if name.is_none_or(str::is_empty) {
                return Err(wrong(format!("[{i}].function.name is missing")));
            }
            let parameters = function.and_then(|f| f.get("parameters"));
            if parameters.is_some_and(|p| !p.is_object() && !p.is_null()) {
                return Err(wrong(format!(
                    "[{i}].function.parameters is not a JSON schema object"
                )));
            }
        }
        self.tools = tools;
        Ok(())
    }

    /// Asks for reasoning or for none, by the names that templates have for it.
    pub fn set_thinking(&mut self, on: bool) {
        for name in ["enable_thinking", "thinking"] {
            self.kwargs.insert(name.into(), on.into());
        }
    }

    /// Takes keyword arguments from an object, over those it has.
    ///
    /// # Errors
    /// `E_TEMPLATE_KWARGS`.
    pub fn add_kwargs(&mut self, kwargs: Value) -> Result<(), Error> {
        let Value::Object(kwargs) = kwargs else {
            let problem = format!("they are {}, want an object", kind(&kwargs));
            return Err(Error::Chat(ChatError::Kwargs(problem)));
        };
        kwargs
            .into_iter()
            .try_for_each(|(name, value)| self.add_kwarg(&name, value))
    }

    /// Takes one keyword argument.
    ///
    /// # Errors
    /// `E_TEMPLATE_KWARGS`.
    pub fn add_kwarg(&mut self, name: &str, value: Value) -> Result<(), Error> {
        let wrong = |problem: String| Err(Error::Chat(ChatError::Kwargs(problem)));
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || !name.chars().all(word)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            return wrong(format!("{name:?} is not a name"));
        }
        if RESERVED.contains(&name) || name.starts_with("__") {
            return wrong(format!("{name} is reserved"));
        }
        if name == "add_generation_prompt" && !value.is_boolean() {
            return wrong(format!("{name} is {}, want true or false", kind(&value)));
        }
        self.kwargs.insert(name.into(), value);
        Ok(())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
