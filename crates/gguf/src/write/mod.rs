//! A GGUF writer for fixtures and tests: the same spec gives the same bytes, and any field can be made to lie.
//!
//! In: a [`FileSpec`] (metadata in order, tensors in order with raw bytes). Out: the bytes of a file. Nothing is
//! checked here: a spec edited into nonsense is written as that nonsense, which is the point. Not meant for
//! converting or saving models.

mod tiny;

pub use tiny::{TINY_TOKENS, tiny_llama};

use crate::types::TensorType;

/// A metadata value to write.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "one variant per GGUF value type, named after it"
)]
pub enum WriteValue {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Str(Vec<u8>),
    U64(u64),
    I64(i64),
    F64(f64),
    /// Array of strings.
    StrArray(Vec<Vec<u8>>),
    U8Array(Vec<u8>),
    I32Array(Vec<i32>),
    U32Array(Vec<u32>),
    F32Array(Vec<f32>),
    BoolArray(Vec<bool>),
    /// An array header followed by any bytes: element type id, claimed length, payload.
    RawArray {
        elem: u32,
        len: u64,
        payload: Vec<u8>,
    },
    /// Any value type id followed by any bytes.
    Raw {
        ty: u32,
        payload: Vec<u8>,
    },
}

impl WriteValue {
    /// A string value.
    pub fn str(text: &str) -> Self {
        Self::Str(text.as_bytes().to_vec())
    }

    /// An array of strings.
    pub fn strs(items: &[&str]) -> Self {
        Self::StrArray(items.iter().map(|item| item.as_bytes().to_vec()).collect())
    }

    /// Value type id as the file spells it.
    fn type_id(&self) -> u32 {
        match self {
            Self::U8(_) => 0,
            Self::I8(_) => 1,
            Self::U16(_) => 2,
            Self::I16(_) => 3,
            Self::U32(_) => 4,
            Self::I32(_) => 5,
            Self::F32(_) => 6,
            Self::Bool(_) => 7,
            Self::Str(_) => 8,
            Self::StrArray(_)
            | Self::U8Array(_)
            | Self::I32Array(_)
            | Self::U32Array(_)
            | Self::F32Array(_)
            | Self::BoolArray(_)
            | Self::RawArray { .. } => 9,
            Self::U64(_) => 10,
            Self::I64(_) => 11,
            Self::F64(_) => 12,
            Self::Raw { ty, .. } => *ty,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(v) => out.push(*v),
            Self::I8(v) => out.extend(v.to_le_bytes()),
            Self::U16(v) => out.extend(v.to_le_bytes()),
            Self::I16(v) => out.extend(v.to_le_bytes()),
            Self::U32(v) => out.extend(v.to_le_bytes()),
            Self::I32(v) => out.extend(v.to_le_bytes()),
            Self::F32(v) => out.extend(v.to_le_bytes()),
            Self::Bool(v) => out.push(u8::from(*v)),
            Self::Str(v) => string(out, v, None),
            Self::U64(v) => out.extend(v.to_le_bytes()),
            Self::I64(v) => out.extend(v.to_le_bytes()),
            Self::F64(v) => out.extend(v.to_le_bytes()),
            Self::StrArray(items) => {
                array_head(out, 8, items.len() as u64);
                for item in items {
                    string(out, item, None);
                }
            }
            Self::U8Array(items) => numbers(out, 0, items, |v| [v]),
            Self::I32Array(items) => numbers(out, 5, items, i32::to_le_bytes),
            Self::U32Array(items) => numbers(out, 4, items, u32::to_le_bytes),
            Self::F32Array(items) => numbers(out, 6, items, f32::to_le_bytes),
            Self::BoolArray(items) => numbers(out, 7, items, |v| [u8::from(v)]),
            Self::RawArray { elem, len, payload } => {
                array_head(out, *elem, *len);
                out.extend(payload);
            }
            Self::Raw { payload, .. } => out.extend(payload),
        }
    }
}

fn array_head(out: &mut Vec<u8>, elem: u32, len: u64) {
    out.extend(elem.to_le_bytes());
    out.extend(len.to_le_bytes());
}

fn numbers<T: Copy, const N: usize>(
    out: &mut Vec<u8>,
    elem: u32,
    items: &[T],
    bytes: impl Fn(T) -> [u8; N],
) {
    array_head(out, elem, items.len() as u64);
    out.extend(items.iter().flat_map(|item| bytes(*item)));
}

fn string(out: &mut Vec<u8>, text: &[u8], claimed_len: Option<u64>) {
    out.extend(claimed_len.unwrap_or(text.len() as u64).to_le_bytes());
    out.extend(text);
}

/// One metadata entry.
#[derive(Clone, Debug, PartialEq)]
pub struct KvSpec {
    /// Key bytes, any.
    pub key: Vec<u8>,
    /// Lie: the key's length field.
    pub key_len: Option<u64>,
    /// Value.
    pub value: WriteValue,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Name bytes, any.
    pub name: Vec<u8>,
    /// Lie: the name's length field.
    pub name_len: Option<u64>,
    /// Dimensions, fastest varying first (ggml order: `[columns, rows]`); all of them are written.
    pub dims: Vec<u64>,
    /// Lie: the dimension count.
    pub n_dims: Option<u32>,
    /// Type id.
    pub type_id: u32,
    /// Lie: the offset in the data section.
    pub offset: Option<u64>,
    /// Raw bytes in the data section.
    pub data: Vec<u8>,
}

