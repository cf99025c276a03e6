//! Activation blocks: how the input of a matrix product is stored between steps.
//!
//! A block holds 32 values of one token and a trailer of four words.
//! - [`ActKind::Q8`]: 8 words of int8 `q` (value = d·q), then `(d0, d1, sums, ssq)`: 12 words. Each half of 16 values has
//!   its own scale: a scale per 32, as llama.cpp's Q8_1 has, measures 3.6e-3 mean KL on SmolLM2, above llama.cpp's own. `sums`
//!   packs the two i16 sums of the *quantised* values, as llama.cpp's do: weights are `d_w·q_w + m`, and only with the same
//!   rounding in both terms do the errors of a nearly zero-mean weight cancel.
//! - [`ActKind::F32`]: 32 words of f32, then `(1, s0, s1, ssq)`, sums of the halves: 36 words.
//!
//! `ssq` is the sum of squares of the residual values behind the block, before the norm's weight is applied: summed over a
//! row it gives the RMS norm's factor, which commutes with the product and is applied after it.

/// How activations are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActKind {
    /// f32, exact.
    F32,
    /// int8 with a scale per 16 values.
    Q8,
}

/// Values in a block.
pub const BLOCK: usize = 32;

impl ActKind {
    /// Words of a block.
    #[must_use]
    pub const fn words(self) -> usize {
        match self {
            Self::F32 => 36,
            Self::Q8 => 12,
        }
    }
}

/// Sum of f32 values in f64, rounded once.
fn sum(values: &[f32]) -> f32 {
    values.iter().map(|v| f64::from(*v)).sum::<f64>() as f32
}

/// Largest magnitude.
fn amax(values: &[f32]) -> f32 {
    values.iter().fold(0.0f32, |a, v| a.max(v.abs()))
}

/// Writes one block.
pub fn encode(kind: ActKind, values: &[f32; BLOCK], ssq: f32, out: &mut [u32]) {
    let (lo, hi) = values.split_at(BLOCK / 2);
    let trailer = match kind {
        ActKind::F32 => {
            for (o, v) in out.iter_mut().zip(values) {
                *o = v.to_bits();
            }
            [
                1.0f32.to_bits(),
                sum(lo).to_bits(),
                sum(hi).to_bits(),
                ssq.to_bits(),
            ]
        }
        ActKind::Q8 => {
            let quantised = [lo, hi].map(|half| {
                let inverse = if amax(half) > 0.0 {
                    127.0 / amax(half)
                } else {
                    0.0
                };
                half.iter()
                    .map(|v| (v * inverse).round_ties_even() as i8)
                    .collect::<Vec<i8>>()
            });
            let bytes: Vec<u8> = quantised
                .iter()
                .flatten()
                .map(|q| q.cast_unsigned())
                .collect();
            for (o, q) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *o = u32::from_le_bytes(*q);
            }
            let sums = quantised.map(|half| {
                half.iter()
                    .map(|q| i32::from(*q))
                    .sum::<i32>()
                    .cast_unsigned()
                    & 0xffff
            });
            [
                (amax(lo) / 127.0).to_bits(),
                (amax(hi) / 127.0).to_bits(),
                sums[0] | sums[1] << 16,
                ssq.to_bits(),
            ]
        }
    };
    let at = kind.words() - 4;
    out[at..at + 4].copy_from_slice(&trailer);
}

/// Adds to a block of the residual, and writes the block of the norm that follows, whose weights are `gamma`: in f64, for twins.
pub(crate) fn join(
    kind: ActKind,
    added: impl Fn(usize) -> f64,
    (x, gamma): (&mut [u32], &[u32]),
    out: &mut [u32],
) {
    let old = |i: usize| f64::from(f32::from_bits(x[i]));
    let residual: [f32; BLOCK] = std::array::from_fn(|i| (old(i) + added(i)) as f32);
    for (x, v) in x.iter_mut().zip(residual) {
        *x = v.to_bits();
    }
    let squares = residual.iter().map(|v| f64::from(*v) * f64::from(*v));
    let ssq = squares.sum::<f64>() as f32;
    let scaled = std::array::from_fn(|i| residual[i] * f32::from_bits(gamma[i]));
    encode(kind, &scaled, ssq, out);
}

/// Reads one block: its values and `ssq`.
#[must_use]
pub fn decode(kind: ActKind, words: &[u32]) -> ([f32; BLOCK], f32) {
    let trailer = |i: usize| f32::from_bits(words[kind.words() - 4 + i]);
    let q = |i: usize| f32::from(words[i / 4].to_le_bytes()[i % 4].cast_signed());
    let values = match kind {
        ActKind::F32 => std::array::from_fn(|i| f32::from_bits(words[i])),
        ActKind::Q8 => std::array::from_fn(|i| trailer(i / 16) * q(i)),
    };
    (values, ssq(kind, words))
}

/// `ssq` of one block.
pub(crate) fn ssq(kind: ActKind, words: &[u32]) -> f32 {
    f32::from_bits(words[kind.words() - 1])
}

/// Root of the mean square of a row of `n` values from the sum of its blocks' `ssq`.
pub(crate) fn rms((n, eps): (u32, f32), ssq: f64) -> f64 {
    (ssq / f64::from(n) + f64::from(eps)).sqrt()
}

/// Checks that a block's sums are those of its values: the largest difference, relative to their magnitude.
#[must_use]
pub fn sums_error(kind: ActKind, words: &[u32]) -> f32 {
    let (values, _) = decode(kind, words);
    let at = kind.words() - 4;
    let packed = words[at + 2];
    let stored = match kind {
        ActKind::F32 => [f32::from_bits(words[at + 1]), f32::from_bits(words[at + 2])],
        ActKind::Q8 => [(packed as i16, 0), ((packed >> 16) as i16, 1)]
            .map(|(s, i)| f32::from(s) * f32::from_bits(words[at + i])),
    };
    let halves = values.split_at(BLOCK / 2);
    let error = |half: &[f32], stored: f32| {
        (sum(half) - stored).abs() / half.iter().map(|v| v.abs()).sum::<f32>().max(1e-30)
    };
    error(halves.0, stored[0]).max(error(halves.1, stored[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q8_rounds_to_the_nearest_of_255_steps() {
        let values: [f32; BLOCK] = std::array::from_fn(|i| (i as f32 - 11.3) * 0.37);
        let mut words = [0; 12];
        encode(ActKind::Q8, &values, 3.0, &mut words);
        let (back, ssq) = decode(ActKind::Q8, &words);
        let step = values.iter().fold(0.0f32, |a, v| a.max(v.abs())) / 127.0;
        for (a, b) in values.iter().zip(back) {
            assert!((a - b).abs() <= step * 0.5001, "{a} {b}");
        }
        assert_eq!(ssq, 3.0);
        assert!(sums_error(ActKind::Q8, &words) < 1e-5);
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut words = [u32::MAX; 12];
        encode(ActKind::Q8, &[0.0; BLOCK], 0.0, &mut words);
        assert_eq!(words, [0; 12]);
    }
}
