//! Matrix products with fused epilogues (shaders/matmul.wgsl).

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{CpuBindings, f};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use bytemuck::{Pod, Zeroable};
use chord_quant::{WeightType, layout, stream_block};

/// Rows of W a workgroup computes: one activation block of the next step.
pub const TILE: u32 = 32;

/// What happens to `y = W·x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Epilogue {
    /// `out = y`.
    Plain,
    /// `x += y`, then the activation blocks of the next norm.
    Residual,
    /// Activation blocks of `silu(A·x) * (B·x)`.
    Glu,
}

/// How the work of a tile is shared among threads. Chosen from the device's capabilities and measured, never by vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// 8 threads of 4 whole rows each: no reduction, barriers are rare. For software adapters.
    RowPerThread,
    /// 8 lanes a row, reduced through workgroup memory. Needs nothing.
    Lanes,
    /// 8 (or 4) lanes a row, reduced by subgroup shuffles.
    LanesSubgroup {
        /// Lanes sharing a row; must divide the smallest subgroup size.
        split: u32,
    },
}

impl Layout {
    /// (rows per thread, lanes per row, threads).
    fn shape(self) -> (u32, u32, u32) {
        match self {
            Self::RowPerThread => (4, 1, 8),
            Self::Lanes => (1, 8, 256),
            Self::LanesSubgroup { split } => (1, split, TILE * split),
        }
    }
}

/// A matrix product over one or two weight matrices of the same K.
#[derive(Clone, Debug)]
pub struct MatMul {
    /// Type of the first matrix.
    pub a: WeightType,
    /// Type of the second: more rows (Plain) or the up projection (Glu).
    pub b: Option<WeightType>,
    /// Rows of the first.
    pub rows_a: u32,
    /// Rows of the second, 0 without.
    pub rows_b: u32,
    /// Columns of W in 32-value blocks, padded.
    pub k_blocks: u32,
    /// Epilogue.
    pub epilogue: Epilogue,
    /// Some: apply the RMS norm's factor, averaging over so many values, with this epsilon.
    pub norm: Option<(u32, f32)>,
    /// Factor on y.
    pub scale: f32,
    /// Stored form of x.
    pub act_in: ActKind,
    /// Stored form of the result's activation blocks (Residual, Glu).
    pub act_out: ActKind,
    /// Tokens per workgroup.
    pub cols: u32,
    /// Thread layout.
    pub layout: Layout,
    /// Also write y before it joins the residual: f32 per token.
    pub tap: Option<u32>,
    /// Plain: (first value, f32 per token) in `out`, where it holds more than this product; else all of it.
    pub place: Option<(u32, u32)>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    rows_a: u32,
    rows_b: u32,
    n_tiles: u32,
    out_stride: u32,
    norm_k: f32,
    eps: f32,
    tap_stride: u32,
    out_base: u32,
    scale: f32,
    pad: [u32; 2],
}

impl MatMul {
    fn tiles(&self) -> u32 {
        match self.epilogue {
            Epilogue::Plain => self.rows_a.div_ceil(TILE) + self.rows_b.div_ceil(TILE),
            Epilogue::Residual | Epilogue::Glu => self.rows_a.div_ceil(TILE),
        }
    }

    /// Values this product writes per token (Plain): both matrices' rows, each padded to whole tiles.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.tiles() * TILE
    }

    /// (first value, f32 per token) of `out` (Plain).
    fn placed(&self) -> (u32, u32) {
        self.place.unwrap_or((0, self.width()))
    }

    /// First value of the second matrix's rows in `out` (Plain).
    #[must_use]
    pub fn b_offset(&self) -> u32 {
        self.rows_a.div_ceil(TILE) * TILE
    }

    fn weights(&self) -> impl Iterator<Item = (WeightType, u32)> {
        [(Some(self.a), self.rows_a), (self.b, self.rows_b)]
            .into_iter()
            .filter_map(|(ty, rows)| Some((ty?, rows)))
    }
}

