//! A loaded model with its conversation.

use crate::plan::{kv_type, model_info};
use crate::request::{self, Request};
use crate::source::{JsSource, Source};
use crate::{Cancel, error};
use chord_runtime::{
    DeviceChoice, Engine, EngineOptions, Event, LoadProgress, Precision, Session, Speculate,
};
use chord_text::EncodeOptions;
use js_sys::Function;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wasm_bindgen::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    context_length: Option<u32>,
    kv: Option<String>,
    precision: Option<String>,
    speculate: Option<String>,
    tune: Option<bool>,
    /// What [`Model::tuned`] said of earlier loads, a line each.
    tuned: Option<String>,
    device: String,
    /// Of the processor: this worker, and those that lend themselves.
    threads: Option<usize>,
    /// The adapter has subgroups, and the device will have them: the worker has seen to it.
    subgroups: bool,
    /// Why that device: the page knows, because it asked the browser.
    reason: String,
}

/// A model on a device and one conversation. Calls come one at a time.
#[wasm_bindgen]
pub struct Model {
    engine: Engine,
    session: Session,
    reason: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.engine.fmt(f)
    }
}

/// Precision by its name; fast where nothing is asked.
fn precision(name: Option<&str>) -> Result<Precision, JsValue> {
    match name {
        None | Some("fast") => Ok(Precision::Fast),
        Some("exact") => Ok(Precision::Exact),
        Some(other) => Err(error::of(
            "E_PARAM",
            &format!("precision is {other:?}"),
            "use fast or exact",
        )),
    }
}

/// Speculation by its name; where it pays, where nothing is asked.
fn speculate(name: Option<&str>) -> Result<Speculate, JsValue> {
    match name {
        None | Some("auto") => Ok(Speculate::Auto),
        Some("off") => Ok(Speculate::Off),
        Some("lookup") => Ok(Speculate::Lookup),
        Some(other) => Err(error::of(
            "E_PARAM",
            &format!("speculate is {other:?}"),
            "use auto, off or lookup",
        )),
    }
}

/// Device by its name: the page has chosen already.
fn device(name: &str) -> Result<DeviceChoice, JsValue> {
    match name {
        "gpu" => Ok(DeviceChoice::Gpu),
        "cpu" => Ok(DeviceChoice::Cpu),
        other => Err(error::of(
            "E_PARAM",
            &format!("device is {other:?}"),
            "use gpu or cpu",
        )),
    }
}

/// A callback's own errors are nobody's here.
fn call<const N: usize>(f: &Function, arguments: [JsValue; N]) {
    let _ = f.apply(&JsValue::NULL, &js_sys::Array::from_iter(arguments));
}

#[wasm_bindgen]
impl Model {
    /// Loads a model; `on_progress(stage, loaded, total)` with the stages `header`, `upload`, `compile` and `ready`.
    ///
    /// # Errors
    /// An `Error` with `code` and `help`, or what the source threw.
    pub async fn load(
        source: Source,
        options: String,
        cancel: &Cancel,
        on_progress: Function,
    ) -> Result<Model, JsValue> {
        let options: Options = serde_json::from_str(&options).map_err(|e| error::shape(&e))?;
        let reason = options.reason;
        let options = EngineOptions {
            device: device(&options.device)?,
            context: options.context_length,
            kv: kv_type(options.kv.as_deref())?,
            precision: precision(options.precision.as_deref())?,
            threads: options.threads,
            browser_subgroups: options.subgroups,
            speculate: speculate(options.speculate.as_deref())?,
            tune: options.tune,
            tuned: options.tuned,
            ..EngineOptions::default()
        };
        let source = JsSource::new(source);
        let mut report = |progress: LoadProgress| {
            let (stage, loaded, total) = match progress {
                LoadProgress::Header | LoadProgress::Device => ("header", 0, 0),
                LoadProgress::Weights { done, total } => ("upload", done, total),
                LoadProgress::Pipelines { done, total } => ("compile", done.into(), total.into()),
                LoadProgress::Ready => ("ready", 0, 0),
            };
            let numbers = [loaded, total].map(|n| JsValue::from_f64(n as f64));
            let [loaded, total] = numbers;
            call(&on_progress, [stage.into(), loaded, total]);
        };
        let mut engine = Engine::load(&source, &options, &cancel.0, &mut report)
            .await
            .map_err(|e| error::reading(&e, &source))?;
        let session = engine.new_session().map_err(|e| error::to_js(&e))?;
        Ok(Model {
            engine,
            session,
            reason,
        })
    }

