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
    /// First entry of the table of 256-position strides in the RoPE table (entries are `(cos, sin)`).
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
    pad: [u32; 3],
}

impl KvShape {
    pub(crate) fn params(&self, scale: f32, act_blocks: u32, tap_stride: u32) -> KvParams {
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
            scale,
            act_blocks,
            tap_stride,
            pad: [0; 3],
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
        ]
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
                let half = u32::from(half::f16::from_f32(v).to_bits());
                words[i / 2] = (words[i / 2] & !(0xffff << shift)) | (half << shift);
            }
        }
    }

    /// Element `d` of the head starting at `qkv[base]`, rotated to its absolute position.
    pub(crate) fn rotated(&self, qkv: &[u32], rope: &[u32], base: usize, d: u32, pos: u32) -> f64 {
        let v = f64::from(f(qkv, base + d as usize));
        if d >= self.rope_dim {
            return v;
        }
        let half = self.rope_dim / 2;
        let (pair, first, other) = if self.neox {
            (
                d % half,
                d < half,
                if d < half { d + half } else { d - half },
            )
        } else {
            (d / 2, d.is_multiple_of(2), d ^ 1)
        };
        let entry = |i: u32| {
            (
                f64::from(f(rope, 2 * i as usize)),
                f64::from(f(rope, 2 * i as usize + 1)),
            )
        };
        let (cl, sl) = entry((pos & 255) * half + pair);
        let (ch, sh) = entry(self.rope_hi + (pos >> 8) * half + pair);
        let (c, s) = (ch * cl - sh * sl, sh * cl + ch * sl);
        let other = f64::from(f(qkv, base + other as usize));
        if first {
            v * c - other * s
        } else {
            v * c + other * s
        }
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
