//! `inspect`: what a file holds and whether it fits, from the header alone.

use std::collections::BTreeMap;

use chord_gguf::{Directory, TensorInfo, Value as GgufValue};
use serde_json::{Map, Value, json};

use super::figures::{bytes, table};
use super::fit;
use super::verdicts::Verdicts;
use crate::args::InspectArgs;
use crate::error::{Error, exit};
use crate::model_file;
use crate::out::Out;

/// Longest text shown without `--all`, characters.
const SHOWN_TEXT: usize = 72;
/// Array elements shown without `--all`.
const SHOWN_ELEMENTS: usize = 6;

pub fn run(args: &InspectArgs) -> Result<u8, Error> {
    let (directory, length) = model_file::header(&args.model)?;
    // What can be shown is shown, also of a model that we cannot run; the reason comes last and is the exit code.
    let verdicts = Verdicts::of(&directory, length, args);
    let mut out = Out::stdout();
    if args.json {
        out.json(&to_json(args, &directory, length, &verdicts))?;
    } else {
        people(args, &directory, length, &verdicts, &mut out)?;
        out.flush()?;
    }
    verdicts.into_error().map_or(Ok(exit::OK), Err)
}

/// Tensors and bytes per storage type.
fn types(tensors: &[TensorInfo]) -> BTreeMap<&'static str, (u64, u64)> {
    let mut types = BTreeMap::new();
    for t in tensors {
        let (count, bytes) = types.entry(t.ty.name()).or_insert((0u64, 0u64));
        *count = count.saturating_add(1);
        *bytes = bytes.saturating_add(t.bytes);
    }
    types
}

fn people(
    args: &InspectArgs,
    directory: &Directory,
    length: Option<u64>,
    verdicts: &Verdicts,
    out: &mut Out,
) -> Result<(), Error> {
    let size = length.map_or("length not known".to_owned(), bytes);
    let parts = match directory.parts() {
        1 => String::new(),
        parts => format!(", {parts} parts"),
    };
    out.line(&format!(
        "{} (GGUF v{}, {size}{parts})\n",
        args.model.model.to_string_lossy(),
        directory.version()
    ))?;
    let rows: Vec<Vec<String>> = directory
        .metadata()
        .map(|(key, value)| vec![key.to_owned(), text(&value, args.all)])
        .collect();
    let listing = table(&["metadata", ""], &rows, &[]);
    // Metadata is a stranger's text.
    out.model_text(&format!("{listing}\n\n"))?;

    let tensors = directory.tensors();
    if args.all {
        let rows: Vec<Vec<String>> = tensors
            .iter()
            .map(|t| {
                vec![
                    t.name.clone(),
                    t.ty.name().to_owned(),
                    format!("{:?}", t.shape()),
                    t.offset.to_string(),
                    bytes(t.bytes),
                ]
            })
            .collect();
        out.model_text(&format!(
            "{}\n\n",
            table(
                &["tensor", "type", "shape", "offset", "size"],
                &rows,
                &[3, 4]
            )
        ))?;
    }
    let rows: Vec<Vec<String>> = types(tensors)
        .into_iter()
        .map(|(name, (n, b))| vec![name.to_owned(), n.to_string(), bytes(b)])
        .collect();
    out.line(&table(&["type", "tensors", "size"], &rows, &[1, 2]))?;
    if !args.all {
        out.line(&format!("({} tensors; --all lists them)", tensors.len()))?;
    }
    if let Ok(c) = &verdicts.config {
        let cut = if c.context_length < c.trained_context {
            format!(" (at most {} are used)", c.context_length)
        } else {
            String::new()
        };
        let experts = c.experts.map_or(String::new(), |e| {
            format!(", {} of {} experts", e.used, e.count)
        });
        let window = c.windows.as_ref().map_or(String::new(), |w| {
            let layers = w.layers.iter().filter(|windowed| **windowed).count();
            format!(", {layers} layers see {} tokens", w.size)
        });
        out.line(&format!(
            "\n{} layers, width {}, {} heads over {} key-value heads of {}, feed-forward {}{experts}{window}, trained for {} tokens{cut}",
            c.n_layers, c.d_model, c.n_heads, c.n_kv_heads, c.head_dim, c.d_ff, c.trained_context
        ))?;
    }
    // Reasons may quote the file.
    out.model_text(&format!(
        "\n{}\n\n",
        table(&["supported", ""], &verdicts.rows(), &[])
    ))?;
    match &verdicts.plan {
        Some(Ok(plan)) => out.line(&fit::words(plan, args.ctx)),
        _ => Ok(()),
    }
}

