//! What the tokenizer needs from a file, before any of it is believed.

use chord_gguf::{Array, Directory, Value, ValueType};

use crate::error::Error;

/// The tokenizer's metadata as the file has it: types checked, contents not. [`crate::Tokenizer::new`] checks the rest.
#[derive(Debug, Clone, Default)]
pub struct VocabSpec<'a> {
    /// `tokenizer.ggml.model`.
    pub model: String,
    /// `tokenizer.ggml.pre`.
    pub pre: Option<String>,
    /// Token texts by id, as bytes: old vocabularies hold strings that are not UTF-8.
    pub tokens: Vec<&'a [u8]>,
    /// Score of each token.
    pub scores: Option<Vec<f32>>,
    /// Type of each token: 0 undefined, 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    pub types: Option<Vec<i32>>,
    /// Merge rules `left right`, best first.
    pub merges: Option<Vec<&'a [u8]>>,
    /// Ids with a meaning.
    pub special: SpecialIds,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `general.name`: Phi-3's tokens behave in a way only its name tells.
    pub name: Option<String>,
}

/// Special-token ids by short name, as the file states them: any integer.
#[derive(Debug, Clone, Default)]
pub struct SpecialIds(Vec<(&'static str, i128)>);

impl SpecialIds {
    /// The short names and, where it differs, what the key calls them.
    pub(crate) const NAMES: [&'static str; 11] = [
        "bos", "eos", "eot", "eom", "unk", "sep", "pad", "mask", "fim_pad", "fim_rep", "fim_sep",
    ];

    /// The metadata key of a short name.
    pub(crate) fn key(name: &str) -> String {
        let long = match name {
            "unk" => "unknown",
            "sep" => "seperator", // the format's own spelling
            "pad" => "padding",
            other => other,
        };
        format!("tokenizer.ggml.{long}_token_id")
    }

    /// The id under a short name (`bos eos eot eom unk sep pad mask fim_pad fim_rep fim_sep`).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<i128> {
        self.0.iter().find(|(n, _)| *n == name).map(|&(_, id)| id)
    }

    /// Sets the id under a short name; other names are ignored.
    pub fn set(&mut self, name: &str, id: i128) {
        if let Some(name) = Self::NAMES.into_iter().find(|n| *n == name) {
            self.0.retain(|(n, _)| *n != name);
            self.0.push((name, id));
        }
    }
}

impl<'a> VocabSpec<'a> {
    /// Reads the `tokenizer.ggml.*` keys.
    ///
    /// # Errors
    /// `E_META_MISSING` without a model or tokens, `E_META_TYPE` where a value has another type.
    pub fn from_directory(d: &'a Directory) -> Result<Self, Error> {
        let mut special = SpecialIds::default();
        for name in SpecialIds::NAMES {
            let key = SpecialIds::key(name);
            if let Some(value) = d.get(&key) {
                special.set(
                    name,
                    value
                        .as_int()
                        .ok_or_else(|| wrong_type(&key, &value, "an integer"))?,
                );
            }
        }
        Ok(Self {
            model: text(d, "tokenizer.ggml.model")?
                .ok_or_else(|| missing("tokenizer.ggml.model"))?,
            pre: text(d, "tokenizer.ggml.pre")?,
            tokens: strings(d, "tokenizer.ggml.tokens")?
                .ok_or_else(|| missing("tokenizer.ggml.tokens"))?,
            scores: numbers(d, "tokenizer.ggml.scores", "an array of f32", |v| match v {
                Value::F32(x) => Some(x),
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "scores are ranks; llama.cpp rounds integer ones alike"
                )]
                Value::I32(x) => Some(x as f32),
                _ => None,
            })?,
            types: numbers(
                d,
                "tokenizer.ggml.token_type",
                "an array of i32",
                |v| match v {
                    Value::I32(x) => Some(x),
                    _ => None,
                },
            )?,
            merges: strings(d, "tokenizer.ggml.merges")?,
            special,
            add_bos: flag(d, "tokenizer.ggml.add_bos_token")?,
            add_eos: flag(d, "tokenizer.ggml.add_eos_token")?,
            add_space_prefix: flag(d, "tokenizer.ggml.add_space_prefix")?,
            name: text(d, "general.name").unwrap_or_default(),
        })
    }
}

fn missing(key: &str) -> Error {
    Error::MetaMissing { key: key.into() }
}

fn wrong_type(key: &str, value: &Value<'_>, want: &'static str) -> Error {
    Error::MetaType {
        key: key.into(),
        found: value.describe(),
        want,
    }
}

fn text(d: &Directory, key: &str) -> Result<Option<String>, Error> {
    match d.get(key) {
        None => Ok(None),
        Some(Value::Str(bytes)) => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
        Some(other) => Err(wrong_type(key, &other, "a string")),
    }
}

fn flag(d: &Directory, key: &str) -> Result<Option<bool>, Error> {
    match d.get(key) {
        None => Ok(None),
        Some(Value::Bool(b)) => Ok(Some(b)),
        Some(other) => Err(wrong_type(key, &other, "a bool")),
    }
}

fn array<'a>(d: &'a Directory, key: &str, want: &'static str) -> Result<Option<Array<'a>>, Error> {
    match d.get(key) {
        None => Ok(None),
        Some(Value::Array(array)) => Ok(Some(array)),
        Some(other) => Err(wrong_type(key, &other, want)),
    }
}

fn strings<'a>(d: &'a Directory, key: &str) -> Result<Option<Vec<&'a [u8]>>, Error> {
    const WANT: &str = "an array of strings";
    let Some(found) = array(d, key, WANT)? else {
        return Ok(None);
    };
    // Writers give an empty list any element type.
    if found.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let strings = found
        .strings()
        .ok_or_else(|| wrong_type(key, &Value::Array(found), WANT))?;
    Ok(Some(strings.iter().collect()))
}

fn numbers<T>(
    d: &Directory,
    key: &str,
    want: &'static str,
    read: impl Fn(Value<'_>) -> Option<T>,
) -> Result<Option<Vec<T>>, Error> {
    let Some(found) = array(d, key, want)? else {
        return Ok(None);
    };
    if matches!(found.elem(), ValueType::Str | ValueType::Array) {
        return Err(wrong_type(key, &Value::Array(found), want));
    }
    let all: Option<Vec<T>> = found.iter().map(read).collect();
    all.map(Some)
        .ok_or_else(|| wrong_type(key, &Value::Array(found), want))
}
