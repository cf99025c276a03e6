//! Shape of the KV store, shared by the kernels that write and read it.

use crate::cpu::f;
use crate::shaders::{define, flag};
use bytemuck::{Pod, Zeroable};

/// Slots (tokens) of a page.
pub const PAGE: u32 = 32;

/// Storage format of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvType {
    /// Halves, two a word.
    F16,
    /// Floats.
    F32,
}

impl KvType {
    /// Words of `n` values; `n` is even.
    #[must_use]
    pub fn words(self, n: u64) -> u64 {
        match self {
            Self::F16 => n / 2,
            Self::F32 => n,
        }
    }
}

/// What attention and the KV writer must know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvShape {
    /// Query heads.
    pub n_heads: u32,
    /// KV heads; divides `n_heads`.
    pub n_kv_heads: u32,
    /// Values of a head; a multiple of 4.
    pub head_dim: u32,
    /// Rotated values of a head; even.
    pub rope_dim: u32,
    /// Pairs are `(i, i + rope_dim/2)` instead of `(2i, 2i+1)`.
    pub neox: bool,
    /// First entry of the RoPE table within the RoPE buffer (entries are `(cos, sin)`): models with windows have two.
    pub rope_lo: u32,
    /// First entry of that table's 256-position strides.
    pub rope_hi: u32,
    /// f32 per token of `q|k|v`.
    pub qkv_stride: u32,
    /// First K value of a token.
    pub k_off: u32,
    /// First V value of a token.
    pub v_off: u32,
    /// Pages a sequence may hold.
    pub seq_pages: u32,
    /// First pages, never recycled.
    pub sink_pages: u32,
    /// Storage format.
    pub kv: KvType,
    /// Factor on q·k.
    pub scale: f32,
    /// Of q, k and v: where their biases start in the RoPE buffer, as f32; `qkv_stride` of them.
    pub bias_at: Option<u32>,
    /// Epsilon of an RMS norm over each head of q and of k before the rotation, and where its weights start in the RoPE
    /// buffer: `head_dim` for q, then for k.
    pub qk_norm: Option<(f32, u32)>,
    /// A row at `pos` sees the positions above `pos - window` only.
    pub window: Option<u32>,
    /// Scores become `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// Attention sinks: where the RoPE buffer has a score per query head that takes part in the softmax and has no value.
    pub sinks_at: Option<u32>,
}

/// The uniform of `kv_write` and `attention` (`Params` in shaders/shared/kv_params.wgsl).
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct KvParams {
    n_heads: u32,
    n_kv_heads: u32,
    head_quads: u32,
    rope_dim: u32,
    rope_hi: u32,
    qkv_stride: u32,
    k_off: u32,
    v_off: u32,
    seq_pages: u32,
    sink_pages: u32,
    scale: f32,
    act_blocks: u32,
    tap_stride: u32,
    bias_at: u32,
    gamma_at: u32,
    norm_eps: f32,
    rope_lo: u32,
    window: u32,
    soft_cap: f32,
    sinks_at: u32,
}

/// Largest finite half: what f16 storage clamps to, as an out-of-range conversion has no dependable result in WGSL.
const F16_MAX: f32 = 65504.0;

impl KvShape {
    pub(crate) fn params(&self, act_blocks: u32, tap_stride: u32) -> KvParams {
        let (norm_eps, gamma_at) = self.qk_norm.unwrap_or_default();
        KvParams {
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_quads: self.head_dim / 4,
            rope_dim: self.rope_dim,
            rope_hi: self.rope_hi,
            qkv_stride: self.qkv_stride,
            k_off: self.k_off,
            v_off: self.v_off,
            seq_pages: self.seq_pages,
            sink_pages: self.sink_pages,
            scale: self.scale,
            act_blocks,
            tap_stride,
            bias_at: self.bias_at.unwrap_or_default(),
            gamma_at,
            norm_eps,
            rope_lo: self.rope_lo,
            window: self.window.unwrap_or_default(),
            soft_cap: self.soft_cap.unwrap_or_default(),
            sinks_at: self.sinks_at.unwrap_or_default(),
        }
    }

    pub(crate) fn defines(&self) -> Vec<(String, String)> {
        let (f16, ty) = match self.kv {
            KvType::F16 => (true, "vec2<u32>"),
            KvType::F32 => (false, "vec4<f32>"),
        };
        vec![
            flag("KV_F16", f16),
            define("KV_TYPE", &ty),
            flag("NEOX", self.neox),
            flag("BIAS", self.bias_at.is_some()),
            flag("QK_NORM", self.qk_norm.is_some()),
            flag(
                "OF_LAYER",
                self.bias_at.is_some() || self.qk_norm.is_some() || self.sinks_at.is_some(),
            ),
        ]
    }

    /// Defines of what only attention does.
    pub(crate) fn attention_defines(&self) -> Vec<(String, String)> {
        vec![
            flag("WINDOW", self.window.is_some()),
            flag("SOFT_CAP", self.soft_cap.is_some()),
            flag("SINKS", self.sinks_at.is_some()),
        ]
    }

    /// Logical page behind the i-th entry of the table, for a row at `pos`.
    #[must_use]
    pub fn logical(&self, entry: u32, pos: u32) -> u32 {
        let current = pos / PAGE;
        if current < self.seq_pages || entry < self.sink_pages {
            return entry;
        }
        let ring = self.seq_pages - self.sink_pages;
        current - (self.ring_index(current) + ring - entry) % ring
    }

