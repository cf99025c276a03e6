//! Attention on the CPU: the heads of all rows by whichever thread is free, a head's scores and then its values in vectors.

use super::{Attention, Out};
use crate::act::{ActKind, BLOCK};
use crate::cpu::tiles::{encode, split};
use crate::cpu::{Cores, CpuBindings, f};
use crate::kv::{KvShape, KvType, Row};
use crate::kv_write::write_rows;
use crate::rope::{Head, Token};
use chord_simd::{Isa, Op, math};
use std::ops::Range;

impl Attention {
    pub(super) fn run_fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let act_out = match self.out {
            Out::Blocks(kind) if !self.tap => Some(kind),
            Out::Rows if !self.tap => None,
            // A trace, of the twin's own figures; and what no plan has for the CPU, whose threads share heads and rows.
            _ => return self.run_twin(rows, mem),
        };
        let shape = &self.shape;
        if self.fused {
            write_rows(shape, rows, mem);
        }
        let (qkv, k, v, rope) = (mem.read(1), mem.read(2), mem.read(3), mem.read(4));
        let (batch, table) = (mem.read(5), mem.read(6));
        let dim = shape.head_dim as usize;
        // Heads that fill whole blocks together.
        let (heads, words) = match act_out {
            None => (1, dim),
            Some(kind) => {
                let heads = (1..).find(|n| (n * dim).is_multiple_of(BLOCK)).unwrap_or(1);
                (heads, heads * dim / BLOCK * kind.words())
            }
        };
        let tiles = (shape.n_heads as usize).div_ceil(heads);
        let stride = self.out_stride() as usize * act_out.map_or(1, |kind| kind.words());
        let rows = rows as usize;
        let batch: &[Row] = &batch.as_chunks().0[..rows];
        let seen: Vec<_> = batch
            .iter()
            .map(|row| {
                let mut seen = shape.seen(row, &table);
                seen.retain(|(_, slots)| !slots.is_empty());
                seen
            })
            .collect();
        let mut out = mem.write(7);
        let mut outs = split(&mut out, (0, stride, tiles * words), (rows, words, tiles));
        let items: Vec<_> = outs.iter_mut().enumerate().collect();
        cores.each(items, |(i, out)| {
            let (tile, r) = (i / rows, i % rows);
            let token = Token::new(shape, &qkv, &rope, r);
            let pos = batch[r][1];
            let mut result = vec![0.0; heads * dim];
            for (h, result) in result.chunks_exact_mut(dim).enumerate() {
                let head = (tile * heads + h) as u32;
                let mut q = vec![0.0; dim];
                token.rotate_into(head * shape.head_dim, Head::Query, pos, &mut q);
                for q in &mut q {
                    *q *= shape.scale;
                }
                let sink = shape.sinks_at.map(|at| f(&rope, (at + head) as usize));
                cores.level().run(Attend {
                    shape,
                    kv_head: head / (shape.n_heads / shape.n_kv_heads),
                    q: &q,
                    sink,
                    seen: &seen[r],
                    store: [&k, &v],
                    out: result,
                });
            }
            match act_out {
                None => {
                    for (o, v) in out.iter_mut().zip(result) {
                        *o = v.to_bits();
                    }
                }
                Some(kind) => {
                    let blocks = result.as_chunks::<BLOCK>().0;
                    for (values, out) in blocks.iter().zip(out.chunks_exact_mut(kind.words())) {
                        cores.level().run(Encode { kind, values, out });
                    }
                }
            }
        });
    }
}

struct Encode<'a> {
    kind: ActKind,
    values: &'a [f32; BLOCK],
    out: &'a mut [u32],
}

impl Op for Encode<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        encode(isa, self.kind, self.values, 0.0, self.out);
    }
}

/// One head of one row; `q` has the scale of the scores.
struct Attend<'a> {
    shape: &'a KvShape,
    kv_head: u32,
    q: &'a [f32],
    sink: Option<f32>,
    seen: &'a [(u32, Range<u32>)],
    store: [&'a [u32]; 2],
    out: &'a mut [f32],
}

/// Vectors of a head's values that are summed up at once.
const RUN: usize = 4;

impl Op for Attend<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        match self.shape.kv {
            KvType::F16 => self.attend::<I, Halves>(isa),
            KvType::F32 => self.attend::<I, Floats>(isa),
        }
    }
}

/// How K and V are stored.
trait Stored {
    /// Values of a word.
    const PER_WORD: usize;
    fn load<I: Isa>(isa: I, words: &[u32]) -> I::F;
}

struct Halves;
impl Stored for Halves {
    const PER_WORD: usize = 2;
    #[inline(always)]
    fn load<I: Isa>(isa: I, words: &[u32]) -> I::F {
        isa.load_halves(words)
    }
}

struct Floats;
impl Stored for Floats {
    const PER_WORD: usize = 1;
    #[inline(always)]
    fn load<I: Isa>(isa: I, words: &[u32]) -> I::F {
        isa.load_bits(words)
    }
}

