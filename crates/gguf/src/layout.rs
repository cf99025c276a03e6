//! Checks on names and on where tensors lie: each entry alone, then all of them together.

use crate::directory::{Entry, Kind};
use crate::error::{Error, Result, shown};
use crate::limits::Limits;
use crate::types::TensorType;
use crate::value::{Value, ValueType};

/// A tensor entry as read: `offset` counts from the start of the data section.
#[derive(Clone, Debug)]
pub(crate) struct TensorEntry {
    pub name: String,
    /// Of the entry in the header.
    pub at: u64,
    pub dims: [u64; 4],
    pub n_dims: u32,
    pub ty: TensorType,
    pub offset: u64,
    pub offset_at: u64,
    pub bytes: u64,
}

/// Largest size or file position anything may have: what a signed 64-bit file offset can say.
const MAX_BYTES: u64 = i64::MAX.unsigned_abs();

pub(crate) fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
}

pub(crate) fn check_key(key: &[u8], at: u64) -> Result<()> {
    if key.is_empty() {
        return Err(Error::KeyEmpty { at });
    }
    if std::str::from_utf8(key).is_err() {
        return Err(Error::KeyUtf8 {
            key: shown(key),
            at,
        });
    }
    if !is_printable(key) {
        return Err(Error::KeyChars {
            key: shown(key),
            at,
        });
    }
    Ok(())
}

/// Indices of `entries` in order of key, for look-up.
pub(crate) fn sort_keys(entries: &[Entry], header: &[u8]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..).take(entries.len()).collect();
    order.sort_by_key(|index| key_of(entries, header, *index));
    order
}

fn key_of<'a>(entries: &[Entry], header: &'a [u8], index: u32) -> &'a [u8] {
    let entry = usize::try_from(index)
        .ok()
        .and_then(|index| entries.get(index));
    entry.map_or(&[], |entry| entry.key.of(header))
}

/// No key may occur twice: readers disagree on which one counts.
pub(crate) fn check_keys(entries: &[Entry], header: &[u8]) -> Result<()> {
    // The sort is stable, so the later of two equal keys is the second of the pair.
    let order = sort_keys(entries, header);
    let double = order.windows(2).find_map(|pair| match pair {
        [a, b] if key_of(entries, header, *a) == key_of(entries, header, *b) => Some(*b),
        _ => None,
    });
    let Some(entry) = double.and_then(|index| entries.get(usize::try_from(index).ok()?)) else {
        return Ok(());
    };
    // The key's length field lies 8 bytes before its text.
    Err(Error::KeyDup {
        key: shown(entry.key.of(header)),
        at: u64::from(entry.key.start.saturating_sub(8)),
    })
}

/// The alignment, when `entry` is the key that sets it. The format wants a u32 here, and nothing else is taken:
/// a reader that does not see the key lays out every tensor elsewhere.
pub(crate) fn alignment(entry: &Entry, header: &[u8], limits: &Limits) -> Result<Option<u32>> {
    if entry.key.of(header) != b"general.alignment" {
        return Ok(None);
    }
    let value = match &entry.kind {
        Kind::Scalar(ValueType::U32, span) => Value::scalar(ValueType::U32, span.of(header)),
        _ => None,
    };
    let Some(Value::U32(found)) = value else {
        let found = entry
            .value(header)
            .map_or_else(String::new, |value| value.describe());
        return Err(Error::MetaType {
            key: "general.alignment".to_owned(),
            at: entry.at,
            found,
            want: "u32",
        });
    };
    if !found.is_power_of_two() || found < 8 || found > limits.alignment {
        // The value lies 4 bytes behind its type.
        return Err(Error::Align {
            at: entry.at.saturating_add(4),
            found,
            limit: limits.alignment,
        });
    }
    Ok(Some(found))
}

fn padded(bytes: u64, alignment: u32) -> Option<u64> {
    bytes
        .checked_next_multiple_of(u64::from(alignment))
        .filter(|end| *end <= MAX_BYTES)
}

