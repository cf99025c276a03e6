//! Metadata values, as views into the header's bytes: no string or array element is copied to the heap.

/// Type of a metadata value or array element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "the thirteen GGUF value types under their own names"
)]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Str,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    /// The type behind an id of the file.
    pub fn from_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Str,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of one value, `None` for strings and arrays.
    pub fn size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Str | Self::Array => None,
        }
    }

    /// Name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::Str => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }
}

/// One metadata value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "one variant per value type")]
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    /// Bytes: old vocabularies hold strings that are not UTF-8.
    Str(&'a [u8]),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl<'a> Value<'a> {
    /// A number or boolean from its little-endian bytes; `None` when the length does not fit the type.
    pub(crate) fn scalar(ty: ValueType, bytes: &'a [u8]) -> Option<Self> {
        Some(match ty {
            ValueType::U8 => Self::U8(u8::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::I8 => Self::I8(i8::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::U16 => Self::U16(u16::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::I16 => Self::I16(i16::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::U32 => Self::U32(u32::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::I32 => Self::I32(i32::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::F32 => Self::F32(f32::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::Bool => Self::Bool(*bytes.first()? != 0),
            ValueType::U64 => Self::U64(u64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::I64 => Self::I64(i64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::F64 => Self::F64(f64::from_le_bytes(bytes.try_into().ok()?)),
            ValueType::Str => Self::Str(bytes),
            ValueType::Array => return None,
        })
    }

    /// The value's type.
    pub fn ty(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::Str(_) => ValueType::Str,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The integer, of whatever width; `None` for anything else, booleans included.
    pub fn as_int(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(v) => v.into(),
            Self::I8(v) => v.into(),
            Self::U16(v) => v.into(),
            Self::I16(v) => v.into(),
            Self::U32(v) => v.into(),
            Self::I32(v) => v.into(),
            Self::U64(v) => v.into(),
            Self::I64(v) => v.into(),
            _ => return None,
        })
    }

    /// Type and, for arrays, element type, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Array(array) => format!("an array of {} {}", array.len(), array.elem().name()),
            other => format!("of type {}", other.ty().name()),
        }
    }
}

/// An array value: `len` elements of one type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    pub(crate) elem: ValueType,
    pub(crate) len: usize,
    /// The elements as stored.
    pub(crate) bytes: &'a [u8],
    /// Strings only: where every [`MARK_EVERY`]th element begins in `bytes`.
    pub(crate) marks: &'a [u32],
}

/// A string array remembers the place of every 16th element: quarter of a byte each, and at most 15 steps to any.
pub(crate) const MARK_EVERY: usize = 16;

impl<'a> Array<'a> {
    /// Element type.
    pub fn elem(&self) -> ValueType {
        self.elem
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Element `index`.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        if self.elem == ValueType::Str {
            return self.strings()?.get(index).map(Value::Str);
        }
        let size = usize::try_from(self.elem.size()?).ok()?;
        let start = index.checked_mul(size)?;
        Value::scalar(self.elem, self.bytes.get(start..start.checked_add(size)?)?)
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let array = *self;
        let strings = array
            .strings()
            .into_iter()
            .flat_map(|strings| strings.iter().map(Value::Str));
        let numbers = if array.elem == ValueType::Str {
            0
        } else {
            array.len
        };
        strings.chain((0..numbers).filter_map(move |index| array.get(index)))
    }

    /// The strings, when that is what it holds.
    pub fn strings(&self) -> Option<StrArray<'a>> {
        (self.elem == ValueType::Str).then_some(StrArray { array: *self })
    }
}

/// An array of strings, as bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrArray<'a> {
    array: Array<'a>,
}

impl<'a> StrArray<'a> {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.array.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.array.len == 0
    }

    /// String `index`, in at most 16 steps.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        if index >= self.array.len {
            return None;
        }
        let mark = *self.array.marks.get(index.checked_div(MARK_EVERY)?)?;
        let mut strings = Strings {
            rest: self.array.bytes.get(usize::try_from(mark).ok()?..)?,
        };
        strings.nth(index.checked_rem(MARK_EVERY)?)
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Strings {
            rest: self.array.bytes,
        }
        .take(self.array.len)
    }
}

/// Walks length-prefixed strings.
struct Strings<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<8>()?;
        let (text, rest) =
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
        self.rest = rest;
        Some(text)
    }
}