impl TensorSpec {
    /// A tensor of `ty` and `dims` holding `data`.
    pub fn new(name: &str, ty: TensorType, dims: &[u64], data: Vec<u8>) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            name_len: None,
            dims: dims.to_vec(),
            n_dims: None,
            type_id: ty.id(),
            offset: None,
            data,
        }
    }

    /// An F32 tensor of `dims` holding `values`.
    pub fn f32(name: &str, dims: &[u64], values: &[f32]) -> Self {
        Self::new(
            name,
            TensorType::F32,
            dims,
            values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        )
    }
}

/// A whole file, field by field.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSpec {
    /// First four bytes.
    pub magic: [u8; 4],
    /// Format version.
    pub version: u32,
    /// Lie: the tensor count.
    pub n_tensors: Option<u64>,
    /// Lie: the metadata count.
    pub n_kv: Option<u64>,
    /// Metadata in file order.
    pub metadata: Vec<KvSpec>,
    /// Tensors in file order.
    pub tensors: Vec<TensorSpec>,
    /// What the data is laid out by. Independent of `general.alignment`, which is ordinary metadata.
    pub layout_alignment: usize,
    /// Whether the last tensor is followed by padding, as most writers do.
    pub pad_last: bool,
}

impl Default for FileSpec {
    /// An empty GGUF v3 file: no metadata, no tensors, alignment 32.
    fn default() -> Self {
        Self {
            magic: *b"GGUF",
            version: 3,
            n_tensors: None,
            n_kv: None,
            metadata: Vec::new(),
            tensors: Vec::new(),
            layout_alignment: 32,
            pad_last: true,
        }
    }
}

/// The bytes of a file and where its parts ended up; positions are from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The file.
    pub bytes: Vec<u8>,
    /// Per metadata entry: the key's length field, and the value's type field.
    pub kv_at: Vec<(u64, u64)>,
    /// Per tensor: the name's length field.
    pub tensor_at: Vec<u64>,
    /// Start of the data section.
    pub data_at: u64,
}

impl FileSpec {
    /// Sets `key`, in place when it is there, else at the end.
    pub fn set(&mut self, key: &str, value: WriteValue) -> &mut Self {
        match self.metadata.iter_mut().find(|kv| kv.key == key.as_bytes()) {
            Some(kv) => kv.value = value,
            None => self.push(key, value),
        }
        self
    }

    /// Appends `key`, even when it is already there.
    pub fn push(&mut self, key: &str, value: WriteValue) {
        self.metadata.push(KvSpec {
            key: key.as_bytes().to_vec(),
            key_len: None,
            value,
        });
    }

    /// Removes `key` if present.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.metadata.retain(|kv| kv.key != key.as_bytes());
        self
    }

    /// The value under `key`.
    pub fn value_mut(&mut self, key: &str) -> Option<&mut WriteValue> {
        self.metadata
            .iter_mut()
            .find(|kv| kv.key == key.as_bytes())
            .map(|kv| &mut kv.value)
    }

    /// The tensor called `name`.
    pub fn tensor_mut(&mut self, name: &str) -> Option<&mut TensorSpec> {
        self.tensors
            .iter_mut()
            .find(|tensor| tensor.name == name.as_bytes())
    }

    /// Replaces the tensor of that name in place, or appends it.
    pub fn set_tensor(&mut self, tensor: TensorSpec) -> &mut Self {
        match self.tensors.iter_mut().find(|old| old.name == tensor.name) {
            Some(old) => *old = tensor,
            None => self.tensors.push(tensor),
        }
        self
    }

    /// Removes the tensor called `name` if present.
    pub fn remove_tensor(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.name != name.as_bytes());
        self
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.build().bytes
    }

    /// The bytes of the file and where its parts are.
    pub fn build(&self) -> Built {
        let mut out = Vec::new();
        out.extend(self.magic);
        out.extend(self.version.to_le_bytes());
        out.extend(
            self.n_tensors
                .unwrap_or(self.tensors.len() as u64)
                .to_le_bytes(),
        );
        out.extend(
            self.n_kv
                .unwrap_or(self.metadata.len() as u64)
                .to_le_bytes(),
        );

        let mut kv_at = Vec::new();
        for kv in &self.metadata {
            let key_at = out.len() as u64;
            string(&mut out, &kv.key, kv.key_len);
            kv_at.push((key_at, out.len() as u64));
            out.extend(kv.value.type_id().to_le_bytes());
            kv.value.write(&mut out);
        }

        let mut tensor_at = Vec::new();
        let mut next = 0_usize;
        for tensor in &self.tensors {
            tensor_at.push(out.len() as u64);
            string(&mut out, &tensor.name, tensor.name_len);
            out.extend(
                tensor
                    .n_dims
                    .unwrap_or(u32::try_from(tensor.dims.len()).unwrap_or(u32::MAX))
                    .to_le_bytes(),
            );
            out.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            out.extend(tensor.type_id.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(next as u64).to_le_bytes());
            next = (next + tensor.data.len()).next_multiple_of(self.layout_alignment.max(1));
        }

        pad(&mut out, self.layout_alignment);
        let data_at = out.len() as u64;
        for (index, tensor) in self.tensors.iter().enumerate() {
            out.extend(&tensor.data);
            if self.pad_last || index + 1 < self.tensors.len() {
                // The data section starts aligned, so aligning the file aligns the section.
                pad(&mut out, self.layout_alignment);
            }
        }
        Built {
            bytes: out,
            kv_at,
            tensor_at,
            data_at,
        }
    }
}

fn pad(out: &mut Vec<u8>, alignment: usize) {
    out.resize(out.len().next_multiple_of(alignment.max(1)), 0);
}
