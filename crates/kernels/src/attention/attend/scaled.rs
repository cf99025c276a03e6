//! Attention of one head where keys and values are bytes with scales: every 32 values are summed up before their scale is looked at.

use super::Attend;
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

impl<'a> Attend<'a> {
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
        // Two blocks at once where one is but two vectors.
        let blocks = self.q.len().div_ceil(BLOCK);
        let mut block = 0;
        while I::LANES == 16 && block + 2 <= blocks {
            self.blocks::<I, 2>(isa, &scaled, block);
            block += 2;
        }
        while block < blocks {
            self.blocks::<I, 1>(isa, &scaled, block);
            block += 1;
        }
    }

    /// Scales of a slot: one more than it has where their number is odd.
    fn scales_each(&self) -> usize {
        2 * self.shape.kv.scale_words(self.shape.head_dim) as usize
    }

    /// Whole blocks of a slot's words, of those of a page's head. A last block of fewer values ends in what follows them, the next slot's
    /// or scales: bytes of any value, which are multiplied by nothing.
    #[inline(always)]
    fn blocks_of(&self, head: &'a [u32], slot: u32) -> &'a [[u32; WORDS]] {
        let first = slot as usize * self.q.len() / 4;
        let words = self.q.len().div_ceil(BLOCK) * WORDS;
        head[first..first + words].as_chunks().0
    }

    /// The scales of the slots that are seen, slot by slot, of K (0) or V (1).
    #[inline(always)]
    fn scales<I: Isa>(&self, isa: I, which: usize, slots: usize) -> Vec<f32> {
        // A vector may pass the last one's end.
        let n = slots * self.scales_each();
        let mut out = vec![0.0; n + I::LANES];
        let mut rest = out.as_mut_slice();
        for (page, slots) in self.seen {
            let [_, words] = self.shape.kv.spans(self.shape.head_dim, slots.clone());
            let words = &self.head(which, *page)[words];
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
        let mut q = self.q.to_vec();
        q.resize(q.len().next_multiple_of(BLOCK), 0.0);
        let q = q.as_chunks::<BLOCK>().0;
        let scales = self.scales(isa, 0, scores.len());
        let mut scores = scores
            .iter_mut()
            .zip(scales.chunks_exact(self.scales_each()));
        for (page, slots) in self.seen {
            let head = self.head(0, *page);
            for (slot, (score, scales)) in slots.clone().zip(&mut scores) {
                let mut sum = isa.splat_f(0.0);
                let of_key = self.blocks_of(head, slot).iter().zip(scales);
                for (q, (k, scale)) in q.iter().zip(of_key) {
                    let k = load(isa, k);
                    let mut of_block = isa.splat_f(0.0);
                    for (i, k) in k.into_iter().enumerate().take(BLOCK / I::LANES) {
                        of_block = isa.fma(isa.load_f(&q[i * I::LANES..]), k, of_block);
                    }
                    sum = isa.fma(of_block, isa.splat_f(*scale), sum);
                }
                *score = isa.sum(sum);
            }
        }
    }

    /// `N` blocks of the values from block `first` on; `weights` are those of a slot's blocks, slot by slot.
    #[inline(always)]
    fn blocks<I: Isa, const N: usize>(&mut self, isa: I, weights: &[f32], first: usize) {
        let mut sums = [[isa.splat_f(0.0); VECTORS]; N];
        let mut weights = weights.chunks_exact(self.scales_each());
        for (page, slots) in self.seen {
            let head = self.head(1, *page);
            for (slot, weights) in slots.clone().zip(&mut weights) {
                let v = &self.blocks_of(head, slot)[first..first + N];
                let of_block = v.iter().zip(&weights[first..first + N]);
                for (sums, (v, weight)) in sums.iter_mut().zip(of_block) {
                    let (v, weight) = (load(isa, v), isa.splat_f(*weight));
                    for i in 0..BLOCK / I::LANES {
                        sums[i] = isa.fma(weight, v[i], sums[i]);
                    }
                }
            }
        }
        for (sums, out) in sums
            .into_iter()
            .zip(self.out[first * BLOCK..].chunks_mut(BLOCK))
        {
            let mut values = [0.0; BLOCK];
            for (i, sum) in sums.into_iter().enumerate().take(BLOCK / I::LANES) {
                isa.store_f(sum, &mut values[i * I::LANES..]);
            }
            out.copy_from_slice(&values[..out.len()]);
        }
    }
}
