//! The result of reading a header: metadata in file order, tensors, and where the data lies.

use crate::cursor::Span;
use crate::error::{Error, Result};
use crate::layout::{self, TensorEntry};
use crate::limits::Limits;
use crate::parser::{Parser, Progress};
use crate::types::TensorType;
use crate::value::{Array, Value, ValueType};

/// One tensor of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, at most 64 printable ASCII characters.
    pub name: String,
    /// Storage format.
    pub ty: TensorType,
    /// Elements per axis, fastest varying first: a matrix is `[columns, rows, 1, 1]`. Axes beyond `n_dims` are 1.
    pub dims: [u64; 4],
    /// Axes the file states, 1 to 4.
    pub n_dims: u32,
    /// First byte of the data, from the start of the file; of a split model, of the files one after another.
    pub offset: u64,
    /// Bytes of data, without padding.
    pub bytes: u64,
    /// Byte offset of this tensor's entry in the header, for messages.
    pub header_offset: u64,
}

impl TensorInfo {
    /// The axes the file states.
    pub fn shape(&self) -> &[u64] {
        usize::try_from(self.n_dims)
            .ok()
            .and_then(|n| self.dims.get(..n))
            .unwrap_or(&self.dims)
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        // Checked against 2^63 when the entry was read.
        self.dims
            .iter()
            .fold(1, |product: u64, dim| product.saturating_mul(*dim))
    }

    /// First byte after the data, from the start of the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }
}

/// A metadata entry as spans into the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: Span,
    /// Of the value's type field.
    pub at: u64,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A number, boolean or string.
    Scalar(ValueType, Span),
    Array {
        elem: ValueType,
        len: u64,
        data: Span,
        marks: Vec<u32>,
    },
}

impl Entry {
    pub fn value<'a>(&'a self, header: &'a [u8]) -> Option<Value<'a>> {
        match &self.kind {
            Kind::Scalar(ty, span) => Value::scalar(*ty, span.of(header)),
            Kind::Array {
                elem,
                len,
                data,
                marks,
            } => Some(Value::Array(Array {
                elem: *elem,
                len: usize::try_from(*len).ok()?,
                bytes: data.of(header),
                marks,
            })),
        }
    }
}

/// A checked GGUF header. Holds the header's bytes once; strings and arrays are views into them.
#[derive(Clone, PartialEq, Eq)]
pub struct Directory {
    header: Vec<u8>,
    version: u32,
    alignment: u32,
    data_offset: u64,
    entries: Vec<Entry>,
    /// Indices of `entries` by key.
    keys: Vec<u32>,
    pub(crate) tensors: Vec<TensorInfo>,
    /// Indices of `tensors` by name.
    pub(crate) names: Vec<u32>,
    /// Files that this was read from.
    pub(crate) parts: u32,
    limits: Limits,
}

impl std::fmt::Debug for Directory {
    /// A summary: the header itself may be megabytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("version", &self.version)
            .field("header_bytes", &self.header.len())
            .field("data_offset", &self.data_offset)
            .field("n_kv", &self.entries.len())
            .field("n_tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// Reads the header of a file of which `bytes` is the beginning, with the default [`Limits`]. The beginning is
    /// enough when it holds the whole header; use [`check_file_len`](Self::check_file_len) for the rest.
    ///
    /// # Errors
    /// Everything that can be wrong with a header; [`Error::Truncated`] when `bytes` ends inside it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::read(Parser::new(Limits::DEFAULT), bytes)
    }