impl Kernel for MatMul {
    fn shader(&self) -> Shader {
        let (rows, split, wg) = self.layout.shape();
        let name = |ty: WeightType| define("A", &ty.name());
        let float = |ty: WeightType| !ty.is_integer();
        let mut defines = vec![name(self.a), flag("A_FLOAT", float(self.a))];
        if let Some(b) = self.b {
            defines.extend([
                define("B", &b.name()),
                flag("B_FLOAT", float(b)),
                flag("HAS_B", true),
            ]);
        }
        defines.push(match self.epilogue {
            Epilogue::Plain => flag("PLAIN", true),
            Epilogue::Residual => flag("RESID", true),
            Epilogue::Glu => flag("GLU", true),
        });
        defines.extend([
            flag("NORM", self.norm.is_some()),
            flag("ACT_Q8", self.act_in == ActKind::Q8),
            flag(
                "OUT_Q8",
                self.epilogue != Epilogue::Plain && self.act_out == ActKind::Q8,
            ),
            flag("TAP", self.tap.is_some()),
            define("COLS", &self.cols),
            define("ROWS", &rows),
            define("SPLIT", &split),
            define("WG", &wg),
            define("TILE_LEN", &(self.cols * TILE)),
            flag("SPLIT_ONE", split == 1),
            flag("SPLIT_SHARED", self.layout == Layout::Lanes),
            flag(
                "SPLIT_SUBGROUP",
                matches!(self.layout, Layout::LanesSubgroup { .. }),
            ),
        ]);
        Shader {
            kernel: "matmul",
            defines,
            subgroups: matches!(self.layout, Layout::LanesSubgroup { .. }),
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        let mut slots = vec![(1, Access::Read), (2, Access::Read)];
        if self.b.is_some() {
            slots.extend([(3, Access::Read), (4, Access::Read)]);
        }
        slots.push((5, Access::Read));
        slots.extend(match self.epilogue {
            Epilogue::Plain => vec![(6, Access::ReadWrite)],
            Epilogue::Residual => vec![
                (6, Access::ReadWrite),
                (7, Access::Read),
                (8, Access::ReadWrite),
            ],
            Epilogue::Glu => vec![(8, Access::ReadWrite)],
        });
        if self.tap.is_some() {
            slots.push((9, Access::ReadWrite));
        }
        slots
    }

    fn params(&self) -> Vec<u8> {
        let (norm_k, eps) = self.norm.unwrap_or((1, 0.0));
        bytemuck::bytes_of(&Params {
            k_blocks: self.k_blocks,
            rows_a: self.rows_a,
            rows_b: self.rows_b,
            n_tiles: self.tiles(),
            out_stride: if self.epilogue == Epilogue::Plain {
                self.placed().1
            } else {
                self.tiles()
            },
            norm_k: norm_k as f32,
            eps,
            tap_stride: self.tap.unwrap_or(0),
            out_base: self.placed().0,
            scale: self.scale,
            pad: [0; 2],
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.tiles(),
            rows_per_group: self.cols,
        }
    }

    fn weight_bytes(&self) -> u64 {
        let bytes = |(ty, rows): (WeightType, u32)| match layout(
            ty,
            rows as usize,
            self.k_blocks as usize * BLOCK,
        ) {
            Ok(l) => 4 * (l.quant_words + l.scale_words) as u64,
            Err(_) => 0,
        };
        self.weights().map(bytes).sum()
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let k = self.k_blocks as usize * BLOCK;
        let act_in = mem.read(5);
        let words = self.act_in.words();
        // x in f64 per token, and the factor on y: the norm's and the scale.
        let inputs: Vec<(Vec<f64>, f64)> = act_in
            .chunks(self.k_blocks as usize * words)
            .take(rows as usize)
            .map(|token| {
                let blocks: Vec<_> = token
                    .chunks_exact(words)
                    .map(|b| act::decode(self.act_in, b))
                    .collect();
                let ssq: f64 = blocks.iter().map(|(_, ssq)| f64::from(*ssq)).sum();
                let factor = self.norm.map_or(1.0, |(n, eps)| {
                    1.0 / (ssq / f64::from(n) + f64::from(eps)).sqrt()
                });
                (
                    blocks
                        .iter()
                        .flat_map(|(v, _)| v)
                        .map(|v| f64::from(*v))
                        .collect(),
                    factor * f64::from(self.scale),
                )
            })
            .collect();
        let product =
            |ty: WeightType, n_rows: u32, quants: &[u32], scales: &[u32]| -> Vec<Vec<f64>> {
                let l = layout(ty, n_rows as usize, k).expect("the plan checked the shape");
                let mut y = vec![vec![0.0; n_rows as usize]; inputs.len()];
                for r in 0..n_rows as usize {
                    let w: Vec<f64> = (0..l.blocks_per_row)
                        .flat_map(|b| {
                            stream_block(ty, &l, quants, scales, r, b)
                                .expect("the streams fit the layout")
                                .values
                        })
                        .map(f64::from)
                        .collect();
                    for (y, (x, factor)) in y.iter_mut().zip(&inputs) {
                        y[r] = w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() * factor;
                    }
                }
                y
            };
        let ya = product(self.a, self.rows_a, &mem.read(1), &mem.read(2));
        let yb = self
            .b
            .map(|ty| product(ty, self.rows_b, &mem.read(3), &mem.read(4)));
        let stride = self.tiles() as usize;
        for (token, y) in ya.iter().enumerate() {
            match self.epilogue {
                Epilogue::Plain => {
                    let mut out = mem.write(6);
                    let (base, width) = self.placed();
                    let at = base as usize + token * width as usize;
                    let second = yb.iter().flat_map(|yb| {
                        yb[token]
                            .iter()
                            .enumerate()
                            .map(|(i, v)| (self.b_offset() as usize + i, v))
                    });
                    for (i, v) in y.iter().enumerate().chain(second) {
                        out[at + i] = (*v as f32).to_bits();
                    }
                }
                Epilogue::Residual => {
                    let (mut x, gamma, mut out) = (mem.write(6), mem.read(7), mem.write(8));
                    if let Some(tap_stride) = self.tap {
                        let mut tap = mem.write(9);
                        for (i, v) in y.iter().enumerate() {
                            tap[token * tap_stride as usize + i] = (*v as f32).to_bits();
                        }
                    }
                    for tile in 0..stride {
                        let mut residual = [0.0f32; BLOCK];
                        for (i, r) in residual.iter_mut().enumerate() {
                            let at = tile * BLOCK + i;
                            if at < y.len() {
                                let slot = &mut x[token * stride * BLOCK + at];
                                *r = (f64::from(f32::from_bits(*slot)) + y[at]) as f32;
                                *slot = r.to_bits();
                            }
                        }
                        let ssq = residual
                            .iter()
                            .map(|v| f64::from(*v) * f64::from(*v))
                            .sum::<f64>() as f32;
                        let scaled =
                            std::array::from_fn(|i| residual[i] * f(&gamma, tile * BLOCK + i));
                        let words = self.act_out.words();
                        act::encode(
                            self.act_out,
                            &scaled,
                            ssq,
                            &mut out[(token * stride + tile) * words..][..words],
                        );
                    }
                }
                Epilogue::Glu => {
                    let up = &yb.as_ref().expect("Glu has two matrices")[token];
                    let mut out = mem.write(8);
                    for tile in 0..stride {
                        let value = |i: usize| {
                            y.get(tile * BLOCK + i).map_or(0.0, |g| {
                                (g / (1.0 + (-g).exp()) * up[tile * BLOCK + i]) as f32
                            })
                        };
                        let words = self.act_out.words();
                        act::encode(
                            self.act_out,
                            &std::array::from_fn(value),
                            0.0,
                            &mut out[(token * stride + tile) * words..][..words],
                        );
                    }
                }
            }
        }
    }
}
