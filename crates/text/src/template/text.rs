//! Filters of texts and of what becomes one, where the engine's own differ from Python's.

use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, State, filters};

use crate::template::python;

/// Adds those that need no guard.
pub(super) fn install(env: &mut Environment<'_>) {
    for name in ["length", "count"] {
        env.add_filter(name, length);
    }
    env.add_filter("trim", |value: Value, chars: Option<&str>| {
        let text = string(value)?;
        let text = text.as_str().unwrap_or_default();
        Ok::<_, Error>(python::strip(text, chars, true, true).to_owned())
    });
    // As in Python: what has a length and items.
    env.add_test("sequence", |value: Value| {
        matches!(
            value.kind(),
            ValueKind::String | ValueKind::Seq | ValueKind::Map
        )
    });
}

/// The methods of a text in which Python sees other white space than Rust does.
pub(super) fn method(text: &str, name: &str, args: &[Value]) -> Option<Value> {
    let chars = match args {
        [] => None,
        [chars] => Some(chars.as_str()?),
        _ => return None,
    };
    Some(match (name, chars) {
        ("strip", _) => python::strip(text, chars, true, true).into(),
        ("lstrip", _) => python::strip(text, chars, true, false).into(),
        ("rstrip", _) => python::strip(text, chars, false, true).into(),
        ("split", None) => {
            let words = text.split(python::space).filter(|word| !word.is_empty());
            words.map(Value::from).collect()
        }
        ("splitlines", None) => python::lines(text).map(Value::from).collect(),
        _ => return None,
    })
}

/// Jinja's undefined is as long as an empty text.
fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    filters::length(value)
}

/// What Python's `+` makes of a text beside one that is marked as safe HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(c),
        }
    }
    out
}

/// As Python's `str`.
pub(super) fn string(value: Value) -> Result<Value, Error> {
    Ok(match value.as_str() {
        Some(_) => value,
        None => python::text(&value)?.into(),
    })
}

/// The items as Python writes them. An attribute to join by, or a joiner that is no text, is the engine's business.
pub(super) fn join(state: &mut State, args: Rest<Value>) -> Result<Value, Error> {
    let mut args = args.0;
    if let Some(items) = args.first_mut()
        && items.as_str().is_none()
        && let Ok(iter) = items.try_iter()
    {
        let as_python = |item: Value| {
            Ok::<_, Error>(match item.kind() {
                ValueKind::Seq | ValueKind::Iterable | ValueKind::Number => {
                    python::text(&item)?.into()
                }
                _ => item,
            })
        };
        *items = iter.map(as_python).collect::<Result<Value, Error>>()?;
    }
    Value::from_function(filters::join).call(state, &args)
}

/// `%` formatting, lists and maps as Python writes them.
pub(super) fn printf(state: &mut State, args: Rest<Value>) -> Result<Value, Error> {
    let args = args.0.into_iter().map(written);
    let args: Vec<Value> = args.collect::<Result<_, _>>()?;
    Value::from_function(filters::format).call(state, &args)
}

/// Lists and maps as Python's text; numbers keep what a directive may ask of them. Keyword arguments stay.
fn written(value: Value) -> Result<Value, Error> {
    Ok(match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => python::text(&value)?.into(),
        ValueKind::Map if !value.is_kwargs() => python::text(&value)?.into(),
        _ => value,
    })
}
