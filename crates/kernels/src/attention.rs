//! Paged causal attention (shaders/attention.wgsl, and attention_batch.wgsl for several rows per workgroup).

mod attend;
mod fast;
mod reduce;
mod twin;

use crate::act::{ActKind, BLOCK};
use crate::cpu::{Cores, CpuBindings};
use crate::kv::{KvShape, KvType, PAGE};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use std::ops::Range;

pub use reduce::AttentionReduce;

/// Form of what attention writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Out {
    /// Activation blocks.
    Blocks(ActKind),
    /// Plain f32 rows, padded to whole blocks (see [`Attention::fills_blocks`]).
    Rows,
    /// What each of so many splits of a sequence's pages found, for [`AttentionReduce`].
    Parts(u32),
}

/// Attention of every row of the batch over its sequence's pages.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Shape of the store.
    pub shape: KvShape,
    /// Write the row's own K and V first (rows of different sequences only).
    pub fused: bool,
    /// What is written.
    pub out: Out,
    /// Rows per workgroup, as [`Attention::cols`] allows. More than one are rows of one sequence at positions that follow each other,
    /// then rows that are not valid; where the ring has gone round, on one page.
    pub cols: u32,
    /// Threads per workgroup; at least a page.
    pub wg: u32,
    /// Also write rotated queries and statistics of the weights.
    pub tap: bool,
}

impl Attention {
    /// Query heads a workgroup handles: the largest divisor of a KV head's queries that leaves workgroup memory within the
    /// WebGPU default of 16 KiB.
    #[must_use]
    pub fn group(shape: &KvShape) -> u32 {
        let ratio = shape.n_heads / shape.n_kv_heads;
        // Rotated queries, scores, weights, and two figures per head, in f32; what new keys and values are scaled by takes two a quad.
        let peaks = match shape.kv {
            KvType::Q8_0 => 8 * shape.head_dim / 4,
            KvType::F16 | KvType::F32 => 0,
        };
        let bytes = |group: u32| 4 * group * (shape.head_dim + 2 * PAGE + 2) + peaks;
        let fits = |group: &u32| ratio.is_multiple_of(*group) && bytes(*group) <= 16 << 10;
        (1..=ratio.min(16)).rev().find(fits).unwrap_or(1)
    }

    /// Rows of a batch that share a workgroup of `wg` threads, at most `most`: as many as leave its memory within the same bound, and
    /// no thread idle while scores are computed.
    #[must_use]
    pub fn cols(shape: &KvShape, wg: u32, most: u32) -> u32 {
        // Rotated queries, weights, and two figures per row and head, in f32.
        let bytes = |cols: u32| 4 * cols * Self::group(shape) * (shape.head_dim + PAGE + 2);
        let fits = |cols: &u32| *cols <= most && bytes(*cols) <= 16 << 10 && wg / cols <= PAGE;
        [8, 4, 2].into_iter().find(fits).unwrap_or(1)
    }

    /// Workgroups per KV head. More than one cannot write K and V for each other: [`Attention::fused`] needs one.
    #[must_use]
    pub fn subgroups(shape: &KvShape) -> u32 {
        shape.n_heads / shape.n_kv_heads / Self::group(shape)
    }

    /// Whether a workgroup's heads fill whole activation blocks; else the output must stay f32.
    #[must_use]
    pub fn fills_blocks(shape: &KvShape) -> bool {
        (Self::group(shape) * shape.head_dim).is_multiple_of(BLOCK as u32)
    }

    /// Blocks per row of the output, or f32 where it is plain; parts have strides of their own.
    fn out_stride(&self) -> u32 {
        let blocks = (self.shape.n_heads * self.shape.head_dim).div_ceil(BLOCK as u32);
        match self.out {
            Out::Blocks(_) => blocks,
            Out::Rows => blocks * BLOCK as u32,
            Out::Parts(_) => 0,
        }
    }

