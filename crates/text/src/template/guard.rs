//! The budget of one rendering, and the engine's parts that are made to keep to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, filters};

use crate::error::TemplateError;
use crate::template::{limits, python, slice, text};

/// A limit was reached: an engine error that carries ours.
pub(super) fn stop(error: TemplateError) -> Error {
    Error::new(ErrorKind::InvalidOperation, error.to_string()).with_source(error)
}

fn too_much() -> Error {
    stop(TemplateError::Output {
        limit: limits::OUTPUT,
    })
}

/// Bytes this rendering has handled so far.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicU64);

impl Budget {
    fn charge(&self, bytes: u64) -> Result<(), Error> {
        let before = self.0.fetch_add(bytes.min(limits::WORK), Ordering::Relaxed);
        if before.saturating_add(bytes) > limits::WORK {
            return Err(stop(TemplateError::Output {
                limit: limits::WORK,
            }));
        }
        Ok(())
    }

    fn left(&self) -> u64 {
        limits::WORK.saturating_sub(self.0.load(Ordering::Relaxed))
    }

    /// Charges a value with all it contains.
    pub(super) fn value(&self, value: &Value) -> Result<(), Error> {
        let mut size = 0;
        self.measure(value, 0, &mut size)?;
        if value.kind() == ValueKind::String && size > limits::OUTPUT {
            return Err(too_much());
        }
        self.charge(size)
    }

    /// Adds a value's size as text and structure to `size`. Sharing does not make a value smaller: whoever prints or
    /// compares it visits every part as often as it occurs.
    fn measure(&self, value: &Value, depth: usize, size: &mut u64) -> Result<(), Error> {
        *size = size.saturating_add(NODE);
        if *size > self.left() {
            return Err(stop(TemplateError::Output {
                limit: limits::WORK,
            }));
        }
        if let Some(text) = value.as_str() {
            *size = size.saturating_add(text.len() as u64);
        } else if matches!(
            value.kind(),
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map
        ) {
            if depth >= limits::VALUE_DEPTH {
                return Err(stop(TemplateError::Depth { line: 0 }));
            }
            for item in value.try_iter()? {
                if value.kind() == ValueKind::Map {
                    let inner = value.get_item(&item)?;
                    self.measure(&item, depth + 1, size)?;
                    self.measure(&inner, depth + 1, size)?;
                } else {
                    self.measure(&item, depth + 1, size)?;
                }
            }
        }
        if *size > self.left() {
            return Err(stop(TemplateError::Output {
                limit: limits::WORK,
            }));
        }
        Ok(())
    }
}

/// What a value costs beyond its text: visiting an item of a list joined from many takes that long.
const NODE: u64 = 256;
/// What an item of a list made from a string, or a replacement in it, costs.
const ITEM: u64 = 48;
/// What a character costs where a text is gone through one by one.
const CHARACTER: u64 = 16;

