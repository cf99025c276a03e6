//! The engine, on whatever adapter WASM_CHORD_TEST_ICD names, or with WASM_CHORD_TEST_DEVICE=cpu on the CPU. Tests with `_on_gpu`
//! in their name hold on a GPU only.
//!
//! One binary: linking the device layer into one for each file would take longer than the tests.

mod attention_split;
mod bad_models;
mod common;
mod counters;
mod cpu_twins;
mod device;
mod families;
mod fast;
mod full_gemma3;
mod full_golden;
mod full_perplexity;
mod golden;
mod kept_pipelines;
mod kv_ahead;
mod kv_dense;
mod kv_grow;
mod kv_logits;
mod kv_pages_model;
mod kv_ring;
mod kv_sessions;
mod kv_submits;
mod resume;
mod sampler;
mod selftest;
mod sharded;
mod speculation;
mod static_plan;
mod text_edges;
mod tiles;
mod tune;
mod weight_types;
