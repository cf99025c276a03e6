//! A panel of weights times columns of activations: the loop that the CPU's time goes into.

use super::formats::{Block, Floats, ForType, Integers, Panel, for_type, integer};
use super::tiles::columns_at_once;
use crate::act::{self, ActKind, BLOCK};
use chord_quant::WeightType;
use chord_simd::{Isa, Level, Op, PANEL};
use std::marker::PhantomData;

/// Most columns of one call.
pub(crate) const COLUMNS: usize = 8;

/// Words of an int8 activation block with what every panel would compute of it again: 8 of bytes, both scales, scale times sum of
/// both halves, the total of those, both sums negated as integers, and one unused.
const Q8_WORDS: usize = 16;
/// Words of an f32 block, which stays as it is (see [`crate::act`]).
const F32_WORDS: usize = ActKind::F32.words();

/// Rows of x, ready for [`Matrix::times`].
pub(crate) struct Columns {
    kind: ActKind,
    words: Vec<u32>,
    /// Words of a row.
    row_words: usize,
    /// The factor on y that belongs to each row: the norm's and the scale.
    pub factors: Vec<f32>,
}

impl Columns {
    /// The first `n` rows of activation blocks. `norm`: (values, epsilon) of an RMS norm's factor; `floats`: the weights need f32.
    pub(crate) fn new(
        (kind, words): (ActKind, &[u32]),
        n: usize,
        blocks: usize,
        (norm, scale): (Option<(u32, f32)>, f32),
        floats: bool,
    ) -> Self {
        let unit = kind.words();
        let of_row = |row: usize| words[row * blocks * unit..][..blocks * unit].chunks_exact(unit);
        let factors = (0..n).map(|row| match norm {
            None => scale,
            Some(norm) => {
                let ssq: f64 = of_row(row).map(|b| f64::from(act::ssq(kind, b))).sum();
                (f64::from(scale) / act::rms(norm, ssq)) as f32
            }
        });
        let factors = factors.collect();
        let all = (0..n).flat_map(of_row);
        // Behind several columns one of zeros, so that what is left of them can be computed as a whole run.
        let padded = if n > 1 { n + 1 } else { n };
        let words_of = |unit: usize| Vec::with_capacity(padded * blocks * unit);
        let (kind, unit, mut words) = match (kind, floats) {
            (ActKind::Q8, false) => {
                let mut words = words_of(Q8_WORDS);
                for block in all {
                    words.extend_from_slice(&expanded(block));
                }
                (kind, Q8_WORDS, words)
            }
            (ActKind::F32, _) => {
                let mut out = words_of(F32_WORDS);
                out.extend_from_slice(&words[..n * blocks * unit]);
                (kind, F32_WORDS, out)
            }
            (ActKind::Q8, true) => {
                let mut words = words_of(F32_WORDS);
                for block in all {
                    let mut out = [0; F32_WORDS];
                    let (values, ssq) = act::decode(ActKind::Q8, block);
                    act::encode(ActKind::F32, &values, ssq, &mut out);
                    words.extend_from_slice(&out);
                }
                (ActKind::F32, F32_WORDS, words)
            }
        };
        words.resize(padded * blocks * unit, 0);
        Self {
            kind,
            words,
            row_words: blocks * unit,
            factors,
        }
    }

    /// The words of a row; behind the last, of zeros; none where there are none.
    fn row(&self, row: usize) -> &[u32] {
        let words = row * self.row_words..(row + 1) * self.row_words;
        self.words.get(words).unwrap_or_default()
    }
}

/// An int8 block as [`Q8_WORDS`] has it.
fn expanded(block: &[u32]) -> [u32; Q8_WORDS] {
    let mut out = [0; Q8_WORDS];
    out[..10].copy_from_slice(&block[..10]);
    let d = [block[8], block[9]].map(f32::from_bits);
    let sums = [block[10] as i16, (block[10] >> 16) as i16];
    let scaled = [d[0] * f32::from(sums[0]), d[1] * f32::from(sums[1])];
    out[10] = scaled[0].to_bits();
    out[11] = scaled[1].to_bits();
    out[12] = (scaled[0] + scaled[1]).to_bits();
    for (to, sum) in out[13..15].iter_mut().zip(sums) {
        *to = (-i32::from(sum)).cast_unsigned();
    }
    out
}

