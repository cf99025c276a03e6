//! What chat templates expect besides Jinja: `tojson` as Python writes it, `raise_exception`, `strftime_now`, `range`.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::error::TemplateError;
use crate::template::guard::stop;
use crate::template::{limits, python};

/// A moment in civil time. This crate reads no clock: whoever renders says what `strftime_now` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CivilTime {
    /// Year, e.g. 2026.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
}

/// Adds the functions. Without a time there is no `strftime_now`: templates ask whether it is defined.
pub(super) fn install(env: &mut Environment<'_>, now: Option<CivilTime>) {
    env.remove_global("debug");
    env.add_function(
        "raise_exception",
        |message: String| -> Result<Value, Error> { Err(stop(TemplateError::Raised(message))) },
    );
    // As in Python: the engine also takes none for an empty list.
    env.add_test("iterable", |value: Value| {
        !value.is_none() && (value.is_undefined() || value.try_iter().is_ok())
    });
    env.add_function("range", range);
    env.add_filter(
        "tojson",
        |value: Value, indent: Option<u64>, kwargs: Kwargs| -> Result<String, Error> {
            let style = JsonStyle::new(indent, &kwargs)?;
            let mut out = String::new();
            style.write(&value, 0, &mut out)?;
            Ok(out)
        },
    );
    if let Some(now) = now {
        env.add_function("strftime_now", move |format: &str| now.format(format));
    }
}

fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Vec<i64>, Error> {
    let (start, end) = second.map_or((0, first), |end| (first, end));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "range() needs a step other than 0",
        ));
    }
    let (from, to, by) = (i128::from(start), i128::from(end), i128::from(step));
    let items = u64::try_from(((to - from + by - by.signum()) / by).max(0)).unwrap_or(u64::MAX);
    if items > limits::RANGE {
        return Err(stop(TemplateError::Range {
            items,
            limit: limits::RANGE,
        }));
    }
    Ok((0..items)
        .filter_map(|i| i64::try_from(from + by * i128::from(i)).ok())
        .collect())
}

/// The arguments of Python's `json.dumps` that templates use. `ensure_ascii` is off by default, as in Hugging Face's
/// renderer; nothing is escaped for HTML.
struct JsonStyle {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<usize>,
    item_separator: String,
    key_separator: String,
}

