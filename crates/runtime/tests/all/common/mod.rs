//! Loading the reference models and data.
#![allow(dead_code, reason = "each test binary uses a part")]

use chord_gguf::Directory;
use chord_kernels::shaders::Weights;
use chord_kernels::variants::PREFILL_COLS;
use chord_model::{Config, GraphOptions, Plan, plan};
use chord_runtime::{
    DeviceChoice, Engine, EngineOptions, GenerateRequest, KvType, Layout, ModelSource, Precision,
    Sampling, Session,
};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Nobody cancels.
pub static NEVER: AtomicBool = AtomicBool::new(false);

pub struct Bytes(pub Vec<u8>);

impl ModelSource for Bytes {
    fn size(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let from = self
            .0
            .get(at..at + buf.len())
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(from);
        Ok(())
    }
}

pub fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(path)
}

pub fn read(path: &str) -> Vec<u8> {
    let path = data(path);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A model by its name in tests/data: the tiny ones are there, real ones are in the cache (`just setup` puts SmolLM2 there,
/// `just test-full` the other).
pub fn model(name: &str) -> Bytes {
    let variable = match name {
        SMOL => "WASM_CHORD_SMOLLM2",
        "gemma-3-270m-q4_k_m" => "WASM_CHORD_GEMMA3",
        _ => return Bytes(read(&format!("models/{name}.gguf"))),
    };
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let default = cache
        .unwrap_or_default()
        .join(format!("wasm-chord/models/{name}.gguf"));
    let path = std::env::var_os(variable).map_or(default, PathBuf::from);
    Bytes(
        std::fs::read(&path)
            .unwrap_or_else(|e| panic!("{}: {e}; run `just setup` first", path.display())),
    )
}

pub const TINY: &str = "v2k-llama-Q4_K_M";
pub const SMOL: &str = "SmolLM2-135M-Instruct.Q4_1";

/// The device that tests are run on: `WASM_CHORD_TEST_DEVICE=cpu` for the CPU.
pub fn device() -> DeviceChoice {
    match std::env::var("WASM_CHORD_TEST_DEVICE").as_deref() {
        Ok("cpu") => DeviceChoice::Cpu,
        // `Auto` would leave a GPU in software for the CPU.
        Err(_) | Ok("gpu") => DeviceChoice::Gpu,
        Ok(other) => panic!("WASM_CHORD_TEST_DEVICE is cpu or gpu, not {other:?}"),
    }
}

/// First in a test of what only a GPU has. The run on the CPU leaves such tests out by `_on_gpu` in their name; one that it
/// selects all the same fails here.
pub fn gpu_only() {
    assert_eq!(device(), DeviceChoice::Gpu, "this holds on a GPU only");
}

/// The defaults on the device of the run, with `WASM_CHORD_TEST_CHECKED=1` with checked kernels and weights row by row. Every test's options come from here.
pub fn base() -> EngineOptions {
    let checked = std::env::var_os("WASM_CHORD_TEST_CHECKED").is_some_and(|c| c == "1");
    EngineOptions {
        device: device(),
        checked_kernels: checked,
        weights: checked.then_some(Weights::Rows),
        ..EngineOptions::default()
    }
}

pub fn exact() -> EngineOptions {
    EngineOptions {
        precision: Precision::Exact,
        kv: KvType::F32,
        context: Some(1024),
        ..base()
    }
}

pub fn load(name: &str, options: &EngineOptions) -> Engine {
    pollster::block_on(Engine::load(&model(name), options, &NEVER, &mut |_| {}))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub fn described(engine: &Engine, key: &str) -> String {
    let found = engine.describe().into_iter().find(|(k, _)| k == key);
    found.unwrap_or_else(|| panic!("no {key}")).1
}

pub fn greedy(prompt: &[u32], n: u32) -> GenerateRequest {
    GenerateRequest {
        prompt: prompt.to_vec(),
        max_tokens: Some(n),
        sampling: Sampling::greedy(),
        stop: Vec::new(),
        ignore_eog: true,
        ..GenerateRequest::default()
    }
}

pub fn generate(
    engine: &mut Engine,
    session: &mut Session,
    request: &GenerateRequest,
) -> chord_runtime::Done {
    pollster::block_on(session.generate(engine, request, &AtomicBool::new(false), &mut |_| {}))
        .unwrap()
}

/// Logits of every token.
pub fn eval(engine: &mut Engine, tokens: &[u32], chunk: u32) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    pollster::block_on(engine.eval(tokens, chunk, &mut |_, row| rows.push(row.to_vec()))).unwrap();
    rows
}

#[derive(Deserialize)]
pub struct Run {
    pub prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
pub struct Prompt {
    pub name: String,
    pub prompt_ids: Vec<u32>,
    pub ids: Vec<u32>,
    pub eog_at: i64,
    pub topk: Vec<Vec<(u32, f32)>>,
    pub lse: Vec<f32>,
}

/// A reference run: `variant` is "deq" or "cpu".
pub fn reference(name: &str, variant: &str) -> Run {
    serde_json::from_slice(&read(&format!("run/{name}.{variant}.json"))).unwrap()
}

/// Log-probabilities.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let top = logits
        .iter()
        .fold(f64::NEG_INFINITY, |a, l| a.max(f64::from(*l)));
    let lse = top
        + logits
            .iter()
            .map(|l| (f64::from(*l) - top).exp())
            .sum::<f64>()
            .ln();
    logits.iter().map(|l| f64::from(*l) - lse).collect()
}

/// KL(p || q) in nats.
pub fn kl(p: &[f32], q: &[f32]) -> f64 {
    let (p, q) = (log_softmax(p), log_softmax(q));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
}

pub fn argmax(row: &[f32]) -> usize {
    row.iter()
        .enumerate()
        .fold(0, |best, (i, v)| if *v > row[best] { i } else { best })
}

/// The f32 values of a two-dimensional .npy file, as rows.
pub fn npy(path: &str) -> Vec<Vec<f32>> {
    let bytes = read(path);
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..header]).unwrap();
    let shape = text
        .split("'shape': (")
        .nth(1)
        .unwrap()
        .split(')')
        .next()
        .unwrap();
    let columns: usize = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    assert!(text.contains("'<f4'"), "{text}");
    let values: Vec<f32> = bytes[header..]
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    values.chunks_exact(columns).map(<[f32]>::to_vec).collect()
}

