//! The command as it is built: what it prints, its exit codes, its files.

mod command;
mod common;
mod download;
mod download_refused;
mod download_used;
mod engine;
mod inspect;
mod logits;
mod nvidia;
mod profile;
mod smollm2;
mod split;
mod terminal;
mod trace_bench;
