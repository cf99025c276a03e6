//! What `bench` takes.

use std::path::PathBuf;

use clap::Args;

use super::{EngineArgs, ModelArgs};

/// `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Prompt tokens to prefill
    #[arg(short = 'p', value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub prompt: u32,
    /// Tokens to generate
    #[arg(short = 'g', value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(2..))]
    pub generate: u32,
    /// Repetitions
    #[arg(short = 'r', value_name = "R", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Tokens that the context holds before the prompt: they are computed once, and not measured
    #[arg(short = 'd', long, value_name = "N", default_value_t = 0)]
    pub depth: u32,
    /// Choose tokens as `run` does unless told otherwise, not the likeliest: what sampling costs
    #[arg(long)]
    pub sample: bool,
    /// Also time every kernel by itself, in prefill and in decode: share, bytes, GB/s
    #[arg(long)]
    pub profile: bool,
    /// Write the profile to this file as slices that ui.perfetto.dev and chrome://tracing show
    #[arg(long, value_name = "FILE.json", requires = "profile")]
    pub trace_out: Option<PathBuf>,
    /// One JSON object a line; the last line is the result
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
}
