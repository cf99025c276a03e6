//! Ceilings on what a file may ask for.

/// What a header may contain before it is refused. Every error that comes from one of these prints it.
///
/// The defaults let every known model through with room to spare, and keep what a hostile file can make the
/// reader hold below 64 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the start of the file to the end of the tensor list. The largest seen is 16 MiB (262k tokens and
    /// their merges); the header is held in memory whole, and twice for a moment where an allocator grows by copying, so
    /// this bounds the reader's memory.
    pub header_bytes: u32,
    /// Metadata entries.
    pub kv: u64,
    /// Tensors.
    pub tensors: u64,
    /// Bytes of one key; the format's own maximum.
    pub key_bytes: u64,
    /// Bytes of one string value.
    pub string_bytes: u64,
    /// Elements of one array.
    pub array_len: u64,
    /// Largest `general.alignment`, bytes; the smallest accepted is 8.
    pub alignment: u32,
    /// Transformer layers.
    pub layers: u32,
    /// Tokens in the vocabulary.
    pub vocab: u32,
    /// Bytes of the chat template.
    pub template_bytes: u64,
    /// Positions; a longer trained context is used up to here.
    pub context: u32,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        header_bytes: 32 << 20,
        kv: 65_536,
        tensors: 65_536,
        key_bytes: 65_535,
        string_bytes: 16 << 20,
        array_len: 16 << 20,
        alignment: 1 << 20,
        layers: 512,
        vocab: 4 << 20,
        template_bytes: 1 << 20,
        context: 1 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
