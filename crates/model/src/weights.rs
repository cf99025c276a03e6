//! Which tensors of the file become which buffers, and the repacking of a slice of one.

use crate::error::{Error, Result};
use chord_gguf::{Directory, TensorInfo};
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

/// Weight type, columns and rows of a matrix of a checked directory.
pub(crate) fn matrix(info: &TensorInfo) -> Result<(WeightType, usize, usize)> {
    let unusable = || Error::ModelData {
        what: format!("{} cannot be stored here", info.name),
    };
    let ty = WeightType::from_ggml_id(info.ty.id()).ok_or_else(unusable)?;
    let [k, rows, ..] = info.dims;
    Ok((
        ty,
        usize::try_from(k).map_err(|_| unusable())?,
        usize::try_from(rows).map_err(|_| unusable())?,
    ))
}

impl Segment {
    /// Lays the named tensors (same type and width) out and adds their two buffers.
    pub(crate) fn new(d: &Directory, names: &[String], buffers: &mut Vec<BufDesc>) -> Result<Self> {
        let mut parts = Vec::new();
        let mut shape = None;
        let mut rows = 0;
        for name in names {
            let info = tensor(d, name)?;
            let (ty, k, n) = matrix(info)?;
            shape = Some((ty, k));
            parts.push(Part {
                name: name.clone(),
                row0: rows,
                rows: n,
                offset: info.offset,
            });
            rows += n;
        }
        let (ty, k) = shape.ok_or_else(|| Error::ModelData {
            what: "an empty segment".into(),
        })?;
        let l = layout(ty, rows, k).map_err(|e| Error::ModelData {
            what: format!("{}: {e}", names.join(", ")),
        })?;
        let quants = buffers.len();
        for (stream, words) in [("quants", l.quant_words), ("scales", l.scale_words)] {
            let label = format!("{} {stream}", names.join("+"));
            buffers.push(BufDesc {
                label,
                words: words as u64,
                role: Role::Storage,
            });
        }
        Ok(Self {
            ty,
            k,
            rows,
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
        let step = (max_bytes / row_bytes).max(1);
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