/// Everything that one entry alone can prove wrong; fills in `bytes`.
pub(crate) fn check_tensor(
    mut entry: TensorEntry,
    dims_at: u64,
    alignment: u32,
) -> Result<TensorEntry> {
    let TensorEntry {
        dims,
        ty,
        offset,
        offset_at,
        ..
    } = entry;
    let name = || entry.name.clone();
    // The dimensions follow their count, 4 bytes.
    let at = dims_at.saturating_add(4);
    let elements = dims
        .iter()
        .try_fold(1_u64, |product, dim| product.checked_mul(*dim))
        .filter(|n| *n <= MAX_BYTES);
    let Some(elements) = elements else {
        let n_dims = usize::try_from(entry.n_dims).unwrap_or(4);
        return Err(Error::ShapeOverflow {
            name: name(),
            at,
            dims: dims.iter().take(n_dims).copied().collect(),
        });
    };
    let [row, ..] = dims;
    if row.checked_rem(ty.block_len()) != Some(0) {
        return Err(Error::Block {
            name: name(),
            at,
            ty,
            found: row,
            block: ty.block_len(),
        });
    }
    let bytes = ty
        .bytes_for(elements)
        .filter(|bytes| padded(*bytes, alignment).is_some());
    let Some(bytes) = bytes else {
        return Err(Error::SizeOverflow { what: name(), at });
    };
    if offset.checked_rem(u64::from(alignment)) != Some(0) {
        let why = format!("is not a multiple of the alignment, {alignment}");
        return Err(Error::Offset {
            name: name(),
            at: offset_at,
            found: offset,
            why,
        });
    }
    entry.bytes = bytes;
    Ok(entry)
}

/// Indices of `tensors` by name, for look-up; no name may occur twice. `name_at`: name and place of the entry in the header.
pub(crate) fn sort_names<T>(
    tensors: &[T],
    name_at: impl Fn(&T) -> (&str, u64),
) -> Result<Vec<u32>> {
    let get = |index: &u32| {
        let tensor = tensors.get(usize::try_from(*index).ok()?);
        tensor.map(&name_at)
    };
    let mut by_name: Vec<u32> = (0..).take(tensors.len()).collect();
    by_name.sort_by_key(|index| get(index).map(|(name, _)| name));
    for pair in by_name.windows(2) {
        if let [a, b] = pair
            && let (Some((first, _)), Some((name, at))) = (get(a), get(b))
            && first == name
        {
            let name = name.to_owned();
            return Err(Error::NameDup { name, at });
        }
    }
    Ok(by_name)
}

/// Where the data section starts and the indices of `tensors` by name, after checking all entries against each other:
/// no name twice, and the data side by side with nothing but padding between (as llama.cpp demands too).
pub(crate) fn check_tensors(
    tensors: &[TensorEntry],
    header_end: u64,
    alignment: u32,
) -> Result<(u64, Vec<u32>)> {
    let by_name = sort_names(tensors, |tensor| (&tensor.name, tensor.at))?;

    let too_large = || Error::SizeOverflow {
        what: "the sum of all tensors".to_owned(),
        at: header_end,
    };
    let data_offset = padded(header_end, alignment).ok_or_else(too_large)?;
    let sum = |end: u64, tensor: &TensorEntry| padded(end.checked_add(tensor.bytes)?, alignment);
    tensors
        .iter()
        .try_fold(data_offset, sum)
        .ok_or_else(too_large)?;

    let mut by_offset: Vec<&TensorEntry> = tensors.iter().collect();
    by_offset.sort_by_key(|tensor| tensor.offset);
    let mut end = 0_u64;
    let mut before: Option<&TensorEntry> = None;
    for tensor in by_offset {
        let TensorEntry {
            offset: found,
            offset_at: at,
            ..
        } = *tensor;
        if let Some(before) = before
            && found < end
        {
            return Err(Error::Overlap {
                a: before.name.clone(),
                b: tensor.name.clone(),
                at,
                found,
            });
        }
        if found != end {
            return Err(hole(tensors, tensor, end, alignment));
        }
        end = end
            .checked_add(tensor.bytes)
            .and_then(|end| padded(end, alignment))
            .ok_or_else(too_large)?;
        before = Some(tensor);
    }
    Ok((data_offset, by_name))
}

/// The error for data that does not follow on `end`, found at `tensor` in order of offset. Files are written in order,
/// so the first entry out of line is the one to blame: a single wild offset leaves its hole where the next tensor is.
fn hole(tensors: &[TensorEntry], found_at: &TensorEntry, end: u64, alignment: u32) -> Error {
    let mut culprit = (found_at, end);
    let mut expected = 0_u64;
    for tensor in tensors {
        if tensor.offset > expected {
            culprit = (tensor, expected);
            break;
        }
        let next = expected
            .checked_add(tensor.bytes)
            .and_then(|end| padded(end, alignment));
        expected = next.unwrap_or(u64::MAX);
    }
    let (tensor, end) = culprit;
    let why = format!("leaves a hole: the data before it ends at {end}");
    Error::Offset {
        name: tensor.name.clone(),
        at: tensor.offset_at,
        found: tensor.offset,
        why,
    }
}
