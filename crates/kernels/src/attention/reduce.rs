//! What the splits of attention found, put together (shaders/attention_reduce.wgsl).

use super::Attention;
use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{CpuBindings, f};
use crate::kv::KvShape;
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, flag};
use bytemuck::{Pod, Zeroable};

/// Makes activation blocks of [`super::Out::Parts`]; heads may end within a block.
#[derive(Clone, Debug)]
pub struct AttentionReduce {
    /// Of the attention.
    pub shape: KvShape,
    /// Its splits.
    pub splits: u32,
    /// Stored form.
    pub act_out: ActKind,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    n_heads: u32,
    head_quads: u32,
    splits: u32,
}

impl AttentionReduce {
    fn k_blocks(&self) -> u32 {
        (self.shape.n_heads * self.shape.head_dim).div_ceil(BLOCK as u32)
    }

    /// Values of one head of row `r`.
    fn head(&self, parts: &[u32], r: usize, head: usize) -> Vec<f32> {
        let (heads, dim) = (self.shape.n_heads as usize, self.shape.head_dim as usize);
        let row = r * Attention::parts_words(&self.shape, self.splits) as usize;
        let at = |split: usize| row + (split * heads + head) * (dim + 4);
        let value = |i| f64::from(f(parts, i));
        // Only what has weights has values.
        let found: Vec<usize> = (0..self.splits as usize)
            .map(at)
            .filter(|at| value(at + 1) > 0.0)
            .collect();
        let top = (found.iter().map(|at| value(*at))).fold(f64::NEG_INFINITY, f64::max);
        let total = |i: usize| -> f64 {
            let weighted = found
                .iter()
                .map(|at| (value(*at) - top).exp() * value(at + i));
            weighted.sum()
        };
        let sum = total(1);
        (0..dim).map(|d| (total(4 + d) / sum) as f32).collect()
    }
}

impl Kernel for AttentionReduce {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "attention_reduce",
            defines: vec![flag("OUT_Q8", self.act_out == ActKind::Q8)],
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![(1, Access::Read), (2, Access::ReadWrite)]
    }

    fn params(&self) -> Vec<u8> {
        let params = Params {
            k_blocks: self.k_blocks(),
            n_heads: self.shape.n_heads,
            head_quads: self.shape.head_dim / 4,
            splits: self.splits,
        };
        bytemuck::bytes_of(&params).to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.k_blocks(),
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (parts, mut out) = (mem.read(1), mem.write(2));
        let row_words = self.k_blocks() as usize * self.act_out.words();
        for (r, out) in (0..rows as usize).zip(out.chunks_exact_mut(row_words)) {
            let mut values: Vec<f32> = (0..self.shape.n_heads as usize)
                .flat_map(|head| self.head(&parts, r, head))
                .collect();
            values.resize(values.len().next_multiple_of(BLOCK), 0.0);
            let blocks = values.as_chunks::<BLOCK>().0.iter();
            for (values, out) in blocks.zip(out.chunks_exact_mut(self.act_out.words())) {
                act::encode(self.act_out, values, 0.0, out);
            }
        }
    }
}
