//! Activation blocks of plain f32 rows (shaders/activate.wgsl).

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{CpuBindings, f};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, flag};
use bytemuck::{Pod, Zeroable};

/// Packs rows that a step could not write in whole blocks.
#[derive(Clone, Debug)]
pub struct Activate {
    /// Values per row.
    pub n_values: u32,
    /// f32 per row of the source, at least `n_values` padded to whole blocks.
    pub stride: u32,
    /// Stored form.
    pub act_out: ActKind,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    n_values: u32,
    stride: u32,
    pad: u32,
}

impl Activate {
    fn k_blocks(&self) -> u32 {
        self.n_values.div_ceil(BLOCK as u32)
    }
}

impl Kernel for Activate {
    fn shader(&self) -> Shader {
        let defines = vec![flag("OUT_Q8", self.act_out == ActKind::Q8)];
        Shader {
            kernel: "activate",
            defines,
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![(1, Access::Read), (2, Access::ReadWrite)]
    }

    fn params(&self) -> Vec<u8> {
        let params = Params {
            k_blocks: self.k_blocks(),
            n_values: self.n_values,
            stride: self.stride,
            pad: 0,
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
        let (x, mut out) = (mem.read(1), mem.write(2));
        let (words, blocks) = (self.act_out.words(), self.k_blocks() as usize);
        for r in 0..rows as usize {
            for b in 0..blocks {
                let values = std::array::from_fn(|i| {
                    let at = b * BLOCK + i;
                    if at < self.n_values as usize {
                        f(&x, r * self.stride as usize + at)
                    } else {
                        0.0
                    }
                });
                let at = (r * blocks + b) * words;
                act::encode(self.act_out, &values, 0.0, &mut out[at..at + words]);
            }
        }
    }
}
