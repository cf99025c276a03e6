//! GGUF directory to Config, fit plan, weights and the static step list; KV pages.
#![forbid(unsafe_code)]

pub mod config;
pub mod error;

