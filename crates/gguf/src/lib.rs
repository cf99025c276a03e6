//! Incremental GGUF header reader: bytes in, typed directory out.
//!
//! Reads GGUF versions 2 and 3. [`Parser`] takes a file's bytes in pieces of any size and gives a [`Directory`]:
//! metadata in file order, tensors with absolute offsets, all checked. It does no I/O, never panics on what a file
//! says, never allocates from a count in the file, and holds the header only, never tensor data.
//!
//! Decisions where readers differ: tensors of 0 dimensions or with a dimension of 0 are refused, as are holes between
//! tensors and values of `general.alignment` that are not u32; bytes after the last tensor are accepted.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::arithmetic_side_effects
)]

mod cursor;
mod directory;
mod error;
mod getters;
mod items;
mod layout;
mod limits;
mod magic;
mod parser;
mod split;
mod types;
mod value;
#[expect(
    clippy::arithmetic_side_effects,
    reason = "writes fixtures from specs made in tests; reads nothing"
)]
pub mod write;

pub use directory::{Directory, TensorInfo};
pub use error::{Error, Result};
pub use limits::Limits;
pub use parser::{Parser, Progress};
pub use split::PartName;
pub use types::{TensorType, UnknownType};
pub use value::{Array, StrArray, Value, ValueType};