    /// First position that a row at `pos` sees.
    #[must_use]
    pub fn first_visible(&self, pos: u32) -> u32 {
        self.window
            .map_or(0, |window| (pos + 1).saturating_sub(window))
    }

    /// Table index of a sequence's logical page: the ring of non-sink pages starts after the sinks.
    #[must_use]
    pub fn ring_index(&self, page: u32) -> u32 {
        if page < self.seq_pages {
            page
        } else {
            self.sink_pages + (page - self.sink_pages) % (self.seq_pages - self.sink_pages)
        }
    }

    /// First value of a slot in a K or V buffer: `[page, kv_head, slot, head_dim]`.
    #[must_use]
    pub fn at(&self, page: u32, kv_head: u32, slot: u32) -> usize {
        (((page * self.n_kv_heads + kv_head) * PAGE + slot) * self.head_dim) as usize
    }

    /// Reads value `i` of a K or V buffer.
    #[must_use]
    pub fn load(&self, words: &[u32], i: usize) -> f32 {
        match self.kv {
            KvType::F32 => f(words, i),
            KvType::F16 => half::f16::from_bits((words[i / 2] >> (16 * (i % 2))) as u16).to_f32(),
        }
    }

    pub(crate) fn store(&self, words: &mut [u32], i: usize, v: f32) {
        match self.kv {
            KvType::F32 => words[i] = v.to_bits(),
            KvType::F16 => {
                let shift = 16 * (i % 2);
                let v = v.clamp(-F16_MAX, F16_MAX);
                let half = u32::from(half::f16::from_f32(v).to_bits());
                words[i / 2] = (words[i / 2] & !(0xffff << shift)) | (half << shift);
            }
        }
    }

    /// Writes values from value `at` on, both even in number.
    pub(crate) fn store_all(&self, words: &mut [u32], at: usize, values: &[f32]) {
        match self.kv {
            KvType::F32 => {
                for (word, v) in words[at..].iter_mut().zip(values) {
                    *word = v.to_bits();
                }
            }
            KvType::F16 => {
                let half = |v: f32| {
                    let v = v.clamp(-F16_MAX, F16_MAX);
                    u32::from(half::f16::from_f32(v).to_bits())
                };
                for (word, [a, b]) in words[at / 2..].iter_mut().zip(values.as_chunks().0) {
                    *word = half(*a) | half(*b) << 16;
                }
            }
        }
    }

    /// The batch's `q|k|v` and the RoPE buffer, as the shaders see row `r` of it.
    pub(crate) fn token<'a>(&'a self, qkv: &'a [u32], rope: &'a [u32], r: usize) -> Token<'a> {
        Token {
            shape: self,
            qkv: &qkv[r * self.qkv_stride as usize..],
            rope,
        }
    }
}

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

impl Token<'_> {
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
        if let Some((eps, at)) = shape.qk_norm {
            let mean = values.iter().map(|v| v * v).sum::<f64>() / f64::from(shape.head_dim);
            let factor = 1.0 / (mean + f64::from(eps)).sqrt();
            let gamma = match which {
                Head::Query => at,
                Head::Key => at + shape.head_dim,
            };
            for (d, value) in values.iter_mut().enumerate() {
                *value *= factor * f64::from(f(self.rope, gamma as usize + d));
            }
        }
        let half = shape.rope_dim / 2;
        for pair in 0..half {
            let (a, b) = if shape.neox {
                (pair, pair + half)
            } else {
                (2 * pair, 2 * pair + 1)
            };
            let (a, b) = (a as usize, b as usize);
            let (cos, sin) = self.angle(pair, pos);
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
        if let Some((eps, at)) = shape.qk_norm {
            let mean = out.iter().map(|v| v * v).sum::<f32>() / shape.head_dim as f32;
            let factor = 1.0 / (mean + eps).sqrt();
            let gamma = match which {
                Head::Query => at,
                Head::Key => at + shape.head_dim,
            };
            for (d, out) in out.iter_mut().enumerate() {
                *out *= factor * f(self.rope, gamma as usize + d);
            }
        }
        let half = shape.rope_dim / 2;
        let entries = |first: u32| {
            let words = &self.rope[2 * first as usize..][..2 * half as usize];
            words
                .as_chunks::<2>()
                .0
                .iter()
                .map(|e| e.map(f32::from_bits))
        };
        let low = entries(shape.rope_lo + (pos & 255) * half);
        let high = entries(shape.rope_hi + (pos >> 8) * half);
        for (pair, ([cl, sl], [ch, sh])) in low.zip(high).enumerate() {
            let (a, b) = if shape.neox {
                (pair, pair + half as usize)
            } else {
                (2 * pair, 2 * pair + 1)
            };
            let (cos, sin) = (ch * cl - sh * sl, sh * cl + ch * sl);
            let (x, y) = (out[a], out[b]);
            out[a] = x * cos - y * sin;
            out[b] = y * cos + x * sin;
        }
    }

    /// (cos, sin) of a pair at a position.
    fn angle(&self, pair: u32, pos: u32) -> (f64, f64) {
        let half = self.shape.rope_dim / 2;
        let entry = |i: u32| {
            let at = 2 * i as usize;
            (f64::from(f(self.rope, at)), f64::from(f(self.rope, at + 1)))
        };
        let (cl, sl) = entry(self.shape.rope_lo + (pos & 255) * half + pair);
        let (ch, sh) = entry(self.shape.rope_hi + (pos >> 8) * half + pair);
        (ch * cl - sh * sl, sh * cl + ch * sl)
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
