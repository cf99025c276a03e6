//! The norm of what a layer's half adds to the residual (shaders/post_norm.wgsl).

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::tiles::squares;
use crate::cpu::{Cores, CpuBindings, f};
use crate::matmul::Residual;
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, flag};
use bytemuck::{Pod, Zeroable};
use chord_simd::{Isa, Op};

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
                let residual: [f32; BLOCK] = std::array::from_fn(|i| {
                    let i_row = b * BLOCK + i;
                    let add = if i_row < n {
                        value(i_row) * f64::from(f(&weight, i_row)) * factor
                    } else {
                        0.0
                    };
                    (f64::from(f(&x, at + i)) + add) as f32
                });
                for (x, v) in x[at..at + BLOCK].iter_mut().zip(residual) {
                    *x = v.to_bits();
                }
                let ssq = residual
                    .iter()
                    .map(|v| f64::from(*v) * f64::from(*v))
                    .sum::<f64>() as f32;
                let scaled = std::array::from_fn(|i| residual[i] * f(&gamma, b * BLOCK + i));
                act::encode(
                    self.act_out,
                    &scaled,
                    ssq,
                    &mut out[(row * blocks + b) * words..][..words],
                );
            }
        }
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let (y, weight, gamma) = (mem.read(1), mem.read(2), mem.read(4));
        let (mut x, mut out) = (mem.write(3), mem.write(5));
        let blocks = self.k_blocks() as usize;
        let y = y.chunks(self.stride as usize);
        let x = x.chunks_mut(blocks * BLOCK);
        let out = out.chunks_mut(blocks * self.act_out.words());
        let items = y.zip(x).zip(out).take(rows as usize);
        let items = items.map(|((y, x), out)| Row {
            kernel: self,
            y,
            weight: &weight,
            gamma: &gamma,
            x,
            out,
        });
        cores.each(items.collect(), |row| cores.level().run(row));
    }
}

/// A row in vectors.
struct Row<'a> {
    kernel: &'a PostNorm,
    y: &'a [u32],
    weight: &'a [u32],
    gamma: &'a [u32],
    x: &'a mut [u32],
    out: &'a mut [u32],
}

impl Op for Row<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        let kernel = self.kernel;
        let n = kernel.n_values as usize;
        let block = |words: &[u32], b: usize| -> [f32; BLOCK] {
            std::array::from_fn(|i| match b * BLOCK + i {
                at if at < n => f(words, at),
                _ => 0.0,
            })
        };
        let blocks = kernel.k_blocks() as usize;
        let ssq: f64 = (0..blocks)
            .map(|b| f64::from(squares(isa, &block(self.y, b))))
            .sum();
        let factor = f64::from(kernel.scale) / act::rms((kernel.n_values, kernel.eps), ssq);
        let factor = isa.splat_f(factor as f32);
        let x = self.x.chunks_exact_mut(BLOCK);
        let out = self.out.chunks_exact_mut(kernel.act_out.words());
        for (b, (x, out)) in x.zip(out).enumerate() {
            let (mut y, weight) = (block(self.y, b), block(self.weight, b));
            for at in (0..BLOCK).step_by(I::LANES) {
                let weight = isa.mul_f(isa.load_f(&weight[at..]), factor);
                let added = isa.mul_f(isa.load_f(&y[at..]), weight);
                isa.store_f(added, &mut y[at..]);
            }
            let residual = Residual {
                y: &y,
                gamma: &self.gamma[b * BLOCK..(b + 1) * BLOCK],
                x,
                kind: kernel.act_out,
                out,
            };
            residual.call(isa);
        }
    }
}