impl JsonStyle {
    fn new(indent: Option<u64>, kwargs: &Kwargs) -> Result<Self, Error> {
        let flag = |name: &str| Ok::<_, Error>(kwargs.get::<Option<bool>>(name)?.unwrap_or(false));
        let indent = indent.or(kwargs.get::<Option<u64>>("indent")?);
        let separators = kwargs.get::<Option<Vec<String>>>("separators")?;
        let given = |i: usize| separators.as_ref().and_then(|s| s.get(i)).cloned();
        if indent.is_some_and(|n| n > 64)
            || [0, 1].into_iter().filter_map(given).any(|s| s.len() > 64)
        {
            return Err(stop(TemplateError::Output {
                limit: limits::OUTPUT,
            }));
        }
        let style = Self {
            ensure_ascii: flag("ensure_ascii")?,
            sort_keys: flag("sort_keys")?,
            indent: indent.and_then(|n| usize::try_from(n).ok()),
            item_separator: given(0)
                .unwrap_or_else(|| if indent.is_some() { "," } else { ", " }.into()),
            key_separator: given(1).unwrap_or_else(|| ": ".into()),
        };
        kwargs.assert_all_used()?;
        Ok(style)
    }

    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > limits::VALUE_DEPTH {
            return Err(stop(TemplateError::Depth { line: 0 }));
        }
        if out.len() as u64 > limits::OUTPUT {
            return Err(stop(TemplateError::Output {
                limit: limits::OUTPUT,
            }));
        }
        match value.kind() {
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), out),
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                let n = keys.len();
                out.push('{');
                for (i, key) in keys.iter().enumerate() {
                    self.begin_item(i, depth, out);
                    match key.kind() {
                        ValueKind::String => self.write(key, depth, out)?,
                        // Any other key is written as a value and put into quotes.
                        _ => {
                            out.push('"');
                            self.write(key, depth, out)?;
                            out.push('"');
                        }
                    }
                    out.push_str(&self.key_separator);
                    self.write(&value.get_item(key)?, depth + 1, out)?;
                }
                self.end_items(n, depth, '}', out);
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let mut n = 0;
                out.push('[');
                for item in value.try_iter()? {
                    self.begin_item(n, depth, out);
                    self.write(&item, depth + 1, out)?;
                    n += 1;
                }
                self.end_items(n, depth, ']', out);
            }
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => out.push_str(&value.to_string()),
            ValueKind::Number => {
                let number = f64::try_from(value.clone())?;
                out.push_str(&match number {
                    n if n.is_nan() => "NaN".into(),
                    n if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.into(),
                    n => python::float(n),
                });
            }
            other => {
                return Err(Error::new(
                    ErrorKind::BadSerialization,
                    format!("{other} has no JSON form"),
                ));
            }
        }
        Ok(())
    }

    fn begin_item(&self, i: usize, depth: usize, out: &mut String) {
        if i > 0 {
            out.push_str(&self.item_separator);
        }
        self.new_line(depth + 1, out);
    }

    fn end_items(&self, n: usize, depth: usize, close: char, out: &mut String) {
        if n > 0 {
            self.new_line(depth, out);
        }
        out.push(close);
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                _ if c < ' ' || self.ensure_ascii && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => out.push(c),
            }
        }
        out.push('"');
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl CivilTime {
    /// C's `strftime` for the directives that templates use; others stay as they are.
    fn format(&self, format: &str) -> String {
        let name = |names: &[&'static str], i: usize| names.get(i).copied().unwrap_or_default();
        let short = |name: &'static str| name.get(..3).unwrap_or_default();
        let month = name(&MONTHS, usize::from(self.month).wrapping_sub(1));
        let day = name(&DAYS, self.weekday());
        let hour12 = (self.hour + 11) % 12 + 1;
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('Y') => out.push_str(&self.year.to_string()),
                Some('y') => out.push_str(&format!("{:02}", self.year.rem_euclid(100))),
                Some('m') => out.push_str(&format!("{:02}", self.month)),
                Some('d') => out.push_str(&format!("{:02}", self.day)),
                Some('e') => out.push_str(&format!("{:2}", self.day)),
                Some('B') => out.push_str(month),
                Some('b' | 'h') => out.push_str(short(month)),
                Some('A') => out.push_str(day),
                Some('a') => out.push_str(short(day)),
                Some('H') => out.push_str(&format!("{:02}", self.hour)),
                Some('I') => out.push_str(&format!("{hour12:02}")),
                Some('p') => out.push_str(if self.hour < 12 { "AM" } else { "PM" }),
                Some('M') => out.push_str(&format!("{:02}", self.minute)),
                Some('S') => out.push_str(&format!("{:02}", self.second)),
                Some('F') => {
                    out.push_str(&format!("{}-{:02}-{:02}", self.year, self.month, self.day));
                }
                Some('T') => out.push_str(&format!(
                    "{:02}:{:02}:{:02}",
                    self.hour, self.minute, self.second
                )),
                Some('%') => out.push('%'),
                Some(other) => out.extend(['%', other]),
                None => out.push('%'),
            }
        }
        out
    }

    /// 0 is Sunday (Sakamoto's method).
    fn weekday(&self) -> usize {
        const SHIFT: [i64; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let month = usize::from(self.month);
        let year = i64::from(self.year) - i64::from(month < 3);
        let shift = SHIFT.get(month.wrapping_sub(1)).copied().unwrap_or(0);
        let days = year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + shift
            + i64::from(self.day);
        usize::try_from(days.rem_euclid(7)).unwrap_or(0)
    }
}
