//! Token ids from JSON: an array, or an object with "tokens" or "ids".

use std::path::Path;

use serde_json::Value;

use crate::error::Error;

const HELP: &str = "write a JSON array of token ids, or an object with \"tokens\" or \"ids\"";

/// Ids in a JSON value.
pub fn from_json(value: &Value) -> Result<Vec<u32>, String> {
    let list = match value {
        Value::Object(map) => map.get("tokens").or_else(|| map.get("ids")),
        other => Some(other),
    };
    let list = list
        .and_then(Value::as_array)
        .ok_or("no array of token ids in it")?;
    list.iter()
        .map(|v| {
            v.as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| format!("{v} is not a token id"))
        })
        .collect()
}

/// Ids in a file; at least one.
pub fn read(path: &Path) -> Result<Vec<u32>, Error> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    let wrong = |what: String| Error::FileContent {
        path: path.to_owned(),
        what,
        help: HELP.into(),
    };
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|e| wrong(format!("not JSON: {e}")))?;
    let ids = from_json(&value).map_err(wrong)?;
    if ids.is_empty() {
        Err(wrong("the list of token ids is empty".into()))
    } else {
        Ok(ids)
    }
}

/// Refuses ids that the vocabulary does not have.
pub fn check(ids: &[u32], n_vocab: u32) -> Result<(), Error> {
    match ids.iter().find(|id| **id >= n_vocab) {
        Some(id) => Err(Error::usage(
            format!("token {id} does not exist: the vocabulary has {n_vocab} tokens"),
            "use ids made with this model's `tokenize`",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_three_shapes_are_read() {
        for v in [
            json!([1, 2, 3]),
            json!({"tokens": [1, 2, 3]}),
            json!({"model": "m", "ids": [1, 2, 3], "nll": [0.5]}),
        ] {
            assert_eq!(from_json(&v).expect("ids"), [1, 2, 3]);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for v in [
            json!([1.5]),
            json!([-1]),
            json!(["1"]),
            json!([4_294_967_296u64]),
            json!(3),
            json!({"x": []}),
            json!(null),
        ] {
            assert!(from_json(&v).is_err(), "{v}");
        }
    }
}
