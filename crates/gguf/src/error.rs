//! What can be wrong with a header: one variant per cause, each with a stable code and advice.

use crate::types::TensorType;

/// A refused file. Positions (`at`) are byte offsets from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
#[non_exhaustive]
pub enum Error {
    #[error("the file ends too early: {what} at byte {at} needs {need} B, the file has {have}")]
    Truncated {
        what: String,
        at: u64,
        need: u64,
        have: u64,
    },
    #[error("not a GGUF file: it begins with {found:?}{}", hint.map(|h| format!(" ({h})")).unwrap_or_default())]
    BadMagic {
        found: String,
        hint: Option<&'static str>,
    },
    #[error("GGUF version {found} is not 2 or 3")]
    Version { found: u32 },
    #[error("this GGUF file is big-endian")]
    BigEndian,
    #[error("the header claims {found} {what} at byte {at}: {}", count_reason(*limit, *min_bytes, *left))]
    Count {
        what: &'static str,
        at: u64,
        found: u64,
        limit: u64,
        min_bytes: u64,
        left: Option<u64>,
    },
    #[error("the header does not end within {limit} B (still reading at byte {at})")]
    HeaderSize { at: u64, limit: u64 },
    #[error("{what} at byte {at} claims {found} B, {}", most(*limit, *left))]
    StringLen {
        what: String,
        at: u64,
        found: u64,
        limit: u64,
        left: Option<u64>,
    },
    #[error("the metadata key at byte {at} is empty")]
    KeyEmpty { at: u64 },
    #[error("the metadata key {key:?} at byte {at} occurs twice")]
    KeyDup { key: String, at: u64 },
    #[error("the metadata key {key:?} at byte {at} is not UTF-8")]
    KeyUtf8 { key: String, at: u64 },
    #[error("the metadata key {key:?} at byte {at} holds a character outside printable ASCII")]
    KeyChars { key: String, at: u64 },
    #[error("{key}: value type {found} at byte {at} does not exist (0 to 12)")]
    KvType { key: String, at: u64, found: u32 },
    #[error("{key}: array element type {found} at byte {at} does not exist (0 to 12)")]
    ArrType { key: String, at: u64, found: u32 },
    #[error("{key}: array of arrays at byte {at}")]
    ArrNested { key: String, at: u64 },
    #[error("{key}: the array at byte {at} claims {found} elements, {}", most(*limit, *left))]
    ArrLen {
        key: String,
        at: u64,
        found: u64,
        limit: u64,
        left: Option<u64>,
    },
    #[error("{key}: boolean at byte {at} is {found}, not 0 or 1")]
    Bool { key: String, at: u64, found: u8 },
    #[error("general.alignment is {found} at byte {at}: want a power of two from 8 to {limit}")]
    Align { at: u64, found: u32, limit: u32 },
    #[error("the metadata key {key} is missing")]
    MetaMissing { key: String },
    #[error("{key} at byte {at} is {found}, want {want}")]
    MetaType {
        key: String,
        at: u64,
        found: String,
        want: &'static str,
    },
    #[error("{key} at byte {at} is {found}, want {want}")]
    MetaRange {
        key: String,
        at: u64,
        found: String,
        want: String,
    },
    #[error("{key} at byte {at} is not UTF-8 text")]
    MetaUtf8 { key: String, at: u64 },
    #[error("the tensor name at byte {at} is empty")]
    NameEmpty { at: u64 },
    #[error("the tensor name at byte {at} claims {found} B, at most {limit} are allowed")]
    NameLen { at: u64, found: u64, limit: u64 },
    #[error("the tensor name {name:?} at byte {at} holds a character outside printable ASCII")]
    NameChars { name: String, at: u64 },
    #[error("two tensors are called {name} (the second at byte {at})")]
    NameDup { name: String, at: u64 },
    #[error("{name}: {found} dimensions at byte {at}, want 1 to 4")]
    NDims { name: String, at: u64, found: u32 },
    #[error("{name}: dimension {index} at byte {at} is {found}, want 1 to 2^63-1")]
    Dim {
        name: String,
        at: u64,
        index: u32,
        found: u64,
    },
    #[error("{name}: the shape {dims:?} at byte {at} has more than 2^63-1 elements")]
    ShapeOverflow {
        name: String,
        at: u64,
        dims: Vec<u64>,
    },
    #[error("{what} at byte {at}: the size in bytes does not fit 63 bits")]
    SizeOverflow { what: String, at: u64 },
    #[error(
        "{name}: rows of {found} elements at byte {at} are not a multiple of {ty}'s block of {block}"
    )]
    Block {
        name: String,
        at: u64,
        ty: TensorType,
        found: u64,
        block: u64,
    },
    #[error("{name}: tensor type {found} at byte {at} {}", type_reason(*removed))]
    TensorType {
        name: String,
        at: u64,
        found: u32,
        removed: Option<&'static str>,
    },
    #[error("{name}: offset {found} at byte {at} {why}")]
    Offset {
        name: String,
        at: u64,
        found: u64,
        why: String,
    },
    #[error("the tensors {a} and {b} overlap at offset {found} (entry at byte {at})")]
    Overlap {
        a: String,
        b: String,
        at: u64,
        found: u64,
    },
    #[error("part {part} of the split model does not belong there: {what}")]
    Split { part: u32, what: String },
    #[error("no memory for {need} B of header")]
    OutOfMemory { need: u64 },
    #[error("this parser has already given its verdict")]
    Finished,
}