/// A weight matrix in panels.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    ty: WeightType,
    quants: &'a [[u32; PANEL]],
    scales: &'a [[u32; PANEL]],
    /// Words of a row in each stream.
    row_words: [usize; 2],
    /// Blocks of a row.
    blocks: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix of `blocks` blocks a row from its two buffers.
    pub(crate) fn new(ty: WeightType, blocks: usize, quants: &'a [u32], scales: &'a [u32]) -> Self {
        let l = chord_quant::layout(ty, 1, blocks * BLOCK).expect("the plan checked the shape");
        Self {
            ty,
            quants: quants.as_chunks().0,
            scales: scales.as_chunks().0,
            row_words: [l.quant_words_per_row, l.scale_words_per_row],
            blocks,
        }
    }

    fn panel(&self, at: usize) -> Panel<'a> {
        let [quants, scales] = self.row_words;
        Panel {
            quants: &self.quants[at * quants..(at + 1) * quants],
            scales: &self.scales[at * scales..(at + 1) * scales],
            blocks: self.blocks,
        }
    }

    /// `out[c][r]` = row `r` of panel `at` times column `which[c]`, without the columns' factors: of at most [`COLUMNS`].
    pub(crate) fn times(
        &self,
        level: Level,
        at: usize,
        (columns, which): (&Columns, &[usize]),
        out: &mut [[f32; PANEL]],
    ) {
        let zeros = columns.factors.len();
        let work = Work {
            panel: self.panel(at),
            kind: columns.kind,
            x: std::array::from_fn(|c| columns.row(which.get(c).copied().unwrap_or(zeros))),
            out,
        };
        for_type(self.ty, On { level, work });
    }
}

struct Work<'a> {
    panel: Panel<'a>,
    kind: ActKind,
    /// Words of the columns; behind those asked for, zeros.
    x: [&'a [u32]; COLUMNS],
    out: &'a mut [[f32; PANEL]],
}

struct On<'a> {
    level: Level,
    work: Work<'a>,
}

impl ForType for On<'_> {
    type Out = ();
    fn integers<T: Integers>(self) {
        match self.work.kind {
            ActKind::Q8 => self.level.run(With::<Int8<T>>(self.work, PhantomData)),
            ActKind::F32 => self.level.run(With::<Exact<T>>(self.work, PhantomData)),
        }
    }
    fn floats<T: Floats>(self) {
        self.level.run(With::<Float<T>>(self.work, PhantomData));
    }
}

/// The arithmetic of a product, of a type of weights with a form of x.
trait Arithmetic {
    /// A vector's rows, the `group`-th of the panel's, times `C` columns.
    fn run<I: Isa, const C: usize>(isa: I, run: Run<'_>) -> [I::F; C];
}

/// What a loop goes over: `group`-th rows of a panel, and the first of these columns.
#[derive(Clone, Copy)]
struct Run<'a> {
    panel: &'a Panel<'a>,
    group: usize,
    x: &'a [&'a [u32]],
}

impl<'a> Run<'a> {
    /// The blocks of `C` columns, of `W` words each.
    #[inline(always)]
    fn x<const C: usize, const W: usize>(&self) -> [&'a [[u32; W]]; C] {
        let columns: &[&[u32]; C] = self.x.first_chunk().expect("so many columns are left");
        columns.map(|words| words.as_chunks().0)
    }
}

/// Work by one arithmetic.
struct With<'a, A>(Work<'a>, PhantomData<A>);

impl<A: Arithmetic> Op for With<'_, A> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        let work = self.0;
        for group in 0..I::GROUPS {
            let mut at = 0;
            while at < work.out.len() {
                let run = Run {
                    panel: &work.panel,
                    group,
                    x: &work.x[at..],
                };
                let out = &mut work.out[at..];
                at += match columns_at_once::<I>(out.len()) {
                    8 if I::COLUMNS >= 8 => store(isa, A::run::<I, 8>(isa, run), group, out),
                    4 => store(isa, A::run::<I, 4>(isa, run), group, out),
                    _ => store(isa, A::run::<I, 1>(isa, run), group, out),
                };
            }
        }
    }
}

/// Writes the results of a run, but for those of columns of zeros; how many columns it was.
#[inline(always)]
fn store<I: Isa, const C: usize>(
    isa: I,
    acc: [I::F; C],
    group: usize,
    out: &mut [[f32; PANEL]],
) -> usize {
    for (acc, out) in acc.into_iter().zip(out) {
        isa.store_f(acc, &mut out[I::LANES * group..]);
    }
    C
}

