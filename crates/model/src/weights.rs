//! Which tensors of the file become which buffers, and the repacking of a slice of one.

use crate::error::{Error, Result};
use chord_gguf::{Directory, TensorInfo};
use chord_kernels::matmul::TILE;
use chord_kernels::op::{BufDesc, BufId, Role};
use chord_quant::{WeightType, layout, repack_rows};

/// Matrices of one type and width, stacked by rows in one pair of streams.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Storage format.
    pub ty: WeightType,
    /// Columns.
    pub k: usize,
    /// Rows of all parts.
    pub rows: usize,
    /// Where they start in the matrix, if this is only some of it.
    pub row0: usize,
    /// Quant stream.
    pub quants: BufId,
    /// Scale stream.
    pub scales: BufId,
    /// The tensors, in row order.
    pub parts: Vec<Part>,
}

/// One tensor of a segment.
#[derive(Clone, Debug)]
pub struct Part {
    /// Tensor name, for messages.
    pub name: String,
    /// First row in the segment.
    pub row0: usize,
    /// Rows.
    pub rows: usize,
    /// First byte in the file.
    pub offset: u64,
}

/// An F32 vector, padded with zeros to whole blocks.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Tensor name.
    pub name: String,
    /// Destination.
    pub buffer: BufId,
    /// First word in it.
    pub at: u64,
    /// First byte in the file.
    pub offset: u64,
    /// Values.
    pub len: usize,
}

/// A slice of a part, read and repacked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes to read.
    pub bytes: usize,
    /// First word in the quant stream and words.
    pub quants: (u64, usize),
    /// First word in the scale stream and words.
    pub scales: (u64, usize),
}

/// The tensor of a checked directory.
pub(crate) fn tensor<'a>(d: &'a Directory, name: &str) -> Result<&'a TensorInfo> {
    d.tensor(name)
        .ok_or_else(|| Error::MissingTensor { name: name.into() })
}

/// Rows of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub name: String,
    pub first: usize,
    pub count: usize,
}

impl Rows {
    /// The rows from `skip` on, at most `take` of them, of several tensors as one matrix.
    fn slice(all: &[Self], skip: usize, take: usize) -> Vec<Self> {
        let mut out = Vec::new();
        let (mut skip, mut take) = (skip, take);
        for rows in all {
            let first = skip.min(rows.count);
            let count = (rows.count - first).min(take);
            if count > 0 {
                out.push(Self {
                    name: rows.name.clone(),
                    first: rows.first + first,
                    count,
                });
            }
            (skip, take) = (skip - first, take - count);
        }
        out
    }

    /// Rows of all together.
    pub(crate) fn total(all: &[Self]) -> usize {
        all.iter().map(|rows| rows.count).sum()
    }
}

/// Weight type, columns and rows of a matrix of a checked directory; the rows of several experts are counted together.
pub(crate) fn matrix(info: &TensorInfo) -> Result<(WeightType, usize, usize)> {
    let unusable = || Error::ModelData {
        what: format!("{} cannot be stored here", info.name),
    };
    let ty = WeightType::from_ggml_id(info.ty.id()).ok_or_else(unusable)?;
    let [k, rows, experts, ..] = info.dims;
    let rows = rows.checked_mul(experts).ok_or_else(unusable)?;
    Ok((
        ty,
        usize::try_from(k).map_err(|_| unusable())?,
        usize::try_from(rows).map_err(|_| unusable())?,
    ))
}

impl Segment {
    /// Most rows of a matrix of this type and width whose streams stay within `max_bytes` each: a multiple of `unit`, at least
    /// one of those.
    pub(crate) fn most_rows(
        ty: WeightType,
        k: usize,
        unit: usize,
        max_bytes: u64,
    ) -> Result<usize> {
        let l = layout(ty, 1, k).map_err(|e| Error::ModelData {
            what: e.to_string(),
        })?;
        let row_bytes = 4 * l.quant_words_per_row.max(l.scale_words_per_row) as u64;
        // Streams end in padding, which a row more is enough for.
        let rows = max_bytes
            .checked_div(row_bytes)
            .unwrap_or(u64::MAX)
            .saturating_sub(1);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        Ok((rows - rows % unit.max(1)).max(unit))
    }