/// A value in one line.
fn text(value: &GgufValue<'_>, all: bool) -> String {
    match value {
        GgufValue::Str(s) => {
            let s = format!("{:?}", String::from_utf8_lossy(s));
            if all || s.chars().count() <= SHOWN_TEXT {
                s
            } else {
                format!("{}…", s.chars().take(SHOWN_TEXT).collect::<String>())
            }
        }
        GgufValue::Array(a) => {
            let limit = if all { usize::MAX } else { SHOWN_ELEMENTS };
            let items: Vec<String> = a.iter().take(limit).map(|v| text(&v, all)).collect();
            let more = if a.len() > items.len() { ", …" } else { "" };
            format!(
                "{} {}: [{}{more}]",
                a.len(),
                a.elem().name(),
                items.join(", ")
            )
        }
        other => match value_json(other, all) {
            Value::String(s) => s,
            v => v.to_string(),
        },
    }
}

/// A value as JSON. Arrays are counted and shortened unless `all`; numbers that JSON lacks become text.
fn value_json(value: &GgufValue<'_>, all: bool) -> Value {
    let float = |v: f64| {
        if v.is_finite() {
            json!(v)
        } else {
            json!(v.to_string())
        }
    };
    match value {
        GgufValue::F32(v) => {
            // The shortest text that means this f32, not the digits of its f64.
            v.to_string()
                .parse::<f64>()
                .map_or_else(|_| float(f64::from(*v)), float)
        }
        GgufValue::F64(v) => float(*v),
        GgufValue::Bool(v) => json!(v),
        GgufValue::U64(v) => json!(v),
        GgufValue::I64(v) => json!(v),
        GgufValue::Str(s) => json!(String::from_utf8_lossy(s)),
        GgufValue::Array(a) => {
            let limit = if all { usize::MAX } else { SHOWN_ELEMENTS };
            let items: Vec<Value> = a.iter().take(limit).map(|v| value_json(&v, all)).collect();
            if items.len() == a.len() {
                json!(items)
            } else {
                json!({"type": a.elem().name(), "length": a.len(), "first": items})
            }
        }
        small => small
            .as_int()
            .and_then(|v| i64::try_from(v).ok())
            .map_or(Value::Null, |v| json!(v)),
    }
}

fn to_json(
    args: &InspectArgs,
    directory: &Directory,
    length: Option<u64>,
    verdicts: &Verdicts,
) -> Value {
    let metadata: Map<String, Value> = directory
        .metadata()
        .map(|(k, v)| (k.to_owned(), value_json(&v, args.all)))
        .collect();
    let tensors: Vec<Value> = directory
        .tensors()
        .iter()
        .map(|t| json!({"name": t.name, "type": t.ty.name(), "shape": t.shape(), "offset": t.offset, "bytes": t.bytes}))
        .collect();
    let types: Map<String, Value> = types(directory.tensors())
        .into_iter()
        .map(|(name, (n, b))| (name.to_owned(), json!({"tensors": n, "bytes": b})))
        .collect();
    let mut object = json!({
        "model": args.model.model.to_string_lossy(),
        "size": length,
        "parts": directory.parts(),
        "version": directory.version(),
        "alignment": directory.alignment(),
        "data_offset": directory.data_offset(),
        "metadata": metadata,
        "tensors": tensors,
        "types": types,
    });
    if let Some(map) = object.as_object_mut() {
        map.insert("verdicts".into(), verdicts.to_json());
        if let Ok(c) = &verdicts.config {
            map.insert(
                "config".into(),
                json!({
                    "arch": c.arch.name(), "name": c.name, "n_layers": c.n_layers, "d_model": c.d_model, "n_heads": c.n_heads,
                    "n_kv_heads": c.n_kv_heads, "head_dim": c.head_dim, "d_ff": c.d_ff, "n_vocab": c.n_vocab,
                    "experts": c.experts.map(|e| json!({"count": e.count, "used": e.used})),
                    "window": c.windows.as_ref().map(|w| w.size),
                    "context_length": c.context_length, "trained_context": c.trained_context, "tied": c.tied,
                }),
            );
        }
        if let Ok(tokenizer) = &verdicts.tokenizer {
            map.insert("tokenizer".into(), json!(tokenizer));
        }
        if let Ok(template) = &verdicts.template {
            map.insert("chat_template".into(), json!(template));
        }
        if let Some(Ok(plan)) = &verdicts.plan {
            map.insert("fit".into(), fit::to_json(plan));
        }
    }
    object
}
