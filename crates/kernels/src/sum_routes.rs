//! What a token's experts give, summed (shaders/sum_routes.wgsl).

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{CpuBindings, f};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use bytemuck::{Pod, Zeroable};

/// `x[row] += Σ weight * (scale * y[route] + bias)` over the row's routes, then the activation blocks of the next norm. Behind
/// products that take a batch's routes expert by expert.
#[derive(Clone, Debug)]
pub struct SumRoutes {
    /// Values per row.
    pub n_values: u32,
    /// Routes per row; `y` has a row of whole blocks for each.
    pub used: u32,
    /// Where the buffer of routes has the biases `[expert, n_values]`.
    pub bias_at: Option<u32>,
    /// Factor on what experts give.
    pub scale: f32,
    /// Stored form of the activation blocks.
    pub act_out: ActKind,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    n_values: u32,
    bias_at: u32,
    scale: f32,
}

impl SumRoutes {
    fn k_blocks(&self) -> u32 {
        self.n_values.div_ceil(BLOCK as u32)
    }
}

impl Kernel for SumRoutes {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "sum_routes",
            defines: vec![
                define("USED", &self.used),
                flag("BIAS", self.bias_at.is_some()),
                flag("OUT_Q8", self.act_out == ActKind::Q8),
            ],
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![
            (1, Access::Read),
            (2, Access::Read),
            (3, Access::ReadWrite),
            (4, Access::Read),
            (5, Access::ReadWrite),
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            k_blocks: self.k_blocks(),
            n_values: self.n_values,
            bias_at: self.bias_at.unwrap_or_default(),
            scale: self.scale,
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.k_blocks().div_ceil(8),
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (y, routes, gamma) = (mem.read(1), mem.read(2), mem.read(4));
        let (mut x, mut out) = (mem.write(3), mem.write(5));
        let (n, used) = (self.n_values as usize, self.used as usize);
        let (blocks, words) = (self.k_blocks() as usize, self.act_out.words());
        for row in 0..rows as usize {
            let sum = |at: usize| -> f64 {
                let of_route = |i: usize| {
                    let y = f64::from(self.scale) * f64::from(f(&y, i * blocks * BLOCK + at));
                    let bias = self.bias_at.map_or(0.0, |first| {
                        f(&routes, first as usize + routes[2 * i] as usize * n + at)
                    });
                    f64::from(f(&routes, 2 * i + 1)) * (y + f64::from(bias))
                };
                (row * used..(row + 1) * used).map(of_route).sum()
            };
            for block in 0..blocks {
                let at = (row * blocks + block) * BLOCK;
                let added = |i: usize| {
                    let of_row = block * BLOCK + i;
                    // What pads the last block is whatever the product left there.
                    if of_row < n { sum(of_row) } else { 0.0 }
                };
                let joined = (&mut x[at..at + BLOCK], &gamma[block * BLOCK..][..BLOCK]);
                let out = &mut out[(row * blocks + block) * words..][..words];
                act::join(self.act_out, added, joined, out);
            }
        }
    }
}
