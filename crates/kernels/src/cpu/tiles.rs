//! Outputs of a step cut into what threads may write at the same time, and activation blocks written with vectors.

use crate::act::{ActKind, BLOCK};
use chord_simd::Isa;

/// The first `tiles` tiles of `tile` words, of each of `rows` rows that lie `stride` words apart from `first` on: by tile, then by
/// row. The last tile ends where the row's `width` words do.
pub(crate) fn split(
    words: &mut [u32],
    (first, stride, width): (usize, usize, usize),
    (rows, tile, tiles): (usize, usize, usize),
) -> Vec<&mut [u32]> {
    let mut of_rows: Vec<_> = words[first..]
        .chunks_mut(stride)
        .take(rows)
        .map(|row| {
            let width = width.min(row.len());
            row[..width].chunks_mut(tile)
        })
        .collect();
    let mut out = Vec::with_capacity(rows * tiles);
    for _ in 0..tiles {
        out.extend(of_rows.iter_mut().map(|row| row.next().unwrap_or_default()));
    }
    out
}

/// How many of the columns that are left go together: as many as the registers hold. A run of four takes little longer than one column,
/// a run of eight than six: what is left over goes with columns of zeros.
#[inline(always)]
pub(crate) const fn columns_at_once<I: Isa>(left: usize) -> usize {
    match left {
        6.. if I::COLUMNS >= 8 => 8,
        2.. => 4,
        _ => 1,
    }
}

/// Writes an activation block as [`crate::act::encode`] does.
#[inline(always)]
pub(crate) fn encode<I: Isa>(
    isa: I,
    kind: ActKind,
    values: &[f32; BLOCK],
    ssq: f32,
    out: &mut [u32],
) {
    let halves = values.as_chunks::<{ BLOCK / 2 }>().0;
    match kind {
        ActKind::F32 => {
            let sums = [&halves[0], &halves[1]].map(|half| sum(isa, half));
            for (o, v) in out.iter_mut().zip(values) {
                *o = v.to_bits();
            }
            let trailer = [1.0, sums[0], sums[1], ssq].map(f32::to_bits);
            out[BLOCK..BLOCK + 4].copy_from_slice(&trailer);
        }
        ActKind::Q8 => {
            let mut sums = [0; 2];
            for (h, half) in halves.iter().enumerate() {
                let top = half
                    .chunks_exact(I::LANES)
                    .map(|v| isa.abs_f(isa.load_f(v)))
                    .fold(isa.splat_f(0.0), |a, v| isa.max_f(a, v));
                let top = isa.top(top);
                let inverse = if top > 0.0 { 127.0 / top } else { 0.0 };
                let mut q = [0; BLOCK / 2];
                for (v, q) in half
                    .chunks_exact(I::LANES)
                    .zip(q.chunks_exact_mut(I::LANES))
                {
                    let scaled = isa.mul_f(isa.load_f(v), isa.splat_f(inverse));
                    isa.store(isa.round(scaled), q);
                }
                for (word, q) in out[4 * h..].iter_mut().zip(q.as_chunks::<4>().0) {
                    *word = u32::from_le_bytes(q.map(|q| q as u8));
                }
                sums[h] = q.iter().fold(0, |a: u32, q| a.wrapping_add(*q)) & 0xffff;
                out[8 + h] = (top / 127.0).to_bits();
            }
            out[10] = sums[0] | sums[1] << 16;
            out[11] = ssq.to_bits();
        }
    }
}

/// Sum of values, a multiple of [`Isa::LANES`] of them.
#[inline(always)]
pub(crate) fn sum<I: Isa>(isa: I, values: &[f32]) -> f32 {
    let lanes = values
        .chunks_exact(I::LANES)
        .map(|v| isa.load_f(v))
        .fold(isa.splat_f(0.0), |a, v| isa.add_f(a, v));
    isa.sum(lanes)
}

/// Sum of squares.
#[inline(always)]
pub(crate) fn squares<I: Isa>(isa: I, values: &[f32]) -> f32 {
    let lanes = values
        .chunks_exact(I::LANES)
        .map(|v| isa.load_f(v))
        .fold(isa.splat_f(0.0), |a, v| isa.fma(v, v, a));
    isa.sum(lanes)
}
