//! WGSL kernels, their CPU twins, and the device layer that runs them.
//!
//! One module per kernel: its parameters, its shader permutation, its grid and its twin, a scalar CPU function that is the
//! truth that GPU and CPU are tested against. [`op::Kernel`] joins them; [`device`] runs the same steps on either.

#![deny(unsafe_code)]

pub mod act;
pub mod activate;
pub mod attention;
pub mod cpu;
pub mod device;
pub mod embed;
mod error;
pub mod files;
mod fingerprint;
pub mod gpu;
mod kv;
pub mod kv_write;
pub mod matmul;
pub mod op;
pub mod post_norm;
pub mod preprocess;
pub mod profile;
mod rope;
pub mod route;
pub mod sample;
pub mod shaders;
pub mod sum_routes;
pub mod variants;

pub use error::Error;
pub use kv::{KvShape, KvType, PAGE, SCALED};
pub use rope::rope_table;