    /// Reads a whole file: as [`parse`](Self::parse), and every length is checked against the bytes there are.
    ///
    /// # Errors
    /// Everything that can be wrong with a header, or tensor data that `bytes` ends before.
    pub fn parse_file(bytes: &[u8]) -> Result<Self> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::read(Parser::new(Limits::DEFAULT).with_file_len(len), bytes)
    }

    fn read(mut parser: Parser, bytes: &[u8]) -> Result<Self> {
        match parser.feed(bytes)? {
            Progress::Ready(directory) => Ok(*directory),
            Progress::Need(_) => parser.finish().map(|directory| *directory),
        }
    }

    pub(crate) fn new(
        header: Vec<u8>,
        (version, alignment): (u32, u32),
        entries: Vec<Entry>,
        tensors: Vec<TensorEntry>,
        file_len: Option<u64>,
        limits: Limits,
    ) -> Result<Self> {
        let header_end = u64::try_from(header.len()).unwrap_or(u64::MAX);
        let (data_offset, names) = layout::check_tensors(&tensors, header_end, alignment)?;
        let keys = layout::sort_keys(&entries, &header);
        let tensors = tensors
            .into_iter()
            .map(|entry| TensorInfo {
                name: entry.name,
                ty: entry.ty,
                dims: entry.dims,
                n_dims: entry.n_dims,
                // `check_tensors` has summed up to here without overflow.
                offset: data_offset.saturating_add(entry.offset),
                bytes: entry.bytes,
                header_offset: entry.at,
            })
            .collect();
        let directory = Self {
            header,
            version,
            alignment,
            data_offset,
            entries,
            keys,
            tensors,
            names,
            parts: 1,
            limits,
        };
        if let Some(len) = file_len {
            directory.check_file_len(len)?;
        }
        Ok(directory)
    }

    /// Checks that a file of `len` bytes holds all tensor data. Bytes behind the last tensor are allowed.
    ///
    /// # Errors
    /// [`Error::Truncated`] naming the data section, or the first tensor that is cut.
    pub fn check_file_len(&self, len: u64) -> Result<()> {
        let cut = self
            .tensors
            .iter()
            .filter(|tensor| tensor.end() > len)
            .min_by_key(|tensor| tensor.offset);
        let Some(cut) = cut else { return Ok(()) };
        let end = self.tensors.iter().map(TensorInfo::end).max().unwrap_or(0);
        let (what, at) = if len <= self.data_offset {
            ("the data section".to_owned(), self.data_offset)
        } else {
            (format!("the data of tensor {}", cut.name), cut.offset)
        };
        // Both counted from `at` to the end of the file, so that their difference is what is missing of the whole.
        Err(Error::Truncated {
            what,
            at,
            need: end.saturating_sub(at),
            have: len.saturating_sub(at),
        })
    }

    /// Files this was joined from; 1 for a whole file.
    pub fn parts(&self) -> u32 {
        self.parts
    }

    /// Format version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Alignment of tensor data, bytes.
    pub fn alignment(&self) -> u32 {
        self.alignment
    }

    /// First byte of the data section, from the start of the file.
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Bytes of header: magic to the end of the tensor list.
    pub fn header_bytes(&self) -> usize {
        self.header.len()
    }

    /// The limits the header was read under.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// All tensors in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor called `name`.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let get = |index: &u32| self.tensors.get(usize::try_from(*index).ok()?);
        let found = self.names.binary_search_by_key(&Some(name), |index| {
            get(index).map(|tensor| tensor.name.as_str())
        });
        get(self.names.get(found.ok()?)?)
    }

    /// Number of metadata entries.
    pub fn n_kv(&self) -> usize {
        self.entries.len()
    }

    /// All metadata in file order.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.entries
            .iter()
            .filter_map(|entry| Some((self.key(entry), entry.value(&self.header)?)))
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.entry(key)?.value(&self.header)
    }

    /// Byte offset of the type field of the value under `key`.
    pub fn value_offset(&self, key: &str) -> Option<u64> {
        Some(self.entry(key)?.at)
    }

    fn key<'a>(&'a self, entry: &Entry) -> &'a str {
        // Printable ASCII, checked when it was read.
        std::str::from_utf8(entry.key.of(&self.header)).unwrap_or_default()
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        let get = |index: &u32| self.entries.get(usize::try_from(*index).ok()?);
        let found = self.keys.binary_search_by(|index| {
            let bytes = get(index).map_or(&[][..], |entry| entry.key.of(&self.header));
            bytes.cmp(key.as_bytes())
        });
        get(self.keys.get(found.ok()?)?)
    }
}
