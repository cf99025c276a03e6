//! The same where keys and values are bytes with scales: every 32 of a head are summed up before their scale is looked at.

use super::{Attend, Bytes};
use crate::kv::SCALED;
use chord_simd::Isa;

const BLOCK: usize = SCALED as usize;
/// Words of a block.
const WORDS: usize = BLOCK / 4;
/// Vectors of a block, at most.
const VECTORS: usize = 8;

/// A block as vectors: the first `BLOCK / LANES` are its.
#[inline(always)]
fn load<I: Isa>(isa: I, words: &[u32; WORDS]) -> [I::F; VECTORS] {
    let mut vectors = [isa.splat_f(0.0); VECTORS];
    for (i, vector) in vectors.iter_mut().enumerate().take(BLOCK / I::LANES) {
        *vector = isa.load_bytes(&words[i * I::LANES / 4..]);
    }
    vectors
}

impl Attend<'_> {
    #[inline(always)]
    pub(super) fn attend_scaled<I: Isa>(mut self, isa: I) {
        let slots: usize = self.seen.iter().map(|(_, s)| s.len()).sum();
        let mut weights = vec![f32::NEG_INFINITY; slots.next_multiple_of(I::LANES)];
        self.scores_scaled(isa, &mut weights[..slots]);
        self.soften(isa, &mut weights, slots);
        let mut scaled = self.scales(isa, 1, slots);
        for (scales, weight) in scaled.chunks_exact_mut(self.scales_each()).zip(&weights) {
            for scale in scales {
                *scale *= weight;
            }
        }
        self.values_scaled(isa, &scaled);
    }

    /// Scales of a slot: one more than it has where their number is odd.
    fn scales_each(&self) -> usize {
        2 * self.shape.kv.scale_words(self.shape.head_dim) as usize
    }

    /// The scales of the slots that are seen, slot by slot, of K (0) or V (1).
    #[inline(always)]
    fn scales<I: Isa>(&self, isa: I, which: usize, slots: usize) -> Vec<f32> {
        let shape = self.shape;
        // A vector may pass the last one's end.
        let n = slots * self.scales_each();
        let mut out = vec![0.0; n + I::LANES];
        let mut rest = out.as_mut_slice();
        for (page, slots) in self.seen {
            let [_, words] = shape.kv.spans(shape.head_dim, slots.clone());
            let words = &self.store[which][shape.head_at(*page, self.kv_head)..][words];
            let vectors = words.chunks_exact(I::LANES / 2);
            let mut last = [0; VECTORS];
            let left = vectors.remainder();
            last[..left.len()].copy_from_slice(left);
            let last = (!left.is_empty()).then_some(last.as_slice());
            for (words, out) in vectors.chain(last).zip(rest.chunks_mut(I::LANES)) {
                isa.store_f(isa.load_halves(words), out);
            }
            rest = &mut rest[2 * words.len()..];
        }
        out.truncate(n);
        out
    }

    #[inline(always)]
    fn scores_scaled<I: Isa>(&self, isa: I, scores: &mut [f32]) {
        let dim = self.q.len();
        let (blocks, tail) = self.q.as_chunks::<BLOCK>();
        let scales = self.scales(isa, 0, scores.len());
        let mut scores = scores
            .iter_mut()
            .zip(scales.chunks_exact(self.scales_each()));
        for page in self.pages(0) {
            for (k, (score, scales)) in page.chunks_exact(dim / 4).zip(&mut scores) {
                let mut sum = isa.splat_f(0.0);
                let of_key = k.as_chunks::<WORDS>().0.iter().zip(scales);
                for (q, (k, scale)) in blocks.iter().zip(of_key) {
                    let k = load(isa, k);
                    let mut of_block = isa.splat_f(0.0);
                    for (i, k) in k.into_iter().enumerate().take(BLOCK / I::LANES) {
                        of_block = isa.fma(isa.load_f(&q[i * I::LANES..]), k, of_block);
                    }
                    sum = isa.fma(of_block, isa.splat_f(*scale), sum);
                }
                if !tail.is_empty() {
                    let whole = blocks.len() * BLOCK;
                    let of_block = self.dot::<I, Bytes>(isa, &k[whole / 4..], whole..dim);
                    sum = isa.fma(of_block, isa.splat_f(scales[blocks.len()]), sum);
                }
                *score = isa.sum(sum);
            }
        }
    }

    /// Sums up values; `weights` are those of a slot's blocks, slot by slot.
    #[inline(always)]
    fn values_scaled<I: Isa>(&mut self, isa: I, weights: &[f32]) {
        let dim = self.q.len();
        let mut block = 0;
        // Two blocks at once where one is but two vectors.
        while I::LANES == 16 && (block + 2) * BLOCK <= dim {
            self.blocks::<I, 2>(isa, weights, block);
            block += 2;
        }
        while (block + 1) * BLOCK <= dim {
            self.blocks::<I, 1>(isa, weights, block);
            block += 1;
        }
        if block * BLOCK < dim {
            let of_block = weights.iter().skip(block).step_by(self.scales_each());
            let of_block: Vec<f32> = of_block.copied().collect();
            self.values::<I, Bytes>(isa, &of_block, block * BLOCK..dim);
        }
    }

    /// `N` blocks of the values from block `first` on.
    #[inline(always)]
    fn blocks<I: Isa, const N: usize>(&mut self, isa: I, weights: &[f32], first: usize) {
        let mut sums = [[isa.splat_f(0.0); VECTORS]; N];
        let mut weights = weights.chunks_exact(self.scales_each());
        for page in self.pages(1) {
            for (v, weights) in page.chunks_exact(self.q.len() / 4).zip(&mut weights) {
                let v = v[first * WORDS..][..N * WORDS].as_chunks::<WORDS>().0;
                let of_block = v.iter().zip(&weights[first..first + N]);
                for (sums, (v, weight)) in sums.iter_mut().zip(of_block) {
                    let (v, weight) = (load(isa, v), isa.splat_f(*weight));
                    for i in 0..BLOCK / I::LANES {
                        sums[i] = isa.fma(weight, v[i], sums[i]);
                    }
                }
            }
        }
        let out = self.out[first * BLOCK..].as_chunks_mut::<BLOCK>().0;
        for (sums, out) in sums.into_iter().zip(out) {
            for (i, sum) in sums.into_iter().enumerate().take(BLOCK / I::LANES) {
                isa.store_f(sum, &mut out[i * I::LANES..]);
            }
        }
    }
}
