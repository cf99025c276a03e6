//! GPU streams: their sizes, repacking into them, and reading one block back.
//!
//! Both streams are little-endian `u32` words, row-major: a row's words are contiguous, so repacking a range of rows
//! touches one contiguous range of each. The word layout of each type is described in its file in `formats/`.

use crate::formats::ScaleWords;
use crate::{Error, WeightType};

/// Values per stream block, for every type.
pub const BLOCK: usize = 32;

/// Sizes of the two streams of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLayout {
    /// Words of the quant stream.
    pub quant_words: usize,
    /// Words of the scale stream; 1 (never read) for F32 and F16.
    pub scale_words: usize,
    /// 32-value blocks of a row; for F32 and F16 the row is padded with zeros to whole blocks.
    pub blocks_per_row: usize,
    /// Words of one row in the quant stream.
    pub quant_words_per_row: usize,
    /// Words of one row in the scale stream; 0 for F32 and F16.
    pub scale_words_per_row: usize,
}

/// Sizes of the streams of a tensor of `rows` rows of `k` elements.
///
/// # Errors
/// `E_BLOCK` if `k` is 0 or not a multiple of the type's block, `E_TOO_LARGE` if a size does not fit `usize`.
pub fn layout(ty: WeightType, rows: usize, k: usize) -> Result<StreamLayout, Error> {
    let format = ty.format();
    ty.row_bytes(k)?;
    let too_large = Error::TooLarge { ty, rows, k };
    let blocks_per_row = k.div_ceil(BLOCK);
    let scale_words_per_row = match format.scale_words {
        ScaleWords::None => 0,
        ScaleWords::HalfPerBlock => blocks_per_row.div_ceil(2),
        ScaleWords::BytePerBlock => blocks_per_row.div_ceil(4),
        ScaleWords::WordAndHalfPerBlock => blocks_per_row + blocks_per_row.div_ceil(2),
        ScaleWords::PerBlock(words) => (k / format.block_elements)
            .checked_mul(words)
            .ok_or(too_large)?,
    };
    let quant_words_per_row = blocks_per_row
        .checked_mul(format.quant_words)
        .ok_or(too_large)?;
    let quant_words = rows.checked_mul(quant_words_per_row).ok_or(too_large)?;
    let scale_words = rows.checked_mul(scale_words_per_row).ok_or(too_large)?;
    // What is counted here is allocated in bytes.
    if quant_words > usize::MAX / 8 || scale_words > usize::MAX / 8 {
        return Err(too_large);
    }
    Ok(StreamLayout {
        quant_words,
        scale_words: if ty.is_integer() { scale_words } else { 1 },
        blocks_per_row,
        quant_words_per_row,
        scale_words_per_row,
    })
}

/// Repacks whole rows of `k` elements: `bytes` holds n rows, `quants` and `scales` are exactly those rows' words
/// (row r of a tensor starts at `r * quant_words_per_row` and `r * scale_words_per_row`). Every word is written.
/// F32 and F16 have no scales: `scales` may have any length and is left alone.
///
/// # Errors
/// `E_BLOCK` if `k` or `bytes` is not whole blocks or rows, `E_LENGTH` if a destination does not match.
pub fn repack_rows(
    ty: WeightType,
    k: usize,
    bytes: &[u8],
    quants: &mut [u32],
    scales: &mut [u32],
) -> Result<(), Error> {
    let format = ty.format();
    let row_bytes = ty.row_bytes(k)?;
    if !bytes.len().is_multiple_of(row_bytes) {
        return Err(Error::BytesNotWholeBlocks {
            ty,
            bytes: bytes.len(),
            unit: row_bytes,
        });
    }
    let sizes = layout(ty, bytes.len() / row_bytes, k)?;
    if quants.len() != sizes.quant_words {
        return Err(Error::Length {
            what: "quant words",
            ty,
            expected: sizes.quant_words,
            actual: quants.len(),
        });
    }
    if ty.is_integer() && scales.len() != sizes.scale_words {
        return Err(Error::Length {
            what: "scale words",
            ty,
            expected: sizes.scale_words,
            actual: scales.len(),
        });
    }
    let rows = bytes
        .chunks_exact(row_bytes)
        .zip(quants.chunks_exact_mut(sizes.quant_words_per_row));
    if sizes.scale_words_per_row == 0 {
        rows.for_each(|(bytes, quants)| (format.repack_row)(bytes, quants, &mut []));
    } else {
        let rows = rows.zip(scales.chunks_exact_mut(sizes.scale_words_per_row));
        rows.for_each(|((bytes, quants), scales)| (format.repack_row)(bytes, quants, scales));
    }
    Ok(())
}

/// One 32-value block as read from the streams.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StreamBlock {
    /// Stored quants: 0..=15 (4-bit types), 0..=63 (Q6_K), signed (Q8_0); 0 for float types.
    pub q: [i8; BLOCK],
    /// Scales of values 0..16 and 16..32; 0 for float types.
    pub d: [f32; 2],
    /// Offsets of values 0..16 and 16..32; 0 for Q8_0 and float types.
    pub m: [f32; 2],
    /// The weights, bit for bit as [`decode`](crate::decode) gives them. For integer types with finite scales
    /// `d[i / 16] * q[i] + m[i / 16]` is the same number, with or without a fused multiply-add (all products are
    /// exact); only the sign of a zero may differ. With infinite scales it may be NaN where `values` is infinite.
    pub values: [f32; BLOCK],
}

impl StreamBlock {
    pub(crate) const ZERO: Self = Self {
        q: [0; BLOCK],
        d: [0.0; 2],
        m: [0.0; 2],
        values: [0.0; BLOCK],
    };
}

/// Reads 32-value block `b` of row `r` from the streams: what the shader includes do.
///
/// # Errors
/// `E_RANGE` if `r` or `b` lies outside the streams.
pub fn stream_block(
    ty: WeightType,
    layout: &StreamLayout,
    quants: &[u32],
    scales: &[u32],
    r: usize,
    b: usize,
) -> Result<StreamBlock, Error> {
    let out_of_range = Error::OutOfRange {
        ty,
        row: r,
        block: b,
    };
    let row = |words: usize| Some(r.checked_mul(words)?..r.checked_add(1)?.checked_mul(words)?);
    let quants = row(layout.quant_words_per_row)
        .and_then(|range| quants.get(range))
        .ok_or(out_of_range)?;
    let scales = row(layout.scale_words_per_row)
        .and_then(|range| scales.get(range))
        .ok_or(out_of_range)?;
    let words = layout.blocks_per_row.checked_mul(ty.format().quant_words);
    if b >= layout.blocks_per_row || words != Some(layout.quant_words_per_row) {
        return Err(out_of_range);
    }
    Ok((ty.format().stream_block)(quants, scales, b))
}
