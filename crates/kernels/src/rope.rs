//! Heads of q and k on their way to attention: biased, normed and rotated.

use crate::cpu::f;
use crate::kv::KvShape;

/// Which weights norm a head.
#[derive(Clone, Copy)]
pub(crate) enum Head {
    Query,
    Key,
}

/// A token's `q|k|v`.
pub(crate) struct Token<'a> {
    shape: &'a KvShape,
    qkv: &'a [u32],
    rope: &'a [u32],
}

impl<'a> Token<'a> {
    /// Row `r` of the batch's `q|k|v`, with the RoPE buffer.
    pub(crate) fn new(shape: &'a KvShape, qkv: &'a [u32], rope: &'a [u32], r: usize) -> Self {
        let qkv = &qkv[r * shape.qkv_stride as usize..];
        Self { shape, qkv, rope }
    }

    /// Value `i`, with its bias.
    pub(crate) fn value(&self, i: u32) -> f64 {
        let bias = self
            .shape
            .bias_at
            .map_or(0.0, |at| f(self.rope, (at + i) as usize));
        f64::from(f(self.qkv, i as usize)) + f64::from(bias)
    }

    /// The head that starts at value `first`: normed where the shape says so, and rotated to `pos`.
    pub(crate) fn rotated(&self, first: u32, which: Head, pos: u32) -> Vec<f64> {
        let shape = self.shape;
        let mut values: Vec<f64> = (0..shape.head_dim).map(|d| self.value(first + d)).collect();
        if let Some((eps, gamma)) = self.norm(which) {
            let mean = values.iter().map(|v| v * v).sum::<f64>() / f64::from(shape.head_dim);
            let factor = 1.0 / (mean + f64::from(eps)).sqrt();
            for (value, gamma) in values.iter_mut().zip(gamma) {
                *value *= factor * f64::from(gamma);
            }
        }
        for ((a, b), entries) in self.pairs().zip(self.entries(pos)) {
            let [[cl, sl], [ch, sh]] = entries.map(|entry| entry.map(f64::from));
            let (cos, sin) = (ch * cl - sh * sl, sh * cl + ch * sl);
            let (x, y) = (values[a], values[b]);
            values[a] = x * cos - y * sin;
            values[b] = y * cos + x * sin;
        }
        values
    }

    /// As [`Token::rotated`], in f32.
    pub(crate) fn rotate_into(&self, first: u32, which: Head, pos: u32, out: &mut [f32]) {
        let shape = self.shape;
        for (d, out) in (first..).zip(out.iter_mut()) {
            *out = self.value(d) as f32;
        }
        if let Some((eps, gamma)) = self.norm(which) {
            let mean = out.iter().map(|v| v * v).sum::<f32>() / shape.head_dim as f32;
            let factor = 1.0 / (mean + eps).sqrt();
            for (out, gamma) in out.iter_mut().zip(gamma) {
                *out *= factor * gamma;
            }
        }
        for ((a, b), [[cl, sl], [ch, sh]]) in self.pairs().zip(self.entries(pos)) {
            let (cos, sin) = (ch * cl - sh * sl, sh * cl + ch * sl);
            let (x, y) = (out[a], out[b]);
            out[a] = x * cos - y * sin;
            out[b] = y * cos + x * sin;
        }
    }

    /// Epsilon and weights of the head's norm.
    fn norm(&self, which: Head) -> Option<(f32, impl Iterator<Item = f32>)> {
        let (eps, at) = self.shape.qk_norm?;
        let at = match which {
            Head::Query => at,
            Head::Key => at + self.shape.head_dim,
        };
        let gamma = &self.rope[at as usize..][..self.shape.head_dim as usize];
        Some((eps, gamma.iter().map(|g| f32::from_bits(*g))))
    }

    /// The values of a head that are rotated together.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (half, neox) = (self.shape.rope_dim as usize / 2, self.shape.neox);
        (0..half).map(move |pair| {
            if neox {
                (pair, pair + half)
            } else {
                (2 * pair, 2 * pair + 1)
            }
        })
    }

    /// By pair, `(cos, sin)` of `pos` within its 256 positions, and of the stride these are: see [`rope_table`].
    fn entries(&self, pos: u32) -> impl Iterator<Item = [[f32; 2]; 2]> {
        let half = self.shape.rope_dim / 2;
        let of = |first: u32| {
            let words = &self.rope[2 * first as usize..][..2 * half as usize];
            let entries = words.as_chunks::<2>().0.iter();
            entries.map(|entry| entry.map(f32::from_bits))
        };
        let low = of(self.shape.rope_lo + (pos & 255) * half);
        let high = of(self.shape.rope_hi + (pos >> 8) * half);
        low.zip(high).map(|(low, high)| [low, high])
    }
}

/// The RoPE table for `positions` positions: `(cos, sin)` of `[256, dim/2]` positions, then of `[positions/256, dim/2]`
/// 256-position strides. Two exact small tables instead of `cos` in the shader, which is only accurate near zero.
/// `angles` are radians per position, `magnitude` multiplies cos and sin.
#[must_use]
pub fn rope_table(angles: &[f64], magnitude: f32, positions: u32) -> (Vec<f32>, u32) {
    let mut table = Vec::new();
    let mut push = |pos: f64, scale: f64| {
        for a in angles {
            let (s, c) = (pos * a).sin_cos();
            table.extend([(c * scale) as f32, (s * scale) as f32]);
        }
    };
    for pos in 0..256 {
        push(f64::from(pos), f64::from(magnitude));
    }
    for stride in 0..positions.div_ceil(256).max(1) {
        push(f64::from(stride) * 256.0, 1.0);
    }
    (table, 256 * angles.len() as u32)
}
