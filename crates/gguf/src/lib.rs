//! Incremental GGUF header reader: bytes in, typed directory out.
#![forbid(unsafe_code)]

pub mod types;
pub mod write;

pub use types::{TensorType, UnknownType};
