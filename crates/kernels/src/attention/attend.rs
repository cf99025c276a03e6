//! One head of one row over the slots it sees, in vectors.

mod scaled;

use crate::kv::{KvShape, KvType};
use chord_simd::{Isa, Op, PANEL, math};
use std::ops::Range;

/// One head of one row; `q` has the scale of the scores.
pub(super) struct Attend<'a> {
    pub shape: &'a KvShape,
    pub kv_head: u32,
    pub q: &'a [f32],
    pub sink: Option<f32>,
    /// Pages and slots of them; none is empty.
    pub seen: &'a [(u32, Range<u32>)],
    /// Words of K and of V.
    pub store: [&'a [u32]; 2],
    pub out: &'a mut [f32],
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
            KvType::Q8_0 => self.attend_scaled(isa),
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
        self.soften(isa, &mut weights, slots);
        self.values::<I, S>(isa, &weights);
    }

    /// Makes weights of the first `slots` scores; the others must be -inf.
    #[inline(always)]
    fn soften<I: Isa>(&self, isa: I, scores: &mut [f32], slots: usize) {
        if let Some(cap) = self.shape.soft_cap {
            let c = isa.splat_f(cap);
            for s in scores.chunks_exact_mut(I::LANES) {
                let v = isa.div_f(isa.load_f(s), c);
                isa.store_f(isa.mul_f(c, math::tanh(isa, v)), s);
            }
            scores[slots..].fill(f32::NEG_INFINITY);
        }
        let top = scores
            .chunks_exact(I::LANES)
            .map(|s| isa.load_f(s))
            .fold(isa.splat_f(f32::NEG_INFINITY), |a, s| isa.max_f(a, s));
        let top = isa.top(top).max(self.sink.unwrap_or(f32::NEG_INFINITY));
        let mut total = isa.splat_f(0.0);
        for s in scores.chunks_exact_mut(I::LANES) {
            let e = math::exp(isa, isa.sub_f(isa.load_f(s), isa.splat_f(top)));
            isa.store_f(e, s);
            total = isa.add_f(total, e);
        }
        let total = isa.sum(total) + self.sink.map_or(0.0, |sink| (sink - top).exp());
        for weight in scores {
            *weight /= total;
        }
    }

    /// The words of a page's head, and whatever follows, of K (0) or V (1).
    #[inline(always)]
    fn head(&self, which: usize, page: u32) -> &'a [u32] {
        &self.store[which][self.shape.head_at(page, self.kv_head)..]
    }

    /// The words of the values of the slots that are seen, page by page, of K (0) or V (1).
    #[inline(always)]
    fn pages(&self, which: usize) -> impl Iterator<Item = &'a [u32]> {
        self.seen.iter().map(move |(page, slots)| {
            let [values, _] = self.shape.kv.spans(self.shape.head_dim, slots.clone());
            &self.head(which, *page)[values]
        })
    }

    #[inline(always)]
    fn scores<I: Isa, S: Stored>(&self, isa: I, scores: &mut [f32]) {
        let dim = self.q.len();
        let mut scores = scores.iter_mut();
        for page in self.pages(0) {
            for (k, score) in page.chunks_exact(dim / S::PER_WORD).zip(&mut scores) {
                *score = isa.sum(self.dot::<I, S>(isa, k));
            }
        }
    }

    /// Of the query and a slot's values: sums to be added up.
    #[inline(always)]
    fn dot<I: Isa, S: Stored>(&self, isa: I, k: &[u32]) -> I::F {
        let q = self.q.chunks_exact(I::LANES);
        let (rest, whole) = (q.remainder(), q.len());
        let mut sum = isa.splat_f(0.0);
        for (q, k) in q.zip(k.chunks_exact(I::LANES / S::PER_WORD)) {
            sum = isa.fma(isa.load_f(q), S::load(isa, k), sum);
        }
        if !rest.is_empty() {
            let mut q = [0.0; PANEL];
            q[..rest.len()].copy_from_slice(rest);
            let k = &k[whole * I::LANES / S::PER_WORD..];
            sum = isa.fma(isa.load_f(&q), last::<I, S>(isa, k, rest.len()), sum);
        }
        sum
    }

    /// The values, summed up with these weights.
    #[inline(always)]
    fn values<I: Isa, S: Stored>(&mut self, isa: I, weights: &[f32]) {
        let dim = self.q.len();
        let mut d = 0;
        while d + RUN * I::LANES <= dim {
            self.run::<I, S, RUN>(isa, weights, d);
            d += RUN * I::LANES;
        }
        while d + I::LANES <= dim {
            self.run::<I, S, 1>(isa, weights, d);
            d += I::LANES;
        }
        if d < dim {
            let mut sum = isa.splat_f(0.0);
            let slots = self.pages(1);
            let slots = slots.flat_map(|page| page.chunks_exact(dim / S::PER_WORD));
            for (v, weight) in slots.zip(weights) {
                let v = last::<I, S>(isa, &v[d / S::PER_WORD..], dim - d);
                sum = isa.fma(isa.splat_f(*weight), v, sum);
            }
            let mut sums = [0.0; PANEL];
            isa.store_f(sum, &mut sums);
            self.out[d..].copy_from_slice(&sums[..dim - d]);
        }
    }

    /// `N` vectors of the values from `d` on.
    #[inline(always)]
    fn run<I: Isa, S: Stored, const N: usize>(&mut self, isa: I, weights: &[f32], d: usize) {
        let dim = self.q.len();
        let mut sums = [isa.splat_f(0.0); N];
        let mut weights = weights.iter();
        let span = d / S::PER_WORD..(d + N * I::LANES) / S::PER_WORD;
        for page in self.pages(1) {
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

/// The first `n` values of a slot's last words, fewer than a vector, and then zeros.
#[inline(always)]
fn last<I: Isa, S: Stored>(isa: I, words: &[u32], n: usize) -> I::F {
    let mut padded = [0; PANEL];
    padded[..n / S::PER_WORD].copy_from_slice(&words[..n / S::PER_WORD]);
    S::load(isa, &padded)
}
