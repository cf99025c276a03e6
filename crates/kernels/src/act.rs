//! Activation blocks: how the input of a matrix product is stored between steps.
//!
//! A block holds 32 values of one token and a trailer of four f32: `(d, s0, s1, ssq)`.
//! - [`ActKind::Q8`]: 8 words of int8 `q` (value = d·q), then the trailer: 12 words. As llama.cpp does, the sums are of the
//!   *quantised* values (`s0 = d·Σ q[0..16]`): weights are `d_w·q_w + m`, and only with the same rounding in both terms do
//!   the errors of a nearly zero-mean weight cancel.
//! - [`ActKind::F32`]: 32 words of f32, then the trailer with `d = 1`: 36 words.
//!
//! `ssq` is the sum of squares of the residual values behind the block, before the norm's weight is applied: summed over a
//! row it gives the RMS norm's factor, which commutes with the product and is applied after it.

/// How activations are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActKind {
    /// f32, exact.
    F32,
    /// int8 with a scale per 32 values.
    Q8,
}

/// Values in a block.
pub const BLOCK: usize = 32;

impl ActKind {
    /// Words of a block.
    #[must_use]
    pub fn words(self) -> usize {
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

/// Writes one block.
pub fn encode(kind: ActKind, values: &[f32; BLOCK], ssq: f32, out: &mut [u32]) {
    let trailer = match kind {
        ActKind::F32 => {
            for (o, v) in out.iter_mut().zip(values) {
                *o = v.to_bits();
            }
            [1.0, sum(&values[..16]), sum(&values[16..]), ssq]
        }
        ActKind::Q8 => {
            let amax = values.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            let d = amax / 127.0;
            let id = if amax > 0.0 { 127.0 / amax } else { 0.0 };
            let q = values.map(|v| (v * id).round_ties_even());
            for (o, q) in out.iter_mut().zip(q.chunks_exact(4)) {
                *o = u32::from_le_bytes([
                    q[0] as i8 as u8,
                    q[1] as i8 as u8,
                    q[2] as i8 as u8,
                    q[3] as i8 as u8,
                ]);
            }
            [d, d * sum(&q[..16]), d * sum(&q[16..]), ssq]
        }
    };
    let at = kind.words() - 4;
    for (o, t) in out[at..at + 4].iter_mut().zip(trailer) {
        *o = t.to_bits();
    }
}

/// Reads one block: its values and `ssq`.
#[must_use]
pub fn decode(kind: ActKind, words: &[u32]) -> ([f32; BLOCK], f32) {
    let trailer = |i: usize| f32::from_bits(words[kind.words() - 4 + i]);
    let values = match kind {
        ActKind::F32 => std::array::from_fn(|i| f32::from_bits(words[i])),
        ActKind::Q8 => {
            std::array::from_fn(|i| trailer(0) * f32::from(words[i / 4].to_le_bytes()[i % 4] as i8))
        }
    };
    (values, trailer(3))
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
        let s0 = f32::from_bits(words[9]);
        assert!((s0 - back[..16].iter().sum::<f32>()).abs() < 1e-4);
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut words = [u32::MAX; 12];
        encode(ActKind::Q8, &[0.0; BLOCK], 0.0, &mut words);
        assert_eq!(words, [0; 12]);
    }
}
