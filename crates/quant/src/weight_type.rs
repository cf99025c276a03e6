//! The weight types the engine runs, their table, and the scalar decoder.

use std::fmt;

use crate::Error;
use crate::formats::{
    Format, bfloat16, float16, float32, iq4_nl, iq4_xs, mxfp4, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0,
    q5_1, q5_k, q6_k, q8_0,
};

/// Storage format of a weight tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WeightType {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper halves of 32-bit floats.
    BF16,
    /// 32 values: f16 scale, 4-bit quants around 8.
    Q4_0,
    /// 32 values: f16 scale and minimum, 4-bit quants.
    Q4_1,
    /// 32 values: f16 scale, 5-bit quants around 16.
    Q5_0,
    /// 32 values: f16 scale and minimum, 5-bit quants.
    Q5_1,
    /// 32 values: f16 scale, signed 8-bit quants.
    Q8_0,
    /// 256 values: f16 scale and minimum of sixteen 4-bit scales and minima, 2-bit quants.
    Q2K,
    /// 256 values: f16 scale of sixteen 6-bit scales, 3-bit quants around 4.
    Q3K,
    /// 256 values: f16 scale and minimum of eight 6-bit scales and minima, 4-bit quants.
    Q4K,
    /// As `Q4K` with 5-bit quants.
    Q5K,
    /// 256 values: f16 scale of sixteen 8-bit scales, 6-bit quants around 32.
    Q6K,
    /// 32 values: f16 scale, 4-bit places in a table.
    Iq4Nl,
    /// 256 values: f16 scale of eight 6-bit scales, 4-bit places in the same table.
    Iq4Xs,
    /// 32 values: power of two, 4-bit floats (E2M1).
    Mxfp4,
}

impl WeightType {
    const ALL: [Self; 16] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
        Self::Iq4Xs,
        Self::Mxfp4,
    ];

    pub(crate) fn format(self) -> &'static Format {
        match self {
            Self::F32 => &float32::FORMAT,
            Self::F16 => &float16::FORMAT,
            Self::BF16 => &bfloat16::FORMAT,
            Self::Q4_0 => &q4_0::FORMAT,
            Self::Q4_1 => &q4_1::FORMAT,
            Self::Q5_0 => &q5_0::FORMAT,
            Self::Q5_1 => &q5_1::FORMAT,
            Self::Q8_0 => &q8_0::FORMAT,
            Self::Q2K => &q2_k::FORMAT,
            Self::Q3K => &q3_k::FORMAT,
            Self::Q4K => &q4_k::FORMAT,
            Self::Q5K => &q5_k::FORMAT,
            Self::Q6K => &q6_k::FORMAT,
            Self::Iq4Nl => &iq4_nl::FORMAT,
            Self::Iq4Xs => &iq4_xs::FORMAT,
            Self::Mxfp4 => &mxfp4::FORMAT,
        }
    }

    /// Every supported type.
    pub fn all() -> &'static [Self] {
        &Self::ALL
    }

    /// Lower-case name, also the suffix of the shader include: "f32", "q4_0", "q4_k".
    pub fn name(self) -> &'static str {
        self.format().name
    }

    /// The type with this id in ggml's `enum ggml_type`, if it is supported.
    pub fn from_ggml_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.ggml_id() == id)
    }

    /// Id in ggml's `enum ggml_type`, as tensor headers carry it.
    pub fn ggml_id(self) -> u32 {
        self.format().ggml_id
    }

    /// Elements of one GGUF block: 1 for floats, 32, or 256.
    pub fn block_elements(self) -> usize {
        self.format().block_elements
    }

    /// Bytes of one GGUF block.
    pub fn block_bytes(self) -> usize {
        self.format().block_bytes
    }

    /// Where a block has f16 fields, in bytes: whoever makes up blocks must keep these finite.
    pub fn half_fields(self) -> &'static [usize] {
        self.format().halves
    }

    /// Whether weights are integers with scales (all but floats).
    pub fn is_integer(self) -> bool {
        self.format().is_integer
    }

    /// Bytes of a GGUF row of `k` elements.
    ///
    /// # Errors
    /// `E_BLOCK` if `k` is 0 or not a multiple of the block, `E_TOO_LARGE` if the size does not fit `usize`.
    pub fn row_bytes(self, k: usize) -> Result<usize, Error> {
        let block_elements = self.block_elements();
        if k == 0 || !k.is_multiple_of(block_elements) {
            return Err(Error::RowNotWholeBlocks {
                ty: self,
                k,
                block_elements,
            });
        }
        (k / block_elements)
            .checked_mul(self.block_bytes())
            .ok_or(Error::TooLarge {
                ty: self,
                rows: 1,
                k,
            })
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Decodes whole GGUF blocks, bit for bit as llama.cpp does. `out.len()` is the number of elements.
///
/// # Errors
/// `E_BLOCK` if `bytes` is not whole blocks, `E_LENGTH` if `out` does not hold exactly their elements.
pub fn decode(ty: WeightType, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    let format = ty.format();
    if !bytes.len().is_multiple_of(format.block_bytes) {
        return Err(Error::BytesNotWholeBlocks {
            ty,
            bytes: bytes.len(),
            unit: format.block_bytes,
        });
    }
    let expected = (bytes.len() / format.block_bytes).saturating_mul(format.block_elements);
    if out.len() != expected {
        return Err(Error::Length {
            what: "output values",
            ty,
            expected,
            actual: out.len(),
        });
    }
    (format.decode)(bytes, out);
    Ok(())
}