/// Puts the guards into an environment: those that the source has been given (`__c` and its kin), and those around the
/// filters and methods whose result can be much larger than their input.
pub(super) fn install(env: &mut Environment<'_>, budget: &Arc<Budget>) {
    let b = Arc::clone(budget);
    env.add_filter("__c", move |value: Value, copies: Option<u64>| {
        if let (Some(text), Some(copies)) = (value.as_str(), copies) {
            b.charge((text.len() as u64).saturating_mul(copies))?;
        }
        b.value(&value).map(|()| value)
    });

    let b = Arc::clone(budget);
    env.add_filter("__t", move |value: Value, copies: Option<u64>| {
        b.value(&value)?;
        let text = if python::differs(&value) {
            Value::from(python::text(&value)?)
        } else {
            value
        };
        let bytes = text.as_str().map_or(0, |s| s.len() as u64);
        b.charge(bytes.saturating_mul(copies.unwrap_or(1)))?;
        Ok::<_, Error>(text)
    });

    let b = Arc::clone(budget);
    env.add_filter("__e", move |value: Value| {
        let Some(text) = value.as_str().filter(|_| !value.is_safe()) else {
            return Ok(value);
        };
        b.charge((text.len() as u64).saturating_mul(CHARACTER))?;
        Ok::<_, Error>(text::escaped(text).into())
    });

    let b = Arc::clone(budget);
    env.add_filter("__slice", move |value: Value, bounds: Rest<Value>| {
        let characters = value.as_str().map_or(0, |s| s.len() as u64);
        b.charge(characters.saturating_mul(CHARACTER))?;
        b.value(&value)?;
        slice::slice(&value, &bounds)
    });

    // The engine goes through none as through an empty list; Python does not.
    env.add_filter("__iter", |value: Value| {
        if value.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "'NoneType' object is not iterable",
            ));
        }
        Ok(value)
    });

    let b = Arc::clone(budget);
    env.add_filter("__factor", move |value: Value| {
        let number = if value.is_number() {
            f64::try_from(value.clone()).ok()
        } else {
            None
        };
        #[expect(clippy::cast_precision_loss, reason = "the limit is far below 2^53")]
        if number.is_some_and(|n| n > limits::FACTOR as f64) {
            return Err(too_much());
        }
        b.value(&value).map(|()| value)
    });

    let b = Arc::clone(budget);
    env.add_filter("__format", move |value: Value| {
        check_format(&value)?;
        b.value(&value).map(|()| value)
    });

    let b = Arc::clone(budget);
    // A filter, because a template can put a macro of its own in a function's place.
    env.add_filter("__text", move |bytes: u64| b.charge(bytes).map(|()| ""));

    let b = Arc::clone(budget);
    env.add_filter("__input", move |value: Value, filter: &str| {
        match filter {
            "length" | "count" | "first" | "last" | "default" | "d" | "safe" | "int" | "float"
            | "abs" | "round" | "bool" | "attr" => {}
            "string" | "join" | "tojson" | "sort" | "unique" | "groupby" | "dictsort" | "sum"
            | "min" | "max" => {
                b.value(&value)?;
            }
            _ => {
                let listed = !matches!(
                    filter,
                    "lower"
                        | "upper"
                        | "title"
                        | "capitalize"
                        | "trim"
                        | "replace"
                        | "escape"
                        | "e"
                );
                let each = if value.kind() == ValueKind::String && !listed {
                    1
                } else {
                    ITEM
                };
                b.charge((value.len().unwrap_or(0) as u64).saturating_mul(each))?;
            }
        }
        Ok::<_, Error>(value)
    });

    let wrapped: [(&'static str, Value, Check); 9] = [
        (
            "replace",
            Value::from_function(filters::replace),
            |b, args| b.replace(str_at(args, 0), str_at(args, 1), str_at(args, 2)),
        ),
        ("join", Value::from_function(text::join), |b, args| {
            b.join(args.first(), str_at(args, 1))
        }),
        (
            "indent",
            Value::from_function(filters::indent),
            |b, args| {
                let width = number(args.get(1)).max(named(args, "width"));
                b.product(
                    str_at(args, 0).map_or(0, |s| s.matches('\n').count() as u64 + 1),
                    width.max(4),
                )
            },
        ),
        ("format", Value::from_function(text::printf), |b, args| {
            args.first().map_or(Ok(()), check_format)?;
            args.iter().try_for_each(|a| b.value(a))
        }),
        ("string", Value::from_function(text::string), |_, _| Ok(())),
        ("batch", Value::from_function(filters::batch), |b, args| {
            b.product(number(args.get(1)), ITEM)
        }),
        ("slice", Value::from_function(filters::slice), |b, args| {
            b.product(number(args.get(1)), ITEM)
        }),
        ("split", Value::from_function(filters::split), |b, args| {
            b.split(str_at(args, 0), str_at(args, 1))
        }),
        ("lines", Value::from_function(filters::lines), |b, args| {
            b.split(str_at(args, 0), Some("\n"))
        }),
    ];
    for (name, original, check) in wrapped {
        let b = Arc::clone(budget);
        env.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            check(&b, &args)?;
            original.call(state, &args)
        });
    }

    let b = Arc::clone(budget);
    env.set_unknown_method_callback(move |state, value, method, args| {
        b.method(value, method, args)?;
        if let Some(done) = value.as_str().and_then(|t| text::method(t, method, args)) {
            return Ok(done);
        }
        minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
    });

    let b = Arc::clone(budget);
    env.set_formatter(move |out, state, value| {
        b.value(value)?;
        if python::differs(value) {
            return out.write_str(&python::text(value)?).map_err(Error::from);
        }
        minijinja::escape_formatter(out, state, value)
    });
}

