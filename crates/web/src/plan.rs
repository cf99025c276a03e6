//! What a model needs, from its header alone.

use crate::error;
use crate::source::{JsSource, Source};
use chord_model::{CHUNK, Config, DeviceLimits, FitPlan};
use chord_runtime::{Error, KvType, ModelSource as _, read_header};
use chord_text::{ChatTemplate, Tokenizer};
use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    context_length: Option<u32>,
    kv: Option<String>,
    /// The device's, where there is one.
    limits: Option<Limits>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    max_binding: u64,
    max_buffer: u64,
    /// Of all buffers together, where that is known.
    total: Option<u64>,
}

/// Context that is not halved any more: what does not fit with it does not fit.
const LEAST_CONTEXT: u32 = 1024;

/// KV storage by its name; f16 where nothing is asked.
pub(crate) fn kv_type(name: Option<&str>) -> Result<KvType, JsValue> {
    let name = name.unwrap_or(KvType::F16.name());
    KvType::named(name).ok_or_else(|| {
        let names = KvType::ALL.map(KvType::name).join(", ");
        error::of(
            "E_PARAM",
            &format!("kv is {name:?}"),
            &format!("use one of {names}"),
        )
    })
}

/// `ModelInfo` of the package's types.
pub(crate) fn model_info(c: &Config, tokenizer: &Tokenizer, template: bool) -> Value {
    json!({
        "architecture": c.arch.name(), "name": c.name, "layers": c.n_layers, "width": c.d_model, "heads": c.n_heads,
        "kvHeads": c.n_kv_heads, "headDim": c.head_dim, "vocabulary": c.n_vocab, "trainedContext": c.trained_context,
        "tokenizer": tokenizer.describe(), "chatTemplate": template,
    })
}

/// Reads the header and plans: `Plan` of the package's types, but for `adapter`, as JSON.
///
/// # Errors
/// What is wrong with the header or the request.
#[wasm_bindgen]
pub async fn plan(source: Source, options: String) -> Result<String, JsValue> {
    let options: Options = serde_json::from_str(&options).map_err(|e| error::shape(&e))?;
    let kv = kv_type(options.kv.as_deref())?;
    let total = options.limits.as_ref().and_then(|l| l.total);
    let limits = options.limits.map(|l| DeviceLimits {
        max_binding: l.max_binding,
        max_buffer: l.max_buffer,
        chunk: CHUNK,
    });
    let source = JsSource::new(source);
    let planned = async || -> Result<Value, Error> {
        let directory = read_header(&source).await?;
        let config = Config::from_directory(&directory)?;
        let tokenizer = Tokenizer::from_directory(&directory)?;
        let template = ChatTemplate::from_directory(&directory)?;
        let plan =
            |context| FitPlan::from_header(&directory, &config, kv, context, limits.as_ref());
        let most = total.unwrap_or(u64::MAX);
        let mut fit = plan(options.context_length)?;
        let mut context_max = fit.context_max;
        // Where nobody asked for so much context: as much as there is memory for.
        while options.context_length.is_none()
            && fit.total_bytes > most
            && fit.context > LEAST_CONTEXT
        {
            fit = plan(Some(fit.context / 2))?;
            context_max = fit.context;
        }
        let mut reasons = fit.verdict.reasons;
        if fit.total_bytes > most {
            let (needed, most) = (fit.total_bytes >> 20, most >> 20);
            reasons.push(format!(
                "it needs {needed} MiB of memory, and a page's worker has {most}"
            ));
        }
        Ok(json!({
            "fits": limits.map(|_| reasons.is_empty()),
            "reasons": reasons,
            "contextLength": fit.context,
            "contextLengthMax": context_max,
            "bytes": {
                "file": source.size(), "weights": fit.weights_bytes, "kv": fit.kv_bytes, "scratch": fit.scratch_bytes,
                "total": fit.total_bytes,
            },
            "model": model_info(&config, &tokenizer, template.is_some()),
        }))
    };
    match planned().await {
        Ok(plan) => Ok(plan.to_string()),
        Err(e) => Err(error::reading(&e, &source)),
    }
}