impl<'a> Attend<'a> {
    #[inline(always)]
    fn attend<I: Isa, S: Stored>(mut self, isa: I) {
        let slots: usize = self.seen.iter().map(|(_, s)| s.len()).sum();
        let mut weights = vec![f32::NEG_INFINITY; slots.next_multiple_of(I::LANES)];
        self.scores::<I, S>(isa, &mut weights);
        let total = soften(isa, &mut weights, slots, self.shape.soft_cap, self.sink);
        for weight in &mut weights {
            *weight /= total;
        }
        let dim = self.q.len();
        let mut d = 0;
        while d + RUN * I::LANES <= dim {
            self.values::<I, S, RUN>(isa, &weights, d);
            d += RUN * I::LANES;
        }
        while d + I::LANES <= dim {
            self.values::<I, S, 1>(isa, &weights, d);
            d += I::LANES;
        }
        for d in d..dim {
            self.out[d] = self
                .pages::<S>(1)
                .flat_map(|slots| slots.chunks_exact(dim / S::PER_WORD))
                .zip(&weights)
                .fold(0.0, |sum, (v, weight)| sum + weight * self.shape.load(v, d));
        }
    }

    /// The words of the slots that are seen, page by page, of K (0) or V (1).
    #[inline(always)]
    fn pages<S: Stored>(&self, which: usize) -> impl Iterator<Item = &'a [u32]> + use<'a, S> {
        let (shape, kv_head, store) = (self.shape, self.kv_head, self.store[which]);
        self.seen.iter().map(move |(page, slots)| {
            let first = shape.at(*page, kv_head, slots.start) / S::PER_WORD;
            &store[first..][..slots.len() * shape.head_dim as usize / S::PER_WORD]
        })
    }

    #[inline(always)]
    fn scores<I: Isa, S: Stored>(&self, isa: I, scores: &mut [f32]) {
        let dim = self.q.len();
        let whole = dim - dim % I::LANES;
        let (vectors, rest) = self.q.split_at(whole);
        let mut scores = scores.iter_mut();
        for page in self.pages::<S>(0) {
            let slots = page.chunks_exact(dim / S::PER_WORD);
            for (k, score) in slots.zip(&mut scores) {
                let mut sum = isa.splat_f(0.0);
                let of_k = k.chunks_exact(I::LANES / S::PER_WORD);
                for (q, k) in vectors.chunks_exact(I::LANES).zip(of_k) {
                    sum = isa.fma(isa.load_f(q), S::load(isa, k), sum);
                }
                *score = isa.sum(sum);
                for (d, q) in (whole..).zip(rest) {
                    *score += q * self.shape.load(k, d);
                }
            }
        }
    }

    /// `N` vectors of the values from `d` on.
    #[inline(always)]
    fn values<I: Isa, S: Stored, const N: usize>(&mut self, isa: I, weights: &[f32], d: usize) {
        let dim = self.q.len();
        let mut sums = [isa.splat_f(0.0); N];
        let mut weights = weights.iter();
        let span = d / S::PER_WORD..(d + N * I::LANES) / S::PER_WORD;
        for page in self.pages::<S>(1) {
            let slots = page.chunks_exact(dim / S::PER_WORD);
            for (v, weight) in slots.zip(&mut weights) {
                let weight = isa.splat_f(*weight);
                let vectors = v[span.clone()].chunks_exact(I::LANES / S::PER_WORD);
                for (sum, v) in sums.iter_mut().zip(vectors) {
                    *sum = isa.fma(weight, S::load(isa, v), *sum);
                }
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            isa.store_f(sum, &mut self.out[d + i * I::LANES..]);
        }
    }
}

/// The first `n` scores to weights, not yet divided by their total, which comes back; the others must be -inf.
#[inline(always)]
fn soften<I: Isa>(
    isa: I,
    scores: &mut [f32],
    n: usize,
    soft_cap: Option<f32>,
    sink: Option<f32>,
) -> f32 {
    if let Some(cap) = soft_cap {
        let c = isa.splat_f(cap);
        for s in scores.chunks_exact_mut(I::LANES) {
            let v = isa.div_f(isa.load_f(s), c);
            isa.store_f(isa.mul_f(c, math::tanh(isa, v)), s);
        }
        scores[n..].fill(f32::NEG_INFINITY);
    }
    let top = scores
        .chunks_exact(I::LANES)
        .map(|s| isa.load_f(s))
        .fold(isa.splat_f(f32::NEG_INFINITY), |a, s| isa.max_f(a, s));
    let top = isa.top(top).max(sink.unwrap_or(f32::NEG_INFINITY));
    let mut total = isa.splat_f(0.0);
    for s in scores.chunks_exact_mut(I::LANES) {
        let e = math::exp(isa, isa.sub_f(isa.load_f(s), isa.splat_f(top)));
        isa.store_f(e, s);
        total = isa.add_f(total, e);
    }
    isa.sum(total) + sink.map_or(0.0, |sink| (sink - top).exp())
}