    /// Answers a `GenerateRequest` (JSON): `on_prefill(done, total)` and `on_token(id, text, reasoning, logprobs)`
    /// (the last JSON or undefined) as it goes, then `GenerateDone` (JSON).
    ///
    /// # Errors
    /// An `Error` with `code` and `help`.
    pub async fn generate(
        &mut self,
        request: String,
        cancel: &Cancel,
        on_prefill: Function,
        on_token: Function,
    ) -> Result<String, JsValue> {
        let request: Request = serde_json::from_str(&request).map_err(|e| error::shape(&e))?;
        let request = request
            .for_engine(&self.engine)
            .map_err(|e| error::to_js(&e))?;
        let tokenizer = self.engine.tokenizer().clone();
        let mut on_event = |event: Event| match event {
            Event::Prefill { done, total } => {
                call(&on_prefill, [done.into(), total.into()]);
            }
            Event::Token {
                id,
                text,
                reasoning,
                logprobs,
            } => {
                let logprobs = logprobs.map(|l| request::logprobs(&tokenizer, id, &l).to_string());
                let arguments = [id.into(), text.into(), reasoning.into(), logprobs.into()];
                call(&on_token, arguments);
            }
        };
        let done = self
            .session
            .generate(&mut self.engine, &request, &cancel.0, &mut on_event)
            .await
            .map_err(|e| error::to_js(&e))?;
        Ok(request::done(&done).to_string())
    }

    /// What was measured to be fastest on this GPU, in a line to be handed in at the next load.
    #[must_use]
    pub fn tuned(&self) -> Option<String> {
        self.engine.tuned().map(String::from)
    }

    /// Ids of a text. With `special`, names of control tokens become those; with `bos`, what the vocabulary puts around a
    /// text is added.
    #[must_use]
    pub fn tokenize(&self, text: &str, special: bool, bos: bool) -> Vec<u32> {
        let options = EncodeOptions {
            add_special: bos,
            parse_special: special,
        };
        self.engine.tokenizer().encode(text, options)
    }

    /// Text of ids, with the names of control tokens where `special`.
    ///
    /// # Errors
    /// `E_TOKEN_ID`.
    pub fn detokenize(&self, ids: &[u32], special: bool) -> Result<String, JsValue> {
        let n_vocab = self.engine.config().n_vocab;
        match ids.iter().find(|id| **id >= n_vocab) {
            Some(id) => Err(error::to_js(&chord_runtime::Error::TokenId {
                id: *id,
                n_vocab,
            })),
            None => Ok(self.engine.tokenizer().decode(ids, special)),
        }
    }

    /// `ChordInfo` (JSON).
    #[must_use]
    pub fn info(&self) -> String {
        let (engine, adapter) = (&self.engine, self.engine.adapter());
        let mut describe: Map<String, Value> = engine
            .describe()
            .into_iter()
            .map(|(key, value)| (key, value.into()))
            .collect();
        describe.insert("device".into(), self.reason.clone().into());
        json!({
            "model": model_info(engine.config(), engine.tokenizer(), engine.template().is_some()),
            "adapter": {
                "name": adapter.name, "backend": adapter.backend, "type": adapter.kind, "driver": adapter.driver,
            },
            "device": self.where_it_runs(),
            "contextLength": engine.context_length(),
            "kv": describe.get("kv"),
            "precision": describe.get("precision"),
            "describe": describe,
        })
        .to_string()
    }

    /// The engine's part of `Stats` (JSON).
    #[must_use]
    pub fn stats(&self) -> String {
        let (c, test) = (self.engine.counters(), self.engine.self_test());
        json!({
            "dispatches": c.dispatches, "submits": c.submits, "weightBytes": c.weight_bytes, "kvBytes": c.kv_bytes,
            "readbackBytes": c.readback_bytes, "gpuBytes": c.gpu_bytes, "pipelines": c.pipelines,
            "prefilledTokens": c.prefilled_tokens, "draftedTokens": c.drafted_tokens,
            "acceptedTokens": c.accepted_tokens, "heldTokens": self.session.held_tokens(&self.engine),
            "contextLength": self.engine.context_length(), "loadMs": self.engine.load_ms(),
            "device": self.where_it_runs(),
            "selfTest": { "checks": test.checks, "fallbacks": test.fallbacks },
        })
        .to_string()
    }

    /// `DeviceInfo` of the package's types.
    fn where_it_runs(&self) -> Value {
        let threads = self.engine.threads();
        let kind = if threads == 0 { "gpu" } else { "cpu" };
        json!({ "kind": kind, "reason": self.reason, "threads": threads })
    }

    /// A handle on the device that works while the model is busy.
    #[must_use]
    pub fn device(&self) -> Device {
        Device(self.engine.device_destroyer())
    }
}

/// The device under a model.
#[wasm_bindgen]
pub struct Device(Box<dyn Fn()>);

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

#[wasm_bindgen]
impl Device {
    /// Destroys it, as a driver reset would.
    pub fn destroy(&self) {
        (self.0)();
    }
}