    /// Lays rows of tensors of the same type and width out and adds their two buffers: rows from `row0` on, at most `most`, of
    /// all of them as one matrix.
    pub(crate) fn new(
        d: &Directory,
        all: &[Rows],
        row0: usize,
        most: usize,
        buffers: &mut Vec<BufDesc>,
    ) -> Result<Self> {
        let mut parts = Vec::new();
        let mut shape = None;
        let mut rows = 0;
        let mut matrix_rows = None;
        let mut names = Vec::new();
        for Rows { name, first, count } in Rows::slice(all, row0, most) {
            let info = tensor(d, &name)?;
            let (ty, k, _) = matrix(info)?;
            let row_bytes = ty.row_bytes(k).map_err(|e| Error::ModelData {
                what: format!("{name}: {e}"),
            })?;
            shape = Some((ty, k));
            let [_, of_one, experts, ..] = info.dims;
            matrix_rows = (experts > 1).then(|| usize::try_from(of_one).unwrap_or(usize::MAX));
            names.push(name.clone());
            parts.push(Part {
                name,
                row0: rows,
                rows: count,
                offset: info.offset + (first * row_bytes) as u64,
            });
            rows += count;
        }
        let names = names.join("+");
        let (ty, k) = shape.ok_or_else(|| Error::ModelData {
            what: "an empty segment".into(),
        })?;
        let l = layout(ty, rows, k).map_err(|e| Error::ModelData {
            what: format!("{names}: {e}"),
        })?;
        let part = if row0 == 0 && rows == Rows::total(all) {
            String::new()
        } else {
            format!(" from row {row0}")
        };
        let quants = buffers.len();
        let streams = [
            ("quants", l.quant_words, l.quant_words_per_row, 4),
            ("scales", l.scale_words, l.scale_words_per_row, 1),
        ];
        for (stream, words, row_words, unit) in streams {
            buffers.push(BufDesc {
                label: format!("{names}{part} {stream}"),
                words: words as u64,
                role: Role::Weights {
                    row_words: row_words as u32,
                    rows: matrix_rows.unwrap_or(rows) as u32,
                    unit,
                },
            });
        }
        Ok(Self {
            ty,
            k,
            rows,
            row0,
            quants,
            scales: quants + 1,
            parts,
        })
    }

    /// Reads of at most about `max_bytes` (at least one row) that cover every part.
    ///
    /// # Errors
    /// `E_MODEL_DATA` if the shape does not fit the type; a checked directory's does.
    pub fn slices(&self, max_bytes: usize) -> Result<Vec<Slice>> {
        let bad = |e: chord_quant::Error| Error::ModelData {
            what: e.to_string(),
        };
        let row_bytes = self.ty.row_bytes(self.k).map_err(bad)?;
        let l = layout(self.ty, self.rows, self.k).map_err(bad)?;
        let tile = TILE as usize;
        let step = match max_bytes / row_bytes {
            rows if rows > tile => rows - rows % tile,
            rows => rows.max(1),
        };
        let mut out = Vec::new();
        for part in &self.parts {
            for first in (0..part.rows).step_by(step) {
                let rows = step.min(part.rows - first);
                let at = part.row0 + first;
                out.push(Slice {
                    offset: part.offset + (first * row_bytes) as u64,
                    bytes: rows * row_bytes,
                    quants: (
                        (at * l.quant_words_per_row) as u64,
                        rows * l.quant_words_per_row,
                    ),
                    scales: (
                        (at * l.scale_words_per_row) as u64,
                        rows * l.scale_words_per_row,
                    ),
                });
            }
        }
        Ok(out)
    }

    /// Repacks the bytes of a slice into its words.
    ///
    /// # Errors
    /// `E_MODEL_DATA` if the bytes are not the slice's.
    pub fn repack(&self, bytes: &[u8], quants: &mut [u32], scales: &mut [u32]) -> Result<()> {
        repack_rows(self.ty, self.k, bytes, quants, scales).map_err(|e| Error::ModelData {
            what: e.to_string(),
        })
    }
}
