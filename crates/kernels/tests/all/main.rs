//! Every kernel against its CPU twin.
//!
//! One binary: linking the device layer into one for each file would take longer than the tests.

mod attention;
mod attention_batch;
mod attention_long;
mod attention_split;
mod common;
mod experts;
mod extremes;
mod families;
mod float16_traps;
mod heads;
mod hostile;
mod matmul;
mod matmul_tile;
mod sample;
mod sample_twin;
mod shaders;
