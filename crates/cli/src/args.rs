//! The command line: every flag, its type and its help.

mod bench;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use chord_runtime::KvType;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use bench::BenchArgs;

/// Run a GGUF language model on your own machine, on its GPU or its CPU, from the terminal.
#[derive(Debug, Parser)]
#[command(
    name = "wasm-chord",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "MODEL is a file, an https:// address, or hf:owner/repo/file.gguf (kept in the cache folder after the first download).\n\n\
Examples:\n  \
  wasm-chord run model.gguf \"Why is the sky blue?\"\n  \
  wasm-chord run hf:owner/repo/model.gguf          chat in the terminal\n  \
  cat notes.txt | wasm-chord run model.gguf -      prompt from standard input\n  \
  wasm-chord inspect model.gguf --ctx 4096         what is in the file, and does it fit\n\n\
Exit codes: 0 ok, 1 trace found faults, 2 usage, 3 model file, 4 no usable adapter, 5 device lost or out of memory, 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Log what the engine does to standard error (-v: steps, -vv: everything)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// One subcommand each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer a prompt, or chat when no prompt is given on a terminal
    #[command(
        after_help = "Examples:\n  wasm-chord run model.gguf \"Name three colours.\" --temperature 0\n  \
echo 'Summarise: ...' | wasm-chord run model.gguf\n  wasm-chord run model.gguf \"Hi\" --json | jq -r .text"
    )]
    Run(RunArgs),
    /// Show metadata, tensors and whether the model fits; reads the header only, opens no device
    Inspect(InspectArgs),
    /// Text to token ids
    Tokenize(TokenizeArgs),
    /// Token ids to text
    Detokenize(DetokenizeArgs),
    /// Logits of a token sequence, or the perplexity of a text
    #[command(
        after_help = "Examples:\n  wasm-chord eval model.gguf --tokens ids.json --logits out.npy --chunk 32\n  \
wasm-chord eval model.gguf --perplexity text.txt --precision exact"
    )]
    Eval(EvalArgs),
    /// Write every intermediate tensor, check it, compare it with another dump or a reference
    #[command(
        after_help = "Examples:\n  wasm-chord trace model.gguf --tokens ids.json --out dump\n  \
wasm-chord trace model.gguf --tokens ids.json --against dump\n  \
wasm-chord trace model.gguf --against reference.json     (takes the ids from the reference)"
    )]
    Trace(TraceArgs),
    /// Measure prefill and decode speed, and count the work per token
    #[command(
        after_help = "MODEL may also be synth:NAME, a model of a real shape with made-up weights that needs no file: synth:llama-8b-q4_k_m;\n\
any other name lists them all.\n\n\
Examples:\n  wasm-chord bench model.gguf -p 512 -g 128\n  \
wasm-chord bench model.gguf --depth 8192                 with 8192 tokens in the context\n  \
wasm-chord bench synth:llama-1b-q4_k_m --profile --trace-out trace.json"
    )]
    Bench(BenchArgs),
    /// List the GPU adapters of this machine, and its CPU
    Adapters(AdaptersArgs),
    /// Write a completion script for your shell to standard output
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether the caller asked for JSON on standard output.
    pub fn json(&self) -> bool {
        match self {
            Command::Run(a) => a.json,
            Command::Inspect(a) => a.json,
            Command::Tokenize(a) => a.json,
            Command::Detokenize(a) => a.json,
            Command::Eval(a) => a.json,
            Command::Trace(a) => a.json,
            Command::Bench(a) => a.json,
            Command::Adapters(a) => a.json,
            Command::Completions { .. } => false,
        }
    }
}

/// Where the model comes from.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// A GGUF file, an https:// address, or hf:owner/repo/file.gguf
    pub model: OsString,
    /// Expected SHA-256 of the model file (64 hex digits); anything else is refused
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
}

