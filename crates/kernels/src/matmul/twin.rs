//! The CPU twin of the matrix products.

use super::{Epilogue, MatMul};
use crate::act::{self, BLOCK};
use crate::cpu::{CpuBindings, f};
use chord_quant::{WeightType, layout, stream_block};

/// A row of x, and the factor on y that belongs to it: the norm's and the scale.
type Input = (Vec<f64>, f64);

/// One matrix as the shader sees it.
struct Matrix<'a> {
    ty: WeightType,
    /// Rows of one expert, and of all.
    rows: usize,
    stacked: usize,
    k: usize,
    quants: &'a [u32],
    scales: &'a [u32],
}

impl Matrix<'_> {
    /// W·x for each input, of the expert's rows.
    fn times(&self, expert: usize, inputs: &[&Input]) -> Vec<Vec<f64>> {
        let l =
            layout(self.ty, self.rows * self.stacked, self.k).expect("the plan checked the shape");
        let mut y = vec![vec![0.0; self.rows]; inputs.len()];
        for r in 0..self.rows {
            let w: Vec<f64> = (0..l.blocks_per_row)
                .flat_map(|b| {
                    stream_block(
                        self.ty,
                        &l,
                        self.quants,
                        self.scales,
                        expert * self.rows + r,
                        b,
                    )
                    .expect("the streams fit the layout")
                    .values
                })
                .map(f64::from)
                .collect();
            for (y, (x, factor)) in y.iter_mut().zip(inputs) {
                y[r] = w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() * factor;
            }
        }
        y
    }
}

