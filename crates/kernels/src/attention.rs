//! Paged causal attention (shaders/attention.wgsl).

mod fast;

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{Cores, CpuBindings, f};
use crate::kv::{KvShape, PAGE, Row};
use crate::kv_write::{Inputs, write_row};
use crate::op::{Access, Grid, Kernel};
use crate::rope::{Head, Token};
use crate::shaders::{Shader, define, flag};

/// Attention of every row of the batch over its sequence's pages.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Shape of the store.
    pub shape: KvShape,
    /// Write the row's own K and V first (rows of different sequences only).
    pub fused: bool,
    /// Stored form of the output; None: plain f32 rows, padded to whole blocks (see [`Attention::fills_blocks`]).
    pub act_out: Option<ActKind>,
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
        // Rotated queries, scores, weights, and two figures per head, in f32.
        let bytes = |group: u32| 4 * group * (shape.head_dim + 2 * PAGE + 2);
        let fits = |group: &u32| ratio.is_multiple_of(*group) && bytes(*group) <= 16 << 10;
        (1..=ratio.min(16)).rev().find(fits).unwrap_or(1)
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

    /// Blocks per row of the output, or f32 where it is plain.
    fn out_stride(&self) -> u32 {
        let blocks = (self.shape.n_heads * self.shape.head_dim).div_ceil(BLOCK as u32);
        if self.act_out.is_some() {
            blocks
        } else {
            blocks * BLOCK as u32
        }
    }

    /// f32 per row of the tap buffer: the rotated queries, then (row sum, maximum, entropy) per head.
    #[must_use]
    pub fn tap_stride(&self) -> u32 {
        self.shape.n_heads * (self.shape.head_dim + 3)
    }

    fn attend(&self, r: usize, tile: u32, row: &Row, mem: &CpuBindings<'_>, k: &[u32], v: &[u32]) {
        let (qkv, rope, table) = (mem.read(1), mem.read(4), mem.read(6));
        let shape = &self.shape;
        let dim = shape.head_dim as usize;
        let group = Self::group(shape);
        let kv_head = tile / Self::subgroups(shape);
        let pages = shape.seen(row, &table);
        let token = Token::new(shape, &qkv, &rope, r);
        let mut output = vec![0.0f32; group as usize * dim];
        for h in 0..group {
            let head = tile * group + h;
            let q = token.rotated(head * shape.head_dim, Head::Query, row[1]);
            let slots = || {
                pages
                    .iter()
                    .flat_map(|(page, seen)| seen.clone().map(move |s| shape.at(*page, kv_head, s)))
            };
            let scores: Vec<f64> = slots()
                .map(|at| {
                    q.iter()
                        .enumerate()
                        .map(|(d, q)| q * f64::from(shape.load(k, at + d)))
                        .sum::<f64>()
                        * f64::from(shape.scale)
                })
                .collect();
            let capped = |s: f64| {
                shape
                    .soft_cap
                    .map_or(s, |cap| f64::from(cap) * (s / f64::from(cap)).tanh())
            };
            let scores: Vec<f64> = scores.into_iter().map(capped).collect();
            let sink = shape
                .sinks_at
                .map(|at| f64::from(f(&rope, (at + head) as usize)));
            let top = scores
                .iter()
                .copied()
                .chain(sink)
                .fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores
                .iter()
                .copied()
                .chain(sink)
                .map(|s| (s - top).exp())
                .sum();
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp() / total).collect();
            for d in 0..dim {
                let o = slots()
                    .zip(&weights)
                    .map(|(at, w)| w * f64::from(shape.load(v, at + d)))
                    .sum::<f64>();
                output[h as usize * dim + d] = o as f32;
            }
            if self.tap {
                let mut tap = mem.write(8);
                let at = r * self.tap_stride() as usize;
                for (d, q) in q.iter().enumerate() {
                    tap[at + head as usize * dim + d] = (*q as f32).to_bits();
                }
                let entropy: f64 = weights
                    .iter()
                    .filter(|w| **w > 0.0)
                    .map(|w| -w * w.ln())
                    .sum();
                let stats = [
                    weights.iter().sum::<f64>(),
                    weights.iter().fold(0.0, |a, w| a.max(*w)),
                    entropy,
                ];
                for (i, s) in stats.iter().enumerate() {
                    tap[at + shape.n_heads as usize * dim + head as usize * 3 + i] =
                        (*s as f32).to_bits();
                }
            }
        }
        let mut out = mem.write(7);
        let first = tile as usize * output.len();
        let row = r * self.out_stride() as usize;
        match self.act_out {
            None => {
                for (o, v) in out[row + first..].iter_mut().zip(&output) {
                    *o = v.to_bits();
                }
            }
            Some(kind) => {
                for (i, values) in output.as_chunks::<BLOCK>().0.iter().enumerate() {
                    let at = (row + first / BLOCK + i) * kind.words();
                    act::encode(kind, values, 0.0, &mut out[at..at + kind.words()]);
                }
            }
        }
    }
}

impl Kernel for Attention {
    fn kv_bytes(&self, positions: std::ops::Range<u32>) -> u64 {
        // A KV head's once for each workgroup that shares its query heads.
        let s = &self.shape;
        let slot = 2 * 4 * s.kv.words(u64::from(s.n_kv_heads * s.head_dim));
        let slots: u64 = positions.map(|pos| u64::from(s.seen_slots(pos))).sum();
        slots * slot * u64::from(Self::subgroups(s))
    }

    fn shader(&self) -> Shader {
        let quads = self.shape.head_dim / 4;
        let group = Self::group(&self.shape);
        let mut defines = self.shape.defines();
        defines.extend(self.shape.attention_defines());
        defines.extend([
            flag("FUSED", self.fused),
            flag("OUT_Q8", self.act_out == Some(ActKind::Q8)),
            flag("OUT_F32", self.act_out.is_none()),
            flag("TAP", self.tap),
            define("WG", &self.wg),
            define("GROUP", &group),
            define("SUBS", &Self::subgroups(&self.shape)),
            define("HEAD_QUADS", &quads),
            define("Q_LEN", &(group * quads)),
            define("S_LEN", &(group * PAGE)),
            define("ITEMS", &(group * quads).div_ceil(self.wg)),
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
        bytemuck::bytes_of(&self.shape.params(self.out_stride(), tap_stride)).to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.shape.n_heads / Self::group(&self.shape),
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        self.run_fast(rows, mem, cores);
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let batch = mem.read(5);
        let rows = batch.as_chunks().0.iter().take(rows as usize);
        for (r, row) in rows.enumerate() {
            for kv_head in 0..self.shape.n_kv_heads {
                if self.fused && row[3] != 0 {
                    let (mut k, mut v) = (mem.write(2), mem.write(3));
                    write_row(
                        &self.shape,
                        kv_head,
                        r,
                        row,
                        &Inputs {
                            qkv: &mem.read(1),
                            rope: &mem.read(4),
                            table: &mem.read(6),
                        },
                        &mut k,
                        &mut v,
                    );
                }
                let subs = Self::subgroups(&self.shape);
                for tile in kv_head * subs..(kv_head + 1) * subs {
                    self.attend(r, tile, row, mem, &mem.read(2), &mem.read(3));
                }
            }
        }
    }
}