/// Shorthand for this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn count_reason(limit: u64, min_bytes: u64, left: Option<u64>) -> String {
    match left {
        Some(left) => {
            format!("that takes at least {min_bytes} B, {left} are left (limit {limit} entries)")
        }
        None => format!("at most {limit} are allowed"),
    }
}

fn most(limit: u64, left: Option<u64>) -> String {
    match left {
        Some(left) => format!("only {left} B of the file are left"),
        None => format!("at most {limit} are allowed"),
    }
}

fn type_reason(removed: Option<&'static str>) -> String {
    match removed {
        Some(name) => format!("({name}) was removed from the format"),
        None => "is not known".to_owned(),
    }
}

const AGAIN: &str = "The file is damaged or was made by a faulty tool: download it again and compare its SHA-256 with the publisher's; \
                     if they agree, convert the model again with a current llama.cpp.";

impl Error {
    /// The stable code of this cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "E_TRUNCATED",
            Self::BadMagic { .. } => "E_BAD_MAGIC",
            Self::Version { .. } => "E_VERSION",
            Self::BigEndian => "E_BIG_ENDIAN",
            Self::Count { .. } => "E_COUNT",
            Self::HeaderSize { .. } => "E_HEADER_SIZE",
            Self::StringLen { .. } => "E_STRING_LEN",
            Self::KeyEmpty { .. } => "E_KEY_EMPTY",
            Self::KeyDup { .. } => "E_KEY_DUP",
            Self::KeyUtf8 { .. } => "E_KEY_UTF8",
            Self::KeyChars { .. } => "E_KEY_CHARS",
            Self::KvType { .. } => "E_KV_TYPE",
            Self::ArrType { .. } => "E_ARR_TYPE",
            Self::ArrNested { .. } => "E_ARR_NESTED",
            Self::ArrLen { .. } => "E_ARR_LEN",
            Self::Bool { .. } => "E_BOOL",
            Self::Align { .. } => "E_ALIGN",
            Self::MetaMissing { .. } => "E_META_MISSING",
            Self::MetaType { .. } => "E_META_TYPE",
            Self::MetaRange { .. } => "E_META_RANGE",
            Self::MetaUtf8 { .. } => "E_META_UTF8",
            Self::NameEmpty { .. } => "E_NAME_EMPTY",
            Self::NameLen { .. } => "E_NAME_LEN",
            Self::NameChars { .. } => "E_NAME_CHARS",
            Self::NameDup { .. } => "E_NAME_DUP",
            Self::NDims { .. } => "E_NDIMS",
            Self::Dim { .. } => "E_DIM",
            Self::ShapeOverflow { .. } => "E_SHAPE_OVERFLOW",
            Self::SizeOverflow { .. } => "E_SIZE_OVERFLOW",
            Self::Block { .. } => "E_BLOCK",
            Self::TensorType { .. } => "E_TENSOR_TYPE",
            Self::Offset { .. } => "E_OFFSET",
            Self::Overlap { .. } => "E_OVERLAP",
            Self::Split { .. } => "E_SPLIT",
            Self::OutOfMemory { .. } => "E_OUT_OF_MEMORY",
            Self::Finished => "E_FINISHED",
        }
    }

    /// What the person can do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Truncated { need, have, .. } => format!(
                "The file is at least {} B short, so the download is incomplete: download it again, or let it resume.",
                need.saturating_sub(*have)
            ),
            Self::BadMagic { hint: Some(_), .. } => {
                "Download the .gguf file itself: on a model page, the file's own download link.".to_owned()
            }
            Self::BadMagic { hint: None, .. } => "Give a .gguf file; other model formats must be converted to GGUF first.".to_owned(),
            Self::Version { found } if *found > 3 => {
                "The file is newer than this program: update the program, or get a version 3 file.".to_owned()
            }
            Self::Version { .. } => "The file is too old: convert the model again with a current llama.cpp.".to_owned(),
            Self::BigEndian => "Get the little-endian file of this model, or convert it for little-endian machines.".to_owned(),
            Self::StringLen { left: Some(_), .. } | Self::ArrLen { left: Some(_), .. } | Self::Count { left: Some(_), .. } => {
                "The file is cut short or damaged: download it again and compare its SHA-256 with the publisher's.".to_owned()
            }
            Self::HeaderSize { .. } | Self::Count { .. } | Self::StringLen { .. } | Self::ArrLen { .. } => format!(
                "{AGAIN} If the model really is that large, raise this limit in `Limits`."
            ),
            Self::MetaMissing { key } => {
                format!("The file does not say {key}, and it is not safe to guess: convert the model again with a current llama.cpp.")
            }
            Self::TensorType { removed: Some(name), .. } => {
                format!("{name} files are no longer readable by any current tool: get the model in Q4_0, Q4_K or Q8_0 instead.")
            }
            Self::TensorType { removed: None, .. } => {
                format!("{AGAIN} If the type is new, update this program.")
            }
            Self::Split { .. } => "Keep all parts of one model together, under the names they were published with.".to_owned(),
            Self::OutOfMemory { .. } => "Close other programs or tabs and try again.".to_owned(),
            Self::Finished => "Make a new parser for each file.".to_owned(),
            _ => AGAIN.to_owned(),
        }
    }

    /// Where in the file the offending field is, when there is such a place.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::BadMagic { .. } => Some(0),
            Self::Version { .. } | Self::BigEndian => Some(4),
            Self::Truncated { at, .. }
            | Self::Count { at, .. }
            | Self::HeaderSize { at, .. }
            | Self::StringLen { at, .. }
            | Self::KeyEmpty { at }
            | Self::KeyDup { at, .. }
            | Self::KeyUtf8 { at, .. }
            | Self::KeyChars { at, .. }
            | Self::KvType { at, .. }
            | Self::ArrType { at, .. }
            | Self::ArrNested { at, .. }
            | Self::ArrLen { at, .. }
            | Self::Bool { at, .. }
            | Self::Align { at, .. }
            | Self::MetaType { at, .. }
            | Self::MetaRange { at, .. }
            | Self::MetaUtf8 { at, .. }
            | Self::NameEmpty { at }
            | Self::NameLen { at, .. }
            | Self::NameChars { at, .. }
            | Self::NameDup { at, .. }
            | Self::NDims { at, .. }
            | Self::Dim { at, .. }
            | Self::ShapeOverflow { at, .. }
            | Self::SizeOverflow { at, .. }
            | Self::Block { at, .. }
            | Self::TensorType { at, .. }
            | Self::Offset { at, .. }
            | Self::Overlap { at, .. } => Some(*at),
            Self::MetaMissing { .. }
            | Self::Split { .. }
            | Self::OutOfMemory { .. }
            | Self::Finished => None,
        }
    }
}

/// Text from the file as it may be shown: lossy, and cut at 80 characters. Escaping is left to `{:?}` in messages.
pub(crate) fn shown(bytes: &[u8]) -> String {
    // 4 bytes a character at most, so nothing shown is lost by looking at 320 bytes only.
    let head = bytes.get(..320).unwrap_or(bytes);
    let text = String::from_utf8_lossy(head);
    let mut out: String = text.chars().take(80).collect();
    if bytes.len() > out.len() && text.chars().nth(80).is_some() {
        out.push('…');
    }
    out
}
