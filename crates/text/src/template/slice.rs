//! `x[a:b:c]` as in Python: the engine's own slicing panics on an empty list taken backwards and on extreme bounds.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// The slice of a text or list. A bound that is none or missing is the end it stands for.
pub(super) fn slice(value: &Value, bounds: &[Value]) -> Result<Value, Error> {
    let bound = |i: usize| match bounds.get(i) {
        None => Ok(None),
        Some(v) if v.is_none() => Ok(None),
        Some(v) if v.is_integer() => i64::try_from(v.clone()).map(Some),
        Some(v) => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!(
                "slice indices must be whole numbers or none, not {}",
                v.kind()
            ),
        )),
    };
    let (start, stop, step) = (bound(0)?, bound(1)?, bound(2)?.unwrap_or(1));
    if step == 0 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "slice step cannot be zero",
        ));
    }
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        return Ok(Value::from(
            taken(&characters, start, stop, step).collect::<String>(),
        ));
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            Ok(taken(&items, start, stop, step).collect())
        }
        other => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("{other} cannot be sliced"),
        )),
    }
}

fn taken<T: Clone>(
    items: &[T],
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = T> {
    let length = i128::try_from(items.len()).unwrap_or(i128::MAX);
    let step = i128::from(step);
    let (low, high) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let place = |bound: Option<i64>, default: i128| match bound.map(i128::from) {
        None => default,
        Some(n) if n < 0 => (n + length).max(low),
        Some(n) => n.min(high),
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (mut at, end) = (place(start, first), place(stop, last));
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < end } else { at > end };
        let item = inside
            .then(|| usize::try_from(at).ok())
            .flatten()
            .and_then(|i| items.get(i))
            .cloned();
        at += step;
        item
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against what Python gives for `"abcde"[…]`.
    #[test]
    fn as_python() {
        let cut = |text: &str, bounds: [Option<i64>; 3]| {
            slice(&Value::from(text), &bounds.map(Value::from)).unwrap()
        };
        for (bounds, want) in [
            ([Some(1), None, None], "bcde"),
            ([None, Some(-1), None], "abcd"),
            ([None, None, Some(-1)], "edcba"),
            ([None, None, Some(2)], "ace"),
            ([Some(-2), None, None], "de"),
            ([Some(-9), Some(9), None], "abcde"),
            ([Some(9), Some(-9), Some(-2)], "eca"),
            ([Some(3), Some(0), Some(-1)], "dcb"),
            ([Some(3), Some(1), None], ""),
            ([Some(i64::MIN), Some(i64::MAX), Some(i64::MAX)], "a"),
            ([Some(i64::MAX), Some(i64::MIN), Some(i64::MIN)], "e"),
        ] {
            assert_eq!(cut("abcde", bounds).as_str(), Some(want), "{bounds:?}");
        }
        assert_eq!(cut("", [None, None, Some(-1)]).as_str(), Some(""));
        let none: Vec<Value> = Vec::new();
        let backwards = [Value::from(()), Value::from(()), Value::from(-1)];
        assert_eq!(
            slice(&Value::from(none), &backwards).unwrap().len(),
            Some(0)
        );
        assert!(slice(&Value::from(1), &[]).is_err());
        assert!(slice(&Value::from("a"), &[Value::from("b")]).is_err());
    }
}