type Check = fn(&Budget, &[Value]) -> Result<(), Error>;

fn str_at(args: &[Value], i: usize) -> Option<&str> {
    args.get(i).and_then(Value::as_str)
}

fn number(value: Option<&Value>) -> u64 {
    value
        .filter(|v| v.is_number())
        .map_or(0, |v| u64::try_from(v.clone()).unwrap_or(u64::MAX))
}

/// A keyword argument, which stands in a map behind the others.
fn named(args: &[Value], name: &str) -> u64 {
    number(
        args.last()
            .filter(|v| v.kind() == ValueKind::Map)
            .and_then(|v| v.get_attr(name).ok())
            .as_ref(),
    )
}

/// A format string asks for padding by number: five digits would be more padding than any text needs.
fn check_format(value: &Value) -> Result<(), Error> {
    let Some(pattern) = value.as_str() else {
        return Ok(());
    };
    let directive = pattern.contains(['%', '{']);
    let wide = pattern
        .as_bytes()
        .windows(5)
        .any(|w| w.iter().all(u8::is_ascii_digit));
    // A width that is itself an argument.
    let nested = pattern.contains("%*")
        || pattern
            .split('{')
            .any(|part| part.ends_with(':') || part.contains(":*"));
    if directive && (wide || nested) {
        return Err(too_much());
    }
    Ok(())
}

impl Budget {
    fn product(&self, a: u64, b: u64) -> Result<(), Error> {
        let bytes = a.saturating_mul(b);
        if bytes > limits::OUTPUT {
            return Err(too_much());
        }
        self.charge(bytes)
    }

    fn replace(
        &self,
        text: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), Error> {
        let (Some(text), Some(from), Some(to)) = (text, from, to) else {
            return Ok(());
        };
        self.charge(text.len() as u64)?;
        let count = if from.is_empty() {
            text.len() + 1
        } else {
            text.matches(from).count()
        };
        self.charge((count as u64).saturating_mul(ITEM))?;
        self.product(count as u64, to.len() as u64)
    }

    fn join(&self, items: Option<&Value>, joiner: Option<&str>) -> Result<(), Error> {
        let Some(items) = items else { return Ok(()) };
        self.value(items)?;
        self.product(
            items.len().unwrap_or(0) as u64,
            joiner.map_or(0, str::len) as u64,
        )
    }

    fn split(&self, text: Option<&str>, by: Option<&str>) -> Result<(), Error> {
        let Some(text) = text else { return Ok(()) };
        let parts = match by {
            Some("") => text.len(),
            Some(by) => text.matches(by).count(),
            None => text.matches(char::is_whitespace).count(),
        };
        self.charge(text.len() as u64)?;
        self.charge((parts as u64).saturating_mul(ITEM))
    }

    fn method(&self, value: &Value, method: &str, args: &[Value]) -> Result<(), Error> {
        let Some(text) = value.as_str() else {
            return match method {
                "get" => Ok(()),
                "count" | "index" => self.value(value),
                _ => self.charge((value.len().unwrap_or(0) as u64).saturating_mul(ITEM)),
            };
        };
        self.charge(text.len() as u64)?;
        match method {
            "replace" => self.replace(Some(text), str_at(args, 0), str_at(args, 1)),
            "split" => self.split(Some(text), str_at(args, 0)),
            "splitlines" => self.split(Some(text), Some("\n")),
            "join" => self.join(args.first(), Some(text)),
            "format" => {
                check_format(value)?;
                args.iter().try_for_each(|a| self.value(a))
            }
            _ => Ok(()),
        }
    }
}
