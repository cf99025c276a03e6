//! The ggml tensor types: id in the file, name, and block geometry. No decoding here.

/// How a tensor's elements are stored: `block_len` elements in `block_bytes` bytes.
///
/// Spelled as ggml spells them, so that a name seen in a file listing can be searched for here.
#[expect(
    non_camel_case_types,
    reason = "ggml's own spelling of quantisation formats"
)]
#[expect(
    missing_docs,
    reason = "the table below says what each is; the names are ggml's"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorType {
    F32,
    F16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q8_1,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    Q8_K,
    IQ2_XXS,
    IQ2_XS,
    IQ3_XXS,
    IQ1_S,
    IQ4_NL,
    IQ3_S,
    IQ2_S,
    IQ4_XS,
    I8,
    I16,
    I32,
    I64,
    F64,
    IQ1_M,
    BF16,
    TQ1_0,
    TQ2_0,
    MXFP4,
    NVFP4,
    Q1_0,
    Q2_0,
}

struct Row {
    ty: TensorType,
    id: u32,
    name: &'static str,
    block_len: u64,
    block_bytes: u64,
}

const fn row(ty: TensorType, id: u32, name: &'static str, block_len: u64, block_bytes: u64) -> Row {
    Row {
        ty,
        id,
        name,
        block_len,
        block_bytes,
    }
}

/// One row per variant: id, name, elements per block, bytes per block.
/// Cross-checked against gguf-rs-lib in `tests/second_reader.rs`.
const TABLE: [Row; 35] = [
    row(TensorType::F32, 0, "F32", 1, 4),
    row(TensorType::F16, 1, "F16", 1, 2),
    row(TensorType::Q4_0, 2, "Q4_0", 32, 18),
    row(TensorType::Q4_1, 3, "Q4_1", 32, 20),
    row(TensorType::Q5_0, 6, "Q5_0", 32, 22),
    row(TensorType::Q5_1, 7, "Q5_1", 32, 24),
    row(TensorType::Q8_0, 8, "Q8_0", 32, 34),
    row(TensorType::Q8_1, 9, "Q8_1", 32, 36),
    row(TensorType::Q2_K, 10, "Q2_K", 256, 84),
    row(TensorType::Q3_K, 11, "Q3_K", 256, 110),
    row(TensorType::Q4_K, 12, "Q4_K", 256, 144),
    row(TensorType::Q5_K, 13, "Q5_K", 256, 176),
    row(TensorType::Q6_K, 14, "Q6_K", 256, 210),
    row(TensorType::Q8_K, 15, "Q8_K", 256, 292),
    row(TensorType::IQ2_XXS, 16, "IQ2_XXS", 256, 66),
    row(TensorType::IQ2_XS, 17, "IQ2_XS", 256, 74),
    row(TensorType::IQ3_XXS, 18, "IQ3_XXS", 256, 98),
    row(TensorType::IQ1_S, 19, "IQ1_S", 256, 50),
    row(TensorType::IQ4_NL, 20, "IQ4_NL", 32, 18),
    row(TensorType::IQ3_S, 21, "IQ3_S", 256, 110),
    row(TensorType::IQ2_S, 22, "IQ2_S", 256, 82),
    row(TensorType::IQ4_XS, 23, "IQ4_XS", 256, 136),
    row(TensorType::I8, 24, "I8", 1, 1),
    row(TensorType::I16, 25, "I16", 1, 2),
    row(TensorType::I32, 26, "I32", 1, 4),
    row(TensorType::I64, 27, "I64", 1, 8),
    row(TensorType::F64, 28, "F64", 1, 8),
    row(TensorType::IQ1_M, 29, "IQ1_M", 256, 56),
    row(TensorType::BF16, 30, "BF16", 1, 2),
    row(TensorType::TQ1_0, 34, "TQ1_0", 256, 54),
    row(TensorType::TQ2_0, 35, "TQ2_0", 256, 66),
    row(TensorType::MXFP4, 39, "MXFP4", 32, 17),
    row(TensorType::NVFP4, 40, "NVFP4", 64, 36),
    row(TensorType::Q1_0, 41, "Q1_0", 128, 18),
    row(TensorType::Q2_0, 42, "Q2_0", 64, 18),
];

/// Ids that once meant a type and were withdrawn from GGUF; their block size in ggml is 0.
const REMOVED: [(u32, &str); 8] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

/// A tensor type id that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownType {
    /// Withdrawn from the format; holds the old name.
    Removed(&'static str),
    /// Never given to a type, or newer than this reader.
    Unassigned,
}

impl TensorType {
    /// The type that `id` stands for in a tensor entry of the file.
    ///
    /// # Errors
    /// [`UnknownType`] when the id was withdrawn or is not assigned.
    pub fn from_id(id: u32) -> Result<Self, UnknownType> {
        if let Some(row) = TABLE.iter().find(|row| row.id == id) {
            return Ok(row.ty);
        }
        Err(match REMOVED.iter().find(|(removed, _)| *removed == id) {
            Some((_, name)) => UnknownType::Removed(name),
            None => UnknownType::Unassigned,
        })
    }

    /// Every type, in order of id.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.ty)
    }

    /// The id in the file.
    pub fn id(self) -> u32 {
        self.row().id
    }

    /// ggml's name, for example `Q4_K`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Elements per block; a row's length must be a multiple of it. Never 0.
    pub fn block_len(self) -> u64 {
        self.row().block_len
    }

    /// Bytes per block. Never 0.
    pub fn block_bytes(self) -> u64 {
        self.row().block_bytes
    }

    /// Bytes of `elements` elements, `None` when they are no whole number of blocks or the product overflows.
    pub fn bytes_for(self, elements: u64) -> Option<u64> {
        let row = self.row();
        if elements.checked_rem(row.block_len)? != 0 {
            return None;
        }
        elements
            .checked_div(row.block_len)?
            .checked_mul(row.block_bytes)
    }

    fn row(self) -> &'static Row {
        const F32: &Row = &TABLE[0];
        // `second_reader.rs` checks that every variant has its own row, so the default is never taken.
        TABLE.iter().find(|row| row.ty == self).unwrap_or(F32)
    }
}

impl std::fmt::Display for TensorType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