impl MatMul {
    pub(super) fn twin(&self, rows: u32, mem: &CpuBindings<'_>) {
        let rows = rows as usize;
        let (q_a, s_a) = (mem.read(1), mem.read(2));
        let a = self.matrix(self.a, self.rows_a, &q_a, &s_a);
        match (self.experts, self.epilogue) {
            (None, _) => {
                let inputs = self.inputs(rows, mem);
                let inputs: Vec<&Input> = inputs.iter().collect();
                let ya = a.times(0, &inputs);
                let yb = self.b.map(|ty| {
                    self.matrix(ty, self.rows_b, &mem.read(3), &mem.read(4))
                        .times(0, &inputs)
                });
                for (row, y) in ya.iter().enumerate() {
                    self.emit(row, y, yb.as_ref().map(|yb| &yb[row][..]), mem);
                }
            }
            (Some(experts), Epilogue::Plain) => {
                let routes = mem.read(10);
                let inputs = self.inputs(rows * experts.used as usize, mem);
                for (i, input) in inputs.iter().enumerate() {
                    if let Some(route) = experts.route(&routes, i) {
                        self.emit(i, &a.times(route.place, &[input])[0], None, mem);
                    }
                }
            }
            (Some(experts), Epilogue::Residual) => {
                let routes = mem.read(10);
                let inputs = self.inputs(rows * experts.used as usize, mem);
                let used = experts.used as usize;
                for (row, inputs) in inputs.chunks(used).enumerate() {
                    let mut sum = vec![0.0; a.rows];
                    for (i, input) in (row * used..).zip(inputs) {
                        let Some(route) = experts.route(&routes, i) else {
                            continue;
                        };
                        let y = &a.times(route.place, &[input])[0];
                        let biases = experts.biases(&routes, 0, route.expert, a.rows);
                        let bias = |r| biases.map_or(0.0, |b| f(b, r));
                        for (r, (sum, y)) in sum.iter_mut().zip(y).enumerate() {
                            *sum += f64::from(route.weight) * (y + f64::from(bias(r)));
                        }
                    }
                    self.emit(row, &sum, None, mem);
                }
            }
            (Some(experts), Epilogue::Glu) => {
                let routes = mem.read(10);
                let inputs = self.inputs(rows, mem);
                let (q_b, s_b) = (mem.read(3), mem.read(4));
                let b = self.matrix(
                    self.b.expect("Glu has two matrices"),
                    self.rows_b,
                    &q_b,
                    &s_b,
                );
                for i in 0..rows * experts.used as usize {
                    if let Some(route) = experts.route(&routes, i) {
                        let input = [&inputs[i / experts.used as usize]];
                        let biased = |which: usize, matrix: &Matrix<'_>| -> Vec<f64> {
                            let y = &matrix.times(route.place, &input)[0];
                            let biases = experts.biases(&routes, which, route.expert, a.rows);
                            let bias = |r| biases.map_or(0.0, |b| f(b, r));
                            let y = y.iter().enumerate();
                            y.map(|(r, y)| y + f64::from(bias(r))).collect()
                        };
                        let (gate, up) = (biased(0, &a), biased(1, &b));
                        self.emit(i, &gate, Some(&up), mem);
                    }
                }
            }
        }
    }

    fn matrix<'a>(
        &self,
        ty: WeightType,
        rows: u32,
        quants: &'a [u32],
        scales: &'a [u32],
    ) -> Matrix<'a> {
        Matrix {
            ty,
            rows: rows as usize,
            stacked: self.stacked() as usize,
            k: self.k_blocks as usize * BLOCK,
            quants,
            scales,
        }
    }

    /// The first `n` rows of x in f64.
    fn inputs(&self, n: usize, mem: &CpuBindings<'_>) -> Vec<Input> {
        let words = self.act_in.words();
        mem.read(5)
            .chunks(self.k_blocks as usize * words)
            .take(n)
            .map(|token| {
                let blocks: Vec<_> = token
                    .chunks_exact(words)
                    .map(|b| act::decode(self.act_in, b))
                    .collect();
                let ssq: f64 = blocks.iter().map(|(_, ssq)| f64::from(*ssq)).sum();
                let factor = self.norm.map_or(1.0, |norm| 1.0 / act::rms(norm, ssq));
                let values = blocks.iter().flat_map(|(v, _)| v).map(|v| f64::from(*v));
                (values.collect(), factor * f64::from(self.scale))
            })
            .collect()
    }

    /// What the epilogue makes of an output row.
    fn emit(&self, row: usize, y: &[f64], second: Option<&[f64]>, mem: &CpuBindings<'_>) {
        let (first_tile, stride) = self.parted();
        let (first_tile, stride) = (first_tile as usize, stride as usize);
        match self.epilogue {
            Epilogue::Plain => {
                let mut out = mem.write(6);
                let (base, width) = self.placed();
                let at = base as usize + row * width as usize;
                let second = second.into_iter().flatten().enumerate();
                let second = second.map(|(i, v)| (self.b_offset() as usize + i, v));
                for (i, v) in y.iter().enumerate().chain(second) {
                    let v = self
                        .soft_cap
                        .map_or(*v, |cap| f64::from(cap) * (v / f64::from(cap)).tanh());
                    out[at + i] = (v as f32).to_bits();
                }
            }
            Epilogue::Residual => {
                let (mut x, gamma, mut out) = (mem.write(6), mem.read(7), mem.write(8));
                let added = |i: usize| {
                    let bias = if self.bias {
                        f64::from(f(&gamma, (stride + first_tile) * BLOCK + i))
                    } else {
                        0.0
                    };
                    y.get(i).map(|y| y + bias)
                };
                if let Some(tap_stride) = self.tap {
                    let mut tap = mem.write(9);
                    for i in 0..y.len() {
                        let at = row * tap_stride as usize + first_tile * BLOCK + i;
                        tap[at] = (added(i).unwrap_or_default() as f32).to_bits();
                    }
                }
                for tile in 0..self.tiles() as usize {
                    let at = (row * stride + first_tile + tile) * BLOCK;
                    let mut residual = [0.0f32; BLOCK];
                    for (i, r) in residual.iter_mut().enumerate() {
                        if let Some(y) = added(tile * BLOCK + i) {
                            *r = (f64::from(f(&x, at + i)) + y) as f32;
                            x[at + i] = r.to_bits();
                        }
                    }
                    let ssq = residual
                        .iter()
                        .map(|v| f64::from(*v) * f64::from(*v))
                        .sum::<f64>() as f32;
                    let scaled = std::array::from_fn(|i| {
                        residual[i] * f(&gamma, (first_tile + tile) * BLOCK + i)
                    });
                    self.block(&mut out, row * stride + first_tile + tile, &scaled, ssq);
                }
            }
            Epilogue::Glu => {
                let up = second.expect("Glu has two matrices");
                let mut out = mem.write(8);
                for tile in 0..self.tiles() as usize {
                    let value = |i: usize| {
                        let at = tile * BLOCK + i;
                        y.get(at)
                            .map_or(0.0, |gate| self.glu.apply(*gate, up[at]) as f32)
                    };
                    let values = std::array::from_fn(value);
                    self.block(&mut out, row * stride + first_tile + tile, &values, 0.0);
                }
            }
        }
    }

    fn block(&self, out: &mut [u32], at: usize, values: &[f32; BLOCK], ssq: f32) {
        let words = self.act_out.words();
        act::encode(self.act_out, values, ssq, &mut out[at * words..][..words]);
    }
}