/// How the engine is set up.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// Context length in tokens, with memory for all of them [default: the largest that model and device allow; a GPU's memory for it is
    /// taken as it fills]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub ctx: Option<u32>,
    /// Storage type of the KV cache; q8_0 takes half the memory of f16 [default: f16, or f32 with --precision exact]
    #[arg(long, value_name = "TYPE", value_parser = values::kv_type())]
    pub kv: Option<KvType>,
    /// fast may round activations to int8; exact keeps every operand in f32
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionArg>,
    /// Where the model runs
    #[arg(long, value_enum, default_value = "auto")]
    pub device: DeviceArg,
    /// Use the GPU adapter whose name contains this text, or with this number (see `wasm-chord adapters`)
    #[arg(long, value_name = "NAME|NUMBER")]
    pub adapter: Option<String>,
    /// Threads of the CPU, where the model runs on it [default: as many as it runs at once]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Guess tokens ahead where the text repeats itself, and compute several in one pass [default: auto, which is off for bench]
    #[arg(long, value_enum)]
    pub speculate: Option<SpeculateArg>,
    /// Measure which kernels are fastest for this model on this GPU [default: auto]
    #[arg(long, value_enum)]
    pub tune: Option<TuneArg>,
    /// A smaller model with the same tokens that guesses ahead where that is measured to pay: MODEL's forms
    #[arg(long, value_name = "MODEL")]
    pub draft_model: Option<OsString>,
}

/// Guessing tokens ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpeculateArg {
    /// On the CPU, where it is measured to pay; the answer stays the same
    Auto,
    /// Never
    Off,
    /// Wherever the text repeats itself, on a GPU too
    Lookup,
}

/// Measuring variants of the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TuneArg {
    /// On GPUs that are not in software, once for each model; what was measured is kept beside the compiled kernels
    Auto,
    /// On any GPU
    Always,
    /// Never
    Off,
}

/// Where the model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// A GPU, unless there is none, or only one in software, or its kernels compute wrongly: then the CPU
    #[default]
    Auto,
    /// A GPU, even one in software
    Gpu,
    /// The CPU
    Cpu,
}

/// Arithmetic of matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    Fast,
    Exact,
}

/// How the next token is chosen. Unset values come from the model file, then from the usual defaults.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Randomness; 0 always takes the likeliest token [default: from the model, else 0.8]
    #[arg(long, value_name = "T", value_parser = values::temperature)]
    pub temperature: Option<f32>,
    /// Keep the K likeliest tokens; 0 keeps all [default: from the model, else 40]
    #[arg(long, value_name = "K")]
    pub top_k: Option<u32>,
    /// Keep the smallest set of tokens with this total probability; 1 is off [default: from the model, else 0.95]
    #[arg(long, value_name = "P", value_parser = values::top_p)]
    pub top_p: Option<f32>,
    /// Drop tokens less likely than this share of the likeliest; 0 is off [default: from the model, else 0.05]
    #[arg(long, value_name = "P", value_parser = values::min_p)]
    pub min_p: Option<f32>,
    /// How many of the last tokens the penalties look at; 0 is none, -1 all [default: from the model, else 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::last_n)]
    pub repeat_last_n: Option<u32>,
    /// Divide the logits of recent tokens by this; 1 is off [default: from the model, else 1]
    #[arg(long, value_name = "X", value_parser = values::repeat_penalty)]
    pub repeat_penalty: Option<f32>,
    /// Subtract this from the logits of tokens already there [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = values::presence_penalty)]
    pub presence_penalty: Option<f32>,
    /// Subtract this for each time a token is already there [default: 0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = values::frequency_penalty)]
    pub frequency_penalty: Option<f32>,
    /// Seed of the random choice: same seed, same answer [default: a new one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// What the model's chat template is told.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Chat template")]
