//! GGUF directory to Config, fit plan, weights and the static step list; KV pages.
#![forbid(unsafe_code)]

pub mod config;
pub mod error;
mod fit;
mod graph;
mod kv_pages;
pub mod synth;
mod weights;

pub use config::Config;
pub use error::Error;
pub use fit::{CHUNK, DeviceLimits, FitPlan, Verdict};
pub use graph::{GraphOptions, Ids, Plan, Reach, Splits, Tiles, plan};
pub use kv_pages::{Edit, Full, KvPages, SeqId};
pub use weights::{Part, Segment, Slice, Vector};
