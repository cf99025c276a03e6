//! One item of the header each: the fixed part, a metadata entry, an array element, a tensor entry. A reader either
//! returns the whole item or leaves the position to start it again.

use crate::cursor::{Cursor, Span, Stop};
use crate::directory::{Entry, Kind};
use crate::error::{Error, Result, shown};
use crate::layout::{self, TensorEntry};
use crate::limits::Limits;
use crate::magic;
use crate::types::{TensorType, UnknownType};
use crate::value::{MARK_EVERY, ValueType};

/// Smallest metadata entry: key length, type, one byte. An empty key is counted as possible here, so that it is
/// reported as what it is.
const KV_MIN: u64 = 13;
/// Smallest tensor entry: name length, dimension count, type, offset; likewise with nothing in between.
const TENSOR_MIN: u64 = 24;
/// Longest tensor name the format allows, bytes.
const NAME_MAX: u64 = 64;

/// An array of strings being read.
#[derive(Debug)]
pub(crate) struct Strings {
    pub key: Span,
    /// Of the value's type field.
    pub at: u64,
    /// Of the first element.
    pub start: u64,
    pub len: u64,
    /// Elements read so far.
    pub done: u64,
    pub marks: Vec<u32>,
}

pub(crate) fn head(cursor: &mut Cursor<'_>) -> Result<(u32, u64, u64), Stop> {
    magic::check(cursor)?;
    let version = cursor.u32(format_args!("the version"))?;
    magic::check_version(version)?;
    let n_tensors = cursor.u64(format_args!("n_tensors"))?;
    let n_kv = cursor.u64(format_args!("n_kv"))?;
    let left = cursor.left();
    for (what, at, found, limit, each) in [
        ("tensors", 8, n_tensors, cursor.limits.tensors, TENSOR_MIN),
        ("metadata entries", 16, n_kv, cursor.limits.kv, KV_MIN),
    ] {
        let min_bytes = found.saturating_mul(each);
        let left = left.filter(|left| min_bytes > *left);
        if found > limit || left.is_some() {
            return Err(Error::Count {
                what,
                at,
                found,
                limit,
                min_bytes,
                left,
            }
            .into());
        }
    }
    Ok((version, n_tensors, n_kv))
}

/// What a metadata entry turned out to be.
pub(crate) enum Item {
    /// Read whole.
    Entry(Entry),
    /// The value is an array of strings, read element by element from here on.
    Strings(Strings),
}

pub(crate) fn kv(cursor: &mut Cursor<'_>, index: usize) -> Result<Item, Stop> {
    let key_at = cursor.pos;
    let key = cursor.string(
        cursor.limits.key_bytes,
        format_args!("metadata key {index}"),
    )?;
    let name = key.of(cursor.buf);
    layout::check_key(name, key_at)?;
    let name = std::str::from_utf8(name).unwrap_or_default();
    let at = cursor.pos;
    let id = cursor.u32(format_args!("the type of {name}"))?;
    let ty = ValueType::from_id(id).ok_or_else(|| Error::KvType {
        key: shown(name.as_bytes()),
        at,
        found: id,
    })?;
    let kind = match ty {
        ValueType::Str => Kind::Scalar(
            ty,
            cursor.string(
                cursor.limits.string_bytes,
                format_args!("the value of {name}"),
            )?,
        ),
        ValueType::Array => return array(cursor, key, at),
        _ => {
            let value_at = cursor.pos;
            let span = cursor.span(ty.size().unwrap_or(1), format_args!("the value of {name}"))?;
            if ty == ValueType::Bool {
                check_bools(name, value_at, span.of(cursor.buf))?;
            }
            Kind::Scalar(ty, span)
        }
    };
    Ok(Item::Entry(Entry { key, at, kind }))
}

fn array(cursor: &mut Cursor<'_>, key: Span, at: u64) -> Result<Item, Stop> {
    let name = std::str::from_utf8(key.of(cursor.buf)).unwrap_or_default();
    let elem_at = cursor.pos;
    let id = cursor.u32(format_args!("the element type of {name}"))?;
    let elem = ValueType::from_id(id).ok_or_else(|| Error::ArrType {
        key: shown(name.as_bytes()),
        at: elem_at,
        found: id,
    })?;
    if elem == ValueType::Array {
        return Err(Error::ArrNested {
            key: shown(name.as_bytes()),
            at: elem_at,
        }
        .into());
    }
    let len_at = cursor.pos;
    let len = cursor.u64(format_args!("the length of {name}"))?;
    // A string costs its length field at least.
    let min_bytes = len.saturating_mul(elem.size().unwrap_or(8));
    let left = cursor.left().filter(|left| min_bytes > *left);
    let limit = cursor.limits.array_len;
    if len > limit || left.is_some() {
        return Err(Error::ArrLen {
            key: shown(name.as_bytes()),
            at: len_at,
            found: len,
            limit,
            left,
        }
        .into());
    }
    if elem == ValueType::Str {
        return Ok(Item::Strings(Strings {
            key,
            at,
            start: cursor.pos,
            len,
            done: 0,
            marks: Vec::new(),
        }));
    }
    let data_at = cursor.pos;
    let data = cursor.span(min_bytes, format_args!("the elements of {name}"))?;
    if elem == ValueType::Bool {
        check_bools(name, data_at, data.of(cursor.buf))?;
    }
    Ok(Item::Entry(Entry {
        key,
        at,
        kind: Kind::Array {
            elem,
            len,
            data,
            marks: Vec::new(),
        },
    }))
}