    /// The shader of more than one row per workgroup (shaders/attention_batch.wgsl).
    fn batch_shader(&self) -> Shader {
        let (quads, group) = (self.shape.head_dim / 4, Self::group(&self.shape));
        let queries = self.cols * group;
        let scorers = self.wg / self.cols;
        let quad_threads = quads.min(self.wg);
        let shares = self.wg / quad_threads;
        let mut defines = self.shape.defines();
        defines.extend(self.shape.attention_defines());
        defines.extend([
            flag("OUT_Q8", self.out == Out::Blocks(ActKind::Q8)),
            flag("OUT_F32", self.out == Out::Rows),
            define("WG", &self.wg),
            define("COLS", &self.cols),
            define("GROUP", &group),
            define("SUBS", &Self::subgroups(&self.shape)),
            define("QUERIES", &queries),
            define("Q_LEN", &(queries * quads)),
            define("S_LEN", &(queries * PAGE)),
            define("SCORERS", &scorers),
            define("SCORER_SLOTS", &(PAGE / scorers)),
            define("QUAD_THREADS", &quad_threads),
            define("QUADS_EACH", &quads.div_ceil(self.wg)),
            define("SHARES", &shares),
            define("SHARE_LEN", &queries.div_ceil(shares)),
        ]);
        Shader {
            kernel: "attention_batch",
            defines,
            subgroups: false,
        }
    }

    /// Workgroups that share the pages of a row's sequence.
    fn splits(&self) -> u32 {
        match self.out {
            Out::Parts(splits) => splits,
            Out::Blocks(_) | Out::Rows => 1,
        }
    }

    /// f32 per row of [`Out::Parts`]: `[split, head, 4 + head_dim]`, (maximum, sum of weights, 0, 0), then the sum of weighted
    /// values, both relative to the maximum. A split with no page to look at writes no values.
    #[must_use]
    pub fn parts_words(shape: &KvShape, splits: u32) -> u32 {
        splits * shape.n_heads * (shape.head_dim + 4)
    }

    /// f32 per row of the tap buffer: the rotated queries, then (row sum, maximum, entropy) per head.
    #[must_use]
    pub fn tap_stride(&self) -> u32 {
        self.shape.n_heads * (self.shape.head_dim + 3)
    }
}

impl Kernel for Attention {
    fn kv_bytes(&self, positions: Range<u32>) -> u64 {
        // A KV head's once for each workgroup that shares its query heads, and for all rows of a workgroup together.
        let s = &self.shape;
        let slot = 2 * 4 * u64::from(s.n_kv_heads * s.head_words());
        let groups = positions.clone().step_by(self.cols as usize);
        let rows = groups.map(|first| first..positions.end.min(first + self.cols));
        let slots: u64 = rows.map(|rows| u64::from(s.seen_slots(rows))).sum();
        slots * slot * u64::from(Self::subgroups(s))
    }

    fn shader(&self) -> Shader {
        if self.cols > 1 {
            return self.batch_shader();
        }
        let quads = self.shape.head_dim / 4;
        let group = Self::group(&self.shape);
        let mut defines = self.shape.defines();
        defines.extend(self.shape.attention_defines());
        defines.extend([
            flag("FUSED", self.fused),
            flag("OUT_BLOCKS", matches!(self.out, Out::Blocks(_))),
            flag("OUT_Q8", self.out == Out::Blocks(ActKind::Q8)),
            flag("OUT_F32", self.out == Out::Rows),
            flag("SPLIT", matches!(self.out, Out::Parts(_))),
            flag("TAP", self.tap),
            define("WG", &self.wg),
            define("GROUP", &group),
            define("SUBS", &Self::subgroups(&self.shape)),
            define("Q_LEN", &(group * quads)),
            define("S_LEN", &(group * PAGE)),
            define("ITEMS", &(group * quads).div_ceil(self.wg)),
            define("STORE_ITEMS", &quads.div_ceil(self.wg)),
        ]);
        Shader {
            kernel: "attention",
            defines,
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        let kv = if self.fused {
            Access::ReadWrite
        } else {
            Access::Read
        };
        let mut slots = vec![
            (1, Access::Read),
            (2, kv),
            (3, kv),
            (4, Access::Read),
            (5, Access::Read),
            (6, Access::Read),
            (7, Access::ReadWrite),
        ];
        if self.tap {
            slots.push((8, Access::ReadWrite));
        }
        slots
    }

    fn params(&self) -> Vec<u8> {
        let tap_stride = if self.tap { self.tap_stride() } else { 0 };
        let params = (self.shape).params(self.out_stride(), tap_stride, self.splits());
        bytemuck::bytes_of(&params).to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.shape.n_heads / Self::group(&self.shape),
            rows_per_group: self.cols,
            groups: self.splits(),
        }
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        self.run_fast(rows, mem, cores);
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        self.run_twin(rows, mem);
    }
}
