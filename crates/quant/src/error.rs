//! What can be wrong with block data: never its content (every bit pattern decodes), only its shape.

use crate::WeightType;

/// A shape that does not fit the block format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A row that is empty or does not consist of whole blocks.
    #[error(
        "a row of {k} elements is not a positive multiple of the {block_elements}-element block of {ty}"
    )]
    RowNotWholeBlocks {
        /// Block format.
        ty: WeightType,
        /// Row length in elements.
        k: usize,
        /// Elements per block of `ty`.
        block_elements: usize,
    },
    /// Bytes that do not consist of whole blocks (or, when repacking, of whole rows).
    #[error("{bytes} bytes are not a multiple of the {unit} bytes of one {ty} block or row")]
    BytesNotWholeBlocks {
        /// Block format.
        ty: WeightType,
        /// Bytes given.
        bytes: usize,
        /// Bytes of the block or row that must divide them.
        unit: usize,
    },
    /// A destination whose length does not match the input.
    #[error("{what} for {ty}: {expected} needed, {actual} given")]
    Length {
        /// Which slice: "output values", "quant words" or "scale words".
        what: &'static str,
        /// Block format.
        ty: WeightType,
        /// Length that the input asks for.
        expected: usize,
        /// Length that was given.
        actual: usize,
    },
    /// A block that the streams do not have, or a layout of another type.
    #[error("block {block} of row {row} lies outside the {ty} streams")]
    OutOfRange {
        /// Block format.
        ty: WeightType,
        /// Row asked for.
        row: usize,
        /// 32-value block of the row.
        block: usize,
    },
    /// A size that does not fit this machine's `usize`.
    #[error("{rows} rows of {k} {ty} elements exceed the address space")]
    TooLarge {
        /// Block format.
        ty: WeightType,
        /// Rows asked for.
        rows: usize,
        /// Row length in elements.
        k: usize,
    },
}

impl Error {
    /// Stable code, the same in every release.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RowNotWholeBlocks { .. } | Self::BytesNotWholeBlocks { .. } => "E_BLOCK",
            Self::Length { .. } => "E_LENGTH",
            Self::OutOfRange { .. } => "E_RANGE",
            Self::TooLarge { .. } => "E_TOO_LARGE",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::RowNotWholeBlocks {
                ty, block_elements, ..
            } => format!(
                "{ty} stores rows in blocks of {block_elements}; requantise this tensor to a type whose block divides its row length, such as q8_0 or f16"
            ),
            Self::BytesNotWholeBlocks { .. } => {
                "the tensor's data is cut short or its type is wrong; fetch the file again"
                    .to_owned()
            }
            Self::Length { .. } | Self::OutOfRange { .. } => {
                "sizes and ranges come from layout(); this is a fault of the caller, not of the file"
                    .to_owned()
            }
            Self::TooLarge { .. } => {
                "this tensor cannot be held on this machine; use a smaller model or a 64-bit build"
                    .to_owned()
            }
        }
    }
}