fn check_bools(key: &str, at: u64, bytes: &[u8]) -> Result<()> {
    match bytes.iter().zip(at..).find(|(byte, _)| **byte > 1) {
        Some((found, at)) => Err(Error::Bool {
            key: shown(key.as_bytes()),
            at,
            found: *found,
        }),
        None => Ok(()),
    }
}

/// Reads the next string of the array; changes nothing unless the whole of it is there.
pub(crate) fn string_element(cursor: &mut Cursor<'_>, strings: &mut Strings) -> Result<(), Stop> {
    let at = cursor.pos;
    let limit = cursor.limits.string_bytes;
    let name = std::str::from_utf8(strings.key.of(cursor.buf)).unwrap_or_default();
    cursor.string(limit, format_args!("element {} of {name}", strings.done))?;
    let every = u64::try_from(MARK_EVERY).unwrap_or(1);
    if strings.done.checked_rem(every) == Some(0) {
        strings
            .marks
            .push(offset_in(at, strings.start, cursor.limits)?);
    }
    strings.done = strings.done.saturating_add(1);
    Ok(())
}

fn offset_in(at: u64, start: u64, limits: &Limits) -> Result<u32> {
    let offset = at
        .checked_sub(start)
        .and_then(|offset| u32::try_from(offset).ok());
    offset.ok_or(Error::HeaderSize {
        at,
        limit: u64::from(limits.header_bytes),
    })
}

pub(crate) fn finish_strings(cursor: &Cursor<'_>, strings: &mut Strings) -> Result<Entry> {
    let data = Span {
        start: offset_in(strings.start, 0, cursor.limits)?,
        len: offset_in(cursor.pos, strings.start, cursor.limits)?,
    };
    let marks = std::mem::take(&mut strings.marks);
    Ok(Entry {
        key: strings.key,
        at: strings.at,
        kind: Kind::Array {
            elem: ValueType::Str,
            len: strings.len,
            data,
            marks,
        },
    })
}

pub(crate) fn tensor(
    cursor: &mut Cursor<'_>,
    index: usize,
    alignment: u32,
) -> Result<TensorEntry, Stop> {
    let at = cursor.pos;
    let name_len = cursor.u64(format_args!("the name of tensor {index}"))?;
    match name_len {
        0 => return Err(Error::NameEmpty { at }.into()),
        1..=NAME_MAX => {}
        found => {
            return Err(Error::NameLen {
                at,
                found,
                limit: NAME_MAX,
            }
            .into());
        }
    }
    let bytes = cursor.take(name_len, format_args!("the name of tensor {index}"))?;
    let name = shown(bytes);
    if !layout::is_printable(bytes) {
        return Err(Error::NameChars { name, at }.into());
    }

    let dims_at = cursor.pos;
    let n_dims = cursor.u32(format_args!("the dimension count of {name}"))?;
    if !(1..=4).contains(&n_dims) {
        return Err(Error::NDims {
            name,
            at: dims_at,
            found: n_dims,
        }
        .into());
    }
    let mut dims = [1_u64; 4];
    for (axis, dim) in (0..n_dims).zip(&mut dims) {
        let dim_at = cursor.pos;
        *dim = cursor.u64(format_args!("dimension {axis} of {name}"))?;
        if *dim == 0 || i64::try_from(*dim).is_err() {
            return Err(Error::Dim {
                name,
                at: dim_at,
                index: axis,
                found: *dim,
            }
            .into());
        }
    }

    let type_at = cursor.pos;
    let id = cursor.u32(format_args!("the type of {name}"))?;
    let ty = TensorType::from_id(id).map_err(|unknown| {
        let removed = match unknown {
            UnknownType::Removed(old) => Some(old),
            UnknownType::Unassigned => None,
        };
        Error::TensorType {
            name: name.clone(),
            at: type_at,
            found: id,
            removed,
        }
    })?;
    let offset_at = cursor.pos;
    let offset = cursor.u64(format_args!("the offset of {name}"))?;
    let entry = TensorEntry {
        name,
        at,
        dims,
        n_dims,
        ty,
        offset,
        offset_at,
        bytes: 0,
    };
    Ok(layout::check_tensor(entry, dims_at, alignment)?)
}
