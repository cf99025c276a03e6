//! The matrix products on the CPU: a tile of 32 rows of W at a time, for all tokens of the batch, by whichever thread is free.

use super::epilogue::{Gated, Plain, Residual};
use super::{Epilogue, Experts, MatMul};
use crate::act::BLOCK;
use crate::cpu::product::{COLUMNS, Columns, Matrix};
use crate::cpu::tiles::split;
use crate::cpu::{Cores, CpuBindings, PANEL, f};
use chord_simd::Level;

/// Values of a tile for up to so many columns.
type Tiles = [[f32; BLOCK]; COLUMNS];

/// Tiles whose routes a thread sums at once, at most.
const MOST_TILES: usize = 8;

/// What all tiles of a product read.
struct Product<'a> {
    kernel: &'a MatMul,
    level: Level,
    a: Matrix<'a>,
    b: Option<Matrix<'a>>,
    columns: &'a Columns,
    routes: &'a [u32],
    /// Of each expert in turn, by its place among these matrices, up to [`COLUMNS`] routes.
    groups: Vec<(usize, Vec<usize>)>,
    /// Weights of the next norm, and biases behind them (Residual).
    gamma: &'a [u32],
}

/// A tile of the output, by row of the output.
struct Item<'a, 'b> {
    tile: usize,
    out: &'a mut [&'b mut [u32]],
    /// Residual: the residual's values.
    x: &'a mut [&'b mut [u32]],
    tap: &'a mut [&'b mut [u32]],
}

impl MatMul {
    pub(super) fn run_fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let rows = rows as usize;
        let blocks = self.k_blocks as usize;
        let used = self.experts.map_or(1, |e| e.used as usize);
        // Rows of x and of the output: a token has one of each, or one per route.
        let (inputs, outputs) = match (self.experts, self.epilogue) {
            (Some(_), Epilogue::Residual) => (rows * used, rows),
            (Some(_), Epilogue::Glu) => (rows, rows * used),
            (_, _) => (rows * used, rows * used),
        };
        let floats = !self.a.is_integer() || self.b.is_some_and(|b| !b.is_integer());
        let columns = Columns::new(
            (self.act_in, &mem.read(5)),
            inputs,
            blocks,
            (self.norm, self.scale),
            floats,
        );
        let (quants_a, scales_a) = (mem.read(1), mem.read(2));
        let second = self.b.map(|ty| (ty, mem.read(3), mem.read(4)));
        let routes = self.experts.map(|_| mem.read(10));
        let groups = match (self.experts, &routes) {
            (Some(experts), Some(routes)) => experts.groups(routes, rows * used, COLUMNS),
            _ => Vec::new(),
        };
        let gamma = (self.epilogue == Epilogue::Residual).then(|| mem.read(7));
        let product = Product {
            kernel: self,
            level: cores.level(),
            a: Matrix::new(self.a, blocks, &quants_a, &scales_a),
            b: second
                .as_ref()
                .map(|(ty, quants, scales)| Matrix::new(*ty, blocks, quants, scales)),
            columns: &columns,
            routes: routes.as_deref().map_or(&[], |r| r),
            groups,
            gamma: gamma.as_deref().map_or(&[], |g| g),
        };

        let tiles = self.tiles() as usize;
        let all = (outputs, BLOCK, tiles);
        let (first_tile, stride) = self.parted();
        let (first_tile, stride) = (first_tile as usize, stride as usize);
        let words = self.act_out.words();
        let place = |unit: usize| (first_tile * unit, stride * unit, tiles * unit);
        let (mut plain, mut x, mut out, mut tap) = (None, None, None, None);
        match self.epilogue {
            Epilogue::Plain => plain = Some(mem.write(6)),
            Epilogue::Residual => (x, out) = (Some(mem.write(6)), Some(mem.write(8))),
            Epilogue::Glu => out = Some(mem.write(8)),
        }
        if self.tap.is_some() {
            tap = Some(mem.write(9));
        }
        let (base, width) = self.placed();
        let mut outs = match (&mut plain, &mut out) {
            (Some(plain), _) => split(plain, (base as usize, width as usize, tiles * BLOCK), all),
            (_, Some(out)) => split(out, place(words), (outputs, words, tiles)),
            _ => Vec::new(),
        };
        let mut xs = x
            .as_mut()
            .map_or_else(Vec::new, |x| split(x, place(BLOCK), all));
        let mut taps = tap.as_mut().map_or_else(Vec::new, |tap| {
            let stride = self.tap.unwrap_or_default() as usize;
            split(tap, (first_tile * BLOCK, stride, tiles * BLOCK), all)
        });
        let mut xs = xs.chunks_mut(outputs);
        let mut taps = taps.chunks_mut(outputs);
        let items = outs
            .chunks_mut(outputs)
            .enumerate()
            .map(|(tile, out)| Item {
                tile,
                out,
                x: xs.next().unwrap_or_default(),
                tap: taps.next().unwrap_or_default(),
            });
        let mut items: Vec<Item<'_, '_>> = items.collect();
        // A tile of each of several experts is many short reads: several tiles of one lie together. Each thread is left a few runs.
        let run = match (self.experts, self.epilogue) {
            (Some(_), Epilogue::Residual) => (tiles / (4 * cores.threads())).clamp(1, MOST_TILES),
            _ => 1,
        };
        cores.each(items.chunks_mut(run).collect(), |run| product.tiles(run));
    }
}