pub fn logits_ids(name: &str) -> Vec<u32> {
    #[derive(Deserialize)]
    struct File {
        ids: Vec<u32>,
    }
    serde_json::from_slice::<File>(&read(&format!("logits/{name}.deq.json")))
        .unwrap()
        .ids
}

pub fn worst(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .flatten()
        .zip(b.iter().flatten())
        .fold(0.0, |m, (a, b)| {
            if (a - b).is_finite() {
                m.max((a - b).abs())
            } else {
                f32::INFINITY
            }
        })
}

/// A prompt stops counting where the reference's own top two are closer than this.
const MARGIN: f32 = 0.01;

/// Greedy ids of every prompt equal the reference's; says where a prompt stopped counting and why. `steps` is how many the
/// reference's own margins let count.
pub fn greedy_equals_reference(name: &str, prompts: &[&str], steps: usize) {
    greedy_equals_reference_with(name, &exact(), prompts, steps);
}

/// The same with other options.
pub fn greedy_equals_reference_with(
    name: &str,
    options: &EngineOptions,
    prompts: &[&str],
    steps: usize,
) {
    let mut engine = load(name, options);
    let mut compared = 0;
    for prompt in reference(name, "deq")
        .prompts
        .iter()
        .filter(|p| prompts.is_empty() || prompts.contains(&p.name.as_str()))
    {
        let mut session = engine.new_session().unwrap();
        let done = generate(
            &mut engine,
            &mut session,
            &greedy(&prompt.prompt_ids, prompt.ids.len() as u32),
        );
        session.close(&mut engine);
        assert_eq!(done.tokens.len(), prompt.ids.len());
        for (step, (ours, theirs)) in done.tokens.iter().zip(&prompt.ids).enumerate() {
            let margin = prompt.topk[step][0].1 - prompt.topk[step][1].1;
            if margin < MARGIN {
                println!(
                    "{name} {}: stops counting at step {step}, the reference's margin is {margin:.4}",
                    prompt.name
                );
                break;
            }
            assert_eq!(
                ours, theirs,
                "{name} {} step {step} (margin {margin})",
                prompt.name
            );
            compared += 1;
            if i64::try_from(step).unwrap() == prompt.eog_at {
                println!("{name} {}: end of generation at step {step}", prompt.name);
                break;
            }
        }
    }
    assert_eq!(compared, steps, "steps compared");
    println!("{name}: {compared} steps equal");
}

/// Mean KL and top-1 agreement with the reference logits. Tiny models: the first 512 logits are compared as numbers.
pub fn logits_equal_reference(name: &str, context: u32) {
    let options = EngineOptions {
        context: Some(context),
        ..exact()
    };
    let mut engine = load(name, &options);
    let ours = eval(&mut engine, &logits_ids(name), 32);
    let theirs = npy(&format!(
        "logits/{name}.deq.{}.npy",
        if name == SMOL { "full" } else { "slice" }
    ));
    if name == SMOL {
        let mean = theirs.iter().zip(&ours).map(|(t, o)| kl(t, o)).sum::<f64>() / ours.len() as f64;
        let agree = theirs
            .iter()
            .zip(&ours)
            .filter(|(t, o)| argmax(t) == argmax(o))
            .count();
        println!(
            "{name} exact: mean KL {mean:.3e}, top-1 {agree}/{}",
            ours.len()
        );
        assert!(mean <= 1e-6, "mean KL {mean:e}");
        assert_eq!(agree, ours.len());
    } else {
        let ours: Vec<Vec<f32>> = ours.iter().map(|r| r[..512].to_vec()).collect();
        let worst = worst(&ours, &theirs);
        println!("{name} exact: largest logit difference {worst:.2e}");
        assert!(worst < 2e-3, "largest difference {worst}");
    }
}

/// What a plan is made for where no device has a say: one short conversation, every operand f32.
pub fn graph_options() -> GraphOptions {
    GraphOptions {
        kv: KvType::F32,
        exact: true,
        seq_pages: 4,
        sink_pages: 0,
        pages: 4,
        sequences: 1,
        chunk: 32,
        cols: PREFILL_COLS,
        layout: Layout::RowPerThread,
        tiles: None,
        attention_threads: 32,
        attention_cols: 1,
        splits: None,
        eog: 1,
        positions: 128,
        taps: false,
        max_binding: u64::MAX,
    }
}

/// The plan of a reference model.
pub fn plan_of(name: &str, options: &GraphOptions) -> (Plan, Config) {
    let directory = Directory::parse(&model(name).0).unwrap();
    let config = Config::from_directory(&directory).unwrap();
    (plan(&directory, &config, options).unwrap(), config)
}
