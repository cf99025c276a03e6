//! NumPy's .npy format, version 1.0: little-endian float32 in C order.

use std::io::{self, Write};

/// Bytes of the header, a multiple of 64 as the format asks.
const HEADER: usize = 128;

/// Writes the header of a float32 array of `shape`; the values follow row by row.
pub fn write_header(out: &mut dyn Write, shape: &[usize]) -> io::Result<()> {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one element needs its comma.
    let tuple = if dims.len() == 1 {
        format!("({},)", dims.concat())
    } else {
        format!("({})", dims.join(", "))
    };
    let mut dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple}, }}");
    let room = HEADER - 10 - 1;
    if dict.len() > room {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many dimensions for a .npy header",
        ));
    }
    while dict.len() < room {
        dict.push(' ');
    }
    dict.push('\n');
    out.write_all(b"\x93NUMPY\x01\x00")?;
    let len = u16::try_from(dict.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(dict.as_bytes())
}

/// Writes values as little-endian float32.
pub fn write_values(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(values.len().min(1 << 16) * 4);
    for chunk in values.chunks(1 << 16) {
        bytes.clear();
        for v in chunk {
            bytes.extend_from_slice(&v.to_le_bytes());
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads a float32 array in C order: shape and values.
pub fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a .npy file")?;
    let (len, rest) = match rest {
        [1, 0, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, 0, a, b, c, d, rest @ ..] => (
            usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).map_err(|e| e.to_string())?,
            rest,
        ),
        _ => return Err("unknown .npy version".into()),
    };
    let header = rest.get(..len).ok_or("the .npy header is cut short")?;
    let data = rest.get(len..).unwrap_or_default();
    let header = std::str::from_utf8(header).map_err(|_| "the .npy header is not text")?;
    if !header.contains("'<f4'") {
        return Err("only little-endian float32 (<f4) arrays are read".into());
    }
    if !header.contains("'fortran_order': False") {
        return Err("only arrays in C order are read".into());
    }
    let shape = header
        .split_once("'shape':")
        .and_then(|(_, r)| r.split_once('('))
        .and_then(|(_, r)| r.split_once(')'))
        .ok_or("the .npy header names no shape")?
        .0
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| {
            d.parse::<usize>()
                .map_err(|_| format!("bad dimension {d} in the .npy header"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let want = shape
        .iter()
        .try_fold(4usize, |n, d| n.checked_mul(*d))
        .ok_or("the .npy shape is too large")?;
    if data.len() != want {
        return Err(format!(
            "the .npy file holds {} bytes of values, its shape needs {want}",
            data.len()
        ));
    }
    let (words, _) = data.as_chunks::<4>();
    Ok((
        shape,
        words.iter().map(|w| f32::from_le_bytes(*w)).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_arrays_read_back() {
        for shape in [vec![2usize, 3], vec![6], vec![1, 2, 3]] {
            let values = [0.5f32, -1.0, f32::INFINITY, 1e-40, 0.0, 3.25];
            let mut bytes = Vec::new();
            write_header(&mut bytes, &shape).expect("vec");
            assert_eq!(bytes.len() % 64, 0, "values start aligned");
            write_values(&mut bytes, &values).expect("vec");
            assert_eq!(parse(&bytes).expect("valid"), (shape, values.to_vec()));
        }
    }

    #[test]
    fn reads_numpys_own_file() {
        let bytes = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/logits/v2k-llama-Q4_K_M.deq.slice.npy"
        ))
        .expect("reference data");
        let (shape, values) = parse(&bytes).expect("numpy's file");
        assert_eq!(shape, [32, 512]);
        assert_eq!(values.len(), 32 * 512);
        assert!(values.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut bytes = Vec::new();
        write_header(&mut bytes, &[2, 2]).expect("vec");
        write_values(&mut bytes, &[1.0, 2.0, 3.0, 4.0]).expect("vec");
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        bytes.push(0);
        assert!(parse(&bytes).is_err());
    }
}