/// int8 dot products: per half of a block four of four bytes each, then the scales.
struct Int8<T>(PhantomData<T>);

impl<T: Integers> Arithmetic for Int8<T> {
    #[inline(always)]
    fn run<I: Isa, const C: usize>(isa: I, run: Run<'_>) -> [I::F; C] {
        let (panel, group, x) = (run.panel, run.group, run.x::<C, Q8_WORDS>());
        let mut acc = [isa.splat_f(0.0); C];
        for b in 0..panel.blocks {
            panel.fetch(isa, T::WORDS, b);
            let mut block: Block<I> = T::block(isa, panel, b, group);
            // What is to be subtracted from each q, as the power of two that the sum of x is shifted by.
            let zero = if T::WIDE && I::UNSIGNED {
                let flip = isa.splat(0x8080_8080);
                block.q = block.q.map(|q| isa.xor(q, flip));
                Some(7)
            } else {
                T::ZERO
            };
            for (acc, x) in acc.iter_mut().zip(x) {
                let x = &x[b];
                let f = |i: usize| isa.splat_f(f32::from_bits(x[i]));
                let mut sums = [0, 1].map(|h| match zero {
                    Some(zero) => isa.shl(isa.splat(x[13 + h]), zero),
                    None => isa.splat(0),
                });
                for (h, sum) in sums.iter_mut().enumerate() {
                    let q = *block.q[4 * h..].first_chunk().expect("a half");
                    let x = *x[4 * h..].first_chunk().expect("a half");
                    *sum = if T::WIDE {
                        isa.dot(*sum, q, x)
                    } else {
                        isa.dot_small(*sum, q, x)
                    };
                }
                let [low, high] = sums.map(|sum| isa.to_f(sum));
                if T::HALVES {
                    *acc = isa.fma(isa.mul_f(low, block.d[0]), f(8), *acc);
                    *acc = isa.fma(isa.mul_f(high, block.d[1]), f(9), *acc);
                } else {
                    let both = isa.fma(high, f(9), isa.mul_f(low, f(8)));
                    *acc = isa.fma(both, block.d[0], *acc);
                }
                if T::OFFSETS && T::HALVES {
                    *acc = isa.fma(block.m[0], f(10), *acc);
                    *acc = isa.fma(block.m[1], f(11), *acc);
                } else if T::OFFSETS {
                    *acc = isa.fma(block.m[0], f(12), *acc);
                }
            }
        }
        acc
    }
}

/// The same with x in f32.
struct Exact<T>(PhantomData<T>);

impl<T: Integers> Arithmetic for Exact<T> {
    #[inline(always)]
    fn run<I: Isa, const C: usize>(isa: I, run: Run<'_>) -> [I::F; C] {
        let (panel, group, x) = (run.panel, run.group, run.x::<C, F32_WORDS>());
        let mut acc = [isa.splat_f(0.0); C];
        for b in 0..panel.blocks {
            panel.fetch(isa, T::WORDS, b);
            let block: Block<I> = T::block(isa, panel, b, group);
            for h in 0..2 {
                let mut sums = [isa.splat_f(0.0); C];
                for i in 16 * h..16 * h + 16 {
                    let w = integer::<I, T>(isa, &block, i);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = isa.fma(w, isa.splat_f(f32::from_bits(x[b][i])), *sum);
                    }
                }
                for ((acc, sum), x) in acc.iter_mut().zip(sums).zip(x) {
                    *acc = isa.fma(sum, block.d[h], *acc);
                    if T::OFFSETS {
                        let total = isa.splat_f(f32::from_bits(x[b][33 + h]));
                        *acc = isa.fma(block.m[h], total, *acc);
                    }
                }
            }
        }
        acc
    }
}

/// Float weights.
struct Float<T>(PhantomData<T>);

impl<T: Floats> Arithmetic for Float<T> {
    #[inline(always)]
    fn run<I: Isa, const C: usize>(isa: I, run: Run<'_>) -> [I::F; C] {
        let (panel, group, x) = (run.panel, run.group, run.x::<C, F32_WORDS>());
        let mut acc = [isa.splat_f(0.0); C];
        for b in 0..panel.blocks {
            panel.fetch(isa, T::WORDS, b);
            for i in 0..BLOCK {
                let w = T::value(isa, panel, b, i, group);
                for (acc, x) in acc.iter_mut().zip(x) {
                    *acc = isa.fma(w, isa.splat_f(f32::from_bits(x[b][i])), *acc);
                }
            }
        }
        acc
    }
}
