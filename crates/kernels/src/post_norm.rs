//! The norm of what a layer's half adds to the residual (shaders/post_norm.wgsl).

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{Cores, CpuBindings, f};
use crate::matmul::Residual;
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, flag};
use bytemuck::{Pod, Zeroable};
use chord_simd::Level;

/// `x[row] += rms_norm(y[row]) * weight * scale`, then the activation blocks of the next norm.
#[derive(Clone, Debug)]
pub struct PostNorm {
    /// Values per row.
    pub n_values: u32,
    /// f32 per row of y.
    pub stride: u32,
    /// Epsilon of the norm.
    pub eps: f32,
    /// Factor on what is added.
    pub scale: f32,
    /// Stored form of the activation blocks.
    pub act_out: ActKind,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    n_values: u32,
    stride: u32,
    eps: f32,
    scale: f32,
    pad: [u32; 3],
}

impl PostNorm {
    fn k_blocks(&self) -> u32 {
        self.n_values.div_ceil(BLOCK as u32)
    }

    /// A row in vectors.
    fn row(
        &self,
        level: Level,
        y: &[u32],
        (weight, gamma): (&[u32], &[u32]),
        (x, out): (&mut [u32], &mut [u32]),
    ) {
        let n = self.n_values as usize;
        let squares = y[..n].iter().map(|y| f64::from(f32::from_bits(*y)).powi(2));
        let factor = f64::from(self.scale) / act::rms((self.n_values, self.eps), squares.sum());
        let factor = factor as f32;
        let blocks = y[..n].chunks(BLOCK).zip(weight.chunks(BLOCK));
        let blocks = blocks.zip(gamma.chunks(BLOCK));
        let results = x
            .chunks_mut(BLOCK)
            .zip(out.chunks_mut(self.act_out.words()));
        for (((y, weight), gamma), (x, out)) in blocks.zip(results) {
            // What pads the last block adds nothing.
            let mut added = [0.0; BLOCK];
            for ((added, y), weight) in added.iter_mut().zip(y).zip(weight) {
                *added = f32::from_bits(*y) * (f32::from_bits(*weight) * factor);
            }
            level.run(Residual {
                y: &added,
                gamma,
                x,
                kind: self.act_out,
                out,
            });
        }
    }
}

impl Kernel for PostNorm {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "post_norm",
            defines: vec![flag("OUT_Q8", self.act_out == ActKind::Q8)],
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
            stride: self.stride,
            eps: self.eps,
            scale: self.scale,
            pad: [0; 3],
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: 1,
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (y, weight, gamma) = (mem.read(1), mem.read(2), mem.read(4));
        let (mut x, mut out) = (mem.write(3), mem.write(5));
        let (n, blocks, words) = (
            self.n_values as usize,
            self.k_blocks() as usize,
            self.act_out.words(),
        );
        for row in 0..rows as usize {
            let value = |i: usize| f64::from(f(&y, row * self.stride as usize + i));
            let mean = (0..n).map(|i| value(i) * value(i)).sum::<f64>() / n as f64;
            let factor = f64::from(self.scale) / (mean + f64::from(self.eps)).sqrt();
            for b in 0..blocks {
                let at = (row * blocks + b) * BLOCK;
                let added = |i: usize| {
                    let i_row = b * BLOCK + i;
                    if i_row < n {
                        value(i_row) * f64::from(f(&weight, i_row)) * factor
                    } else {
                        0.0
                    }
                };
                let joined = (&mut x[at..at + BLOCK], &gamma[b * BLOCK..][..BLOCK]);
                let out = &mut out[(row * blocks + b) * words..][..words];
                act::join(self.act_out, added, joined, out);
            }
        }
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let (y, weight, gamma) = (mem.read(1), mem.read(2), mem.read(4));
        let (mut x, mut out) = (mem.write(3), mem.write(5));
        let blocks = self.k_blocks() as usize;
        let x = x.chunks_mut(blocks * BLOCK);
        let out = out.chunks_mut(blocks * self.act_out.words());
        let items = y.chunks(self.stride as usize).zip(x).zip(out);
        let items = items.take(rows as usize).collect();
        cores.each(items, |((y, x), out)| {
            self.row(cores.level(), y, (&weight, &gamma), (x, out));
        });
    }
}
