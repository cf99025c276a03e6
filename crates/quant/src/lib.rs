//! GGUF block formats: scalar decoding (the truth) and repacking into GPU streams.
//!
//! In: the raw little-endian bytes of whole blocks of one tensor. Out: `f32` values ([`decode`]), or two streams of
//! `u32` words, quants apart from scales ([`repack_rows`]), which the shaders read and [`stream_block`] reads back.
//! Knows nothing of files, tensors' names or the GPU.
//!
//! A new type is one file in `formats/`, one variant of [`WeightType`] with its row in the table, and one shader include.
#![forbid(unsafe_code)]

mod bits;
mod error;
mod formats;
mod stream;
mod weight_type;

pub use error::Error;
pub use formats::codebook::{E2M1, IQ4};
pub use stream::{BLOCK, StreamBlock, StreamLayout, layout, repack_rows, stream_block};
pub use weight_type::{WeightType, decode};