impl Product<'_> {
    /// Tiles one behind the other.
    fn tiles(&self, items: &mut [Item<'_, '_>]) {
        match (self.kernel.experts, self.kernel.epilogue) {
            (Some(experts), Epilogue::Residual) => self.sum_routes(&experts, items),
            (experts, _) => items.iter_mut().for_each(|item| match experts {
                Some(experts) => self.each_route(&experts, item),
                None => self.dense(item),
            }),
        }
    }

    /// `y[c]` = a tile of the matrix (of the `place`-th expert's) times column `which[c]`, with its factor.
    fn times(
        &self,
        (matrix, rows): (&Matrix<'_>, u32),
        (place, tile): (usize, usize),
        which: &[usize],
        y: &mut Tiles,
    ) {
        let panels = (rows as usize).div_ceil(PANEL);
        for half in 0..2 {
            let panel = 2 * tile + half;
            let mut sums = [[0.0; PANEL]; COLUMNS];
            let sums = &mut sums[..which.len()];
            // The last tile may be half a one.
            if panel < panels {
                let at = place * panels + panel;
                matrix.times(self.level, at, (self.columns, which), sums);
            }
            for ((sums, column), y) in sums.iter().zip(which).zip(y.iter_mut()) {
                let factor = self.columns.factors[*column];
                for (y, sum) in y[PANEL * half..].iter_mut().zip(sums) {
                    *y = sum * factor;
                }
            }
        }
    }

    fn dense(&self, item: &mut Item<'_, '_>) {
        let kernel = self.kernel;
        let rows = item.out.len();
        let of_a = (&self.a, kernel.rows_a);
        let (mut y, mut up) = ([[0.0; BLOCK]; COLUMNS], [[0.0; BLOCK]; COLUMNS]);
        let tile = item.tile;
        for first in (0..rows).step_by(COLUMNS) {
            let which: [usize; COLUMNS] = std::array::from_fn(|c| first + c);
            let which = &which[..COLUMNS.min(rows - first)];
            match (&self.b, self.tile_of_b(tile)) {
                (Some(b), Some(tile)) => {
                    self.times((b, kernel.rows_b), (0, tile), which, &mut y);
                }
                (Some(b), None) if kernel.epilogue == Epilogue::Glu => {
                    self.times(of_a, (0, tile), which, &mut y);
                    self.times((b, kernel.rows_b), (0, tile), which, &mut up);
                }
                _ => self.times(of_a, (0, tile), which, &mut y),
            }
            for ((y, up), row) in y.iter_mut().zip(&up).zip(which) {
                self.emit(tile, y, up, item.line(*row));
            }
        }
    }

    /// A token's sum over its routes, each with its weight.
    fn sum_routes(&self, experts: &Experts, items: &mut [Item<'_, '_>]) {
        let mut y = [[0.0; BLOCK]; COLUMNS];
        let rows = items.first().map_or(0, |item| item.out.len());
        let mut sums = vec![[0.0; BLOCK]; items.len() * rows];
        for (place, routes) in &self.groups {
            let expert = place + experts.first as usize;
            for (item, sums) in items.iter().zip(sums.chunks_mut(rows)) {
                let at = (*place, item.tile);
                self.times((&self.a, self.kernel.rows_a), at, routes, &mut y);
                for (i, y) in routes.iter().zip(&mut y) {
                    self.add_biases(experts, 0, (expert, item.tile), y);
                    let weight = f(self.routes, 2 * i + 1);
                    let sum = &mut sums[i / experts.used as usize];
                    for (sum, y) in sum.iter_mut().zip(y) {
                        *sum += weight * *y;
                    }
                }
            }
        }
        for (item, sums) in items.iter_mut().zip(sums.chunks_mut(rows)) {
            for (row, sum) in sums.iter_mut().enumerate() {
                self.emit(item.tile, sum, &[0.0; BLOCK], item.line(row));
            }
        }
    }

    /// A row of output per route.
    fn each_route(&self, experts: &Experts, item: &mut Item<'_, '_>) {
        let kernel = self.kernel;
        let (mut gate, mut up) = ([[0.0; BLOCK]; COLUMNS], [[0.0; BLOCK]; COLUMNS]);
        let tile = item.tile;
        let routes_of_input = match kernel.epilogue {
            Epilogue::Glu => experts.used as usize,
            Epilogue::Plain | Epilogue::Residual => 1,
        };
        for (place, routes) in &self.groups {
            let mut tokens = [0; COLUMNS];
            for (token, i) in tokens.iter_mut().zip(routes) {
                *token = i / routes_of_input;
            }
            let tokens = &tokens[..routes.len()];
            self.times((&self.a, kernel.rows_a), (*place, tile), tokens, &mut gate);
            if let Some(b) = &self.b {
                self.times((b, kernel.rows_b), (*place, tile), tokens, &mut up);
            }
            let expert = place + experts.first as usize;
            for ((gate, up), i) in gate.iter_mut().zip(&mut up).zip(routes) {
                self.add_biases(experts, 0, (expert, tile), gate);
                self.add_biases(experts, 1, (expert, tile), up);
                self.emit(tile, gate, up, item.line(*i));
            }
        }
    }

    /// Adds an expert's biases of A or of B to a tile.
    fn add_biases(
        &self,
        experts: &Experts,
        which: usize,
        (expert, tile): (usize, usize),
        y: &mut [f32; BLOCK],
    ) {
        let rows = self.kernel.rows_a as usize;
        let biases = experts.biases(self.routes, which, expert, rows);
        for (y, bias) in y
            .iter_mut()
            .zip(biases.iter().flat_map(|b| &b[tile * BLOCK..]))
        {
            *y += f32::from_bits(*bias);
        }
    }

    /// Which tile of B a tile of the output is (Plain).
    fn tile_of_b(&self, tile: usize) -> Option<usize> {
        tile.checked_sub(self.kernel.tiles_a() as usize)
    }

    /// What the epilogue makes of a tile of one row.
    fn emit(&self, tile: usize, y: &mut [f32; BLOCK], up: &[f32; BLOCK], line: Line<'_>) {
        let kernel = self.kernel;
        let valid = match self.tile_of_b(tile) {
            Some(of_b) => kernel.rows_b as usize - of_b * BLOCK,
            None => kernel.rows_a as usize - tile * BLOCK,
        };
        let valid = valid.min(BLOCK);
        match kernel.epilogue {
            Epilogue::Plain => self.level.run(Plain {
                soft_cap: kernel.soft_cap,
                y: &*y,
                out: &mut line.out[..valid],
            }),
            Epilogue::Residual => {
                let (first, stride) = kernel.parted();
                let at = (first as usize + tile) * BLOCK;
                if kernel.bias {
                    let biases = &self.gamma[stride as usize * BLOCK + at..];
                    for (y, bias) in y.iter_mut().zip(biases) {
                        *y += f32::from_bits(*bias);
                    }
                }
                y[valid..].fill(0.0);
                if let Some(tap) = line.tap {
                    for (tap, y) in tap.iter_mut().zip(&y[..valid]) {
                        *tap = y.to_bits();
                    }
                }
                self.level.run(Residual {
                    y: &*y,
                    gamma: &self.gamma[at..at + BLOCK],
                    x: line.x.unwrap_or_default(),
                    kind: kernel.act_out,
                    out: line.out,
                });
            }
            Epilogue::Glu => {
                y[valid..].fill(0.0);
                self.level.run(Gated {
                    glu: kernel.glu,
                    gate: &*y,
                    up,
                    kind: kernel.act_out,
                    out: line.out,
                });
            }
        }
    }
}

/// One row of an item.
struct Line<'a> {
    out: &'a mut [u32],
    x: Option<&'a mut [u32]>,
    tap: Option<&'a mut [u32]>,
}

impl Item<'_, '_> {
    fn line(&mut self, row: usize) -> Line<'_> {
        Line {
            out: self.out[row],
            x: self.x.get_mut(row).map(|x| &mut **x),
            tap: self.tap.get_mut(row).map(|tap| &mut **tap),
        }
    }
}
