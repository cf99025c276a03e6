//! One file per format: the block's bytes, its scalar decoder, its repacking and the reader of the repacked form.
//!
//! Functions here get whole blocks or whole rows: lengths are checked once, by their callers.

use crate::StreamBlock;

pub(crate) mod codebook;
mod k_scales;

pub(crate) mod bfloat16;
pub(crate) mod float16;
pub(crate) mod float32;
pub(crate) mod iq4_nl;
pub(crate) mod iq4_xs;
pub(crate) mod mxfp4;
pub(crate) mod q2_k;
pub(crate) mod q3_k;
pub(crate) mod q4_0;
pub(crate) mod q4_1;
pub(crate) mod q4_k;
pub(crate) mod q5_0;
pub(crate) mod q5_1;
pub(crate) mod q5_k;
pub(crate) mod q6_k;
pub(crate) mod q8_0;

/// How the scales of a row lie in the scale stream.
#[derive(Clone, Copy)]
pub(crate) enum ScaleWords {
    /// No scales: one dummy word per tensor, so that there is something to bind.
    None,
    /// One f16 per 32-value block, two a word, each row on a fresh word.
    HalfPerBlock,
    /// One byte per 32-value block, four a word, each row on a fresh word.
    BytePerBlock,
    /// A word per 32-value block, then as `HalfPerBlock`.
    WordAndHalfPerBlock,
    /// This many words per GGUF block.
    PerBlock(usize),
}

/// A row of the type table.
pub(crate) struct Format {
    pub name: &'static str,
    pub ggml_id: u32,
    pub block_elements: usize,
    pub block_bytes: usize,
    pub is_integer: bool,
    /// Where a block has f16 fields, bytes: what random blocks must keep finite.
    pub halves: &'static [usize],
    /// Words of the quant stream per 32 values.
    pub quant_words: usize,
    pub scale_words: ScaleWords,
    /// Whole blocks to values.
    pub decode: fn(bytes: &[u8], out: &mut [f32]),
    /// One row: blocks to the row's words of both streams.
    pub repack_row: fn(bytes: &[u8], quants: &mut [u32], scales: &mut [u32]),
    /// 32-value block `b` of a row from the row's words.
    pub stream_block: fn(quants: &[u32], scales: &[u32], b: usize) -> StreamBlock,
}
