//! Values as Python writes them: `str` and `repr`, which differ from the engine's in floats, quotes and escapes.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

use crate::error::TemplateError;
use crate::template::guard::stop;
use crate::template::limits;

/// Python's `str(value)`.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let mut out = String::new();
    if !value.is_undefined() {
        repr(value, 0, &mut out)?;
    }
    Ok(out)
}

/// Whether the engine would write the value in another way.
pub(super) fn differs(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => true,
        ValueKind::Number => !value.is_integer(),
        _ => false,
    }
}

/// Python's `repr(value)`.
fn repr(value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > limits::VALUE_DEPTH {
        return Err(stop(TemplateError::Depth { line: 0 }));
    }
    if out.len() as u64 > limits::OUTPUT {
        return Err(stop(TemplateError::Output {
            limit: limits::OUTPUT,
        }));
    }
    match value.kind() {
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::String => quoted(value.as_str().unwrap_or_default(), out),
        ValueKind::Number if !value.is_integer() => {
            out.push_str(&float(f64::try_from(value.clone())?));
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                repr(&key, depth + 1, out)?;
                out.push_str(": ");
                repr(&value.get_item(&key)?, depth + 1, out)?;
            }
            out.push('}');
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() {
                ('(', ')')
            } else {
                ('[', ']')
            };
            out.push(open);
            let mut n = 0;
            for item in value.try_iter()? {
                if n > 0 {
                    out.push_str(", ");
                }
                repr(&item, depth + 1, out)?;
                n += 1;
            }
            if n == 1 && value.is_tuple() {
                out.push(',');
            }
            out.push(close);
        }
        ValueKind::Invalid => {
            return Err(Error::new(ErrorKind::InvalidOperation, value.to_string()));
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

/// Python's `repr` of a float: the shortest digits that read back, with an exponent where it is below -4 or above 15.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let mut plain = number.to_string();
        if !plain.contains('.') {
            plain.push_str(".0");
        }
        return plain;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Python's white space: that of Unicode, and four control characters.
pub(super) fn space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `strip` and its kin: white space, or these characters, off the chosen ends.
pub(super) fn strip<'a>(text: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let cut = |c: char| chars.map_or_else(|| space(c), |chars| chars.contains(c));
    let text = if left {
        text.trim_start_matches(cut)
    } else {
        text
    };
    if right {
        text.trim_end_matches(cut)
    } else {
        text
    }
}

/// `splitlines`: by every character that ends a line in Python.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let (line, after) = match rest.split_once(ends) {
            Some((line, after)) => {
                let pair = rest
                    .get(line.len()..)
                    .is_some_and(|r| r.starts_with("\r\n"));
                (line, if pair { after.get(1..) } else { Some(after) })
            }
            None => (rest, None),
        };
        rest = after.unwrap_or_default();
        Some(line)
    })
}

/// Single quotes, unless the text has such and no double ones.
fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if printable(c) => out.push(c),
            _ => out.push_str(&match u32::from(c) {
                n @ 0..=0xFF => format!("\\x{n:02x}"),
                n @ 0x100..=0xFFFF => format!("\\u{n:04x}"),
                n => format!("\\U{n:08x}"),
            }),
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable`. Rust escapes by the same categories, and combining marks at the front of a text only.
fn printable(c: char) -> bool {
    ['a', c].iter().collect::<String>().escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (number, want) in [
            (1e-7, "1e-07"),
            (1e22, "1e+22"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (-0.0, "-0.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float(number), want);
        }
    }

    #[test]
    fn texts_in_lists() {
        let shown = |text: &str| super::text(&Value::from(vec![Value::from(text)])).unwrap();
        for (value, want) in [
            ("it's", "[\"it's\"]"),
            ("'\"", "['\\'\"']"),
            ("a\n\u{7f}\u{a0}\u{e000}", "['a\\n\\x7f\\xa0\\ue000']"),
            ("e\u{301}Z\u{1F600}", "['e\u{301}Z\u{1F600}']"),
        ] {
            assert_eq!(shown(value), want);
        }
    }
}