pub struct TemplateArgs {
    /// Ask a model that can reason to do so first
    #[arg(long, conflicts_with_all = ["raw", "no_think"])]
    pub think: bool,
    /// Ask a model that can reason to answer at once
    #[arg(long, conflicts_with = "raw")]
    pub no_think: bool,
    /// Tool definitions: a file with a JSON list in OpenAI's shape
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub tools: Option<PathBuf>,
    /// Set a variable of the chat template, such as enable_thinking=false; a value that is no JSON is a text; may be given
    /// more than once
    #[arg(long, value_name = "NAME=JSON", conflicts_with = "raw")]
    pub chat_template_kwarg: Vec<String>,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The prompt; `-` reads it from standard input; without one, a terminal starts a chat
    pub prompt: Option<OsString>,
    /// Instructions that come before the conversation
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    pub system: Option<String>,
    /// Continue the prompt as it stands, without the model's chat template
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Most tokens to answer with [default: until the context is full]
    #[arg(long, short = 'n', value_name = "N")]
    pub max_tokens: Option<u32>,
    /// Stop before this text; may be given more than once
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub stop: Vec<String>,
    /// One JSON object a line on standard output
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub sampling: SamplingArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Context length to plan for [default: the model's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub ctx: Option<u32>,
    /// Storage type of the KV cache to plan for
    #[arg(long, value_name = "TYPE", value_parser = values::kv_type(), default_value = "f16")]
    pub kv: KvType,
    /// Plan against the limits of the adapter whose name contains this text, or with this number; without it no GPU is touched
    #[arg(long, value_name = "NAME|NUMBER")]
    pub adapter: Option<String>,
    /// Show array contents and every tensor in full
    #[arg(long)]
    pub all: bool,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `tokenize`.
#[derive(Debug, Clone, Args)]
pub struct TokenizeArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The text; `-` reads it from standard input
    pub text: OsString,
    /// Read the texts of special tokens (such as <|im_start|>) as these tokens
    #[arg(long)]
    pub special: bool,
    /// Do not add the tokens that the model wants around a text (BOS, EOS)
    #[arg(long)]
    pub no_bos: bool,
    /// One JSON object: {"tokens":[...]}
    #[arg(long)]
    pub json: bool,
}

/// `detokenize`.
#[derive(Debug, Clone, Args)]
pub struct DetokenizeArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Token ids; without any, a JSON array or {"tokens":[...]} is read from standard input
    pub ids: Vec<u32>,
    /// Leave special tokens out instead of writing their text
    #[arg(long)]
    pub skip_special: bool,
    /// One JSON object: {"text":"..."}
    #[arg(long)]
    pub json: bool,
}

/// `eval`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["tokens", "perplexity"]))]
pub struct EvalArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Token ids: a JSON array, or an object with "tokens" or "ids"
    #[arg(long, value_name = "FILE.json", requires = "logits")]
    pub tokens: Option<PathBuf>,
    /// Where the logits go: .npy, float32, shape [n_tokens, n_vocab]
    #[arg(long, value_name = "OUT.npy", requires = "tokens")]
    pub logits: Option<PathBuf>,
    /// Text whose perplexity is measured in one context
    #[arg(long, value_name = "TEXTFILE")]
    pub perplexity: Option<PathBuf>,
    /// Tokens computed at a time, at most 32
    #[arg(long, value_name = "N", default_value_t = values::MAX_CHUNK, value_parser = values::chunk)]
    pub chunk: u32,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `trace`. Precision defaults to exact here: a trace is compared with references.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("where").required(true).multiple(true).args(["out", "against"]))]
pub struct TraceArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Token ids: a JSON array, or an object with "tokens" or "ids" [default: those of the reference]
    #[arg(long, value_name = "FILE.json", required_unless_present = "against")]
    pub tokens: Option<PathBuf>,
    /// Folder for the .npy files, index.json and summary.txt
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Compare with this dump (a folder) or reference (a .json file) and name the first tensor that differs
    #[arg(long, value_name = "DIR|FILE.json")]
    pub against: Option<PathBuf>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// `adapters`.
#[derive(Debug, Clone, Args)]
pub struct AdaptersArgs {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
