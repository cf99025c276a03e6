//! Queries times keys.

use super::{Attend, Columns, Stored, Weights};
use crate::cpu::tiles::columns_at_once;
use chord_simd::{Isa, Op, PANEL};
use std::marker::PhantomData;

/// Scores of `C` columns, those of the slots that any row sees. Loops rather than closures: one that is not inlined has no vector
/// instructions.
pub(super) struct Scores<'a, S, const C: usize> {
    pub attend: Attend<'a>,
    pub columns: Columns,
    pub scores: &'a mut [Weights],
    pub stored: PhantomData<S>,
}

impl<S: Stored, const C: usize> Op for Scores<'_, S, C> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        // Known when it is compiled: what never runs is not there.
        assert!(C <= columns_at_once::<I>(usize::MAX), "a run of columns");
        let dim = self.attend.dim();
        // By value of a head: those of all columns.
        let mut q = vec![[0.0; C]; dim];
        let queries = self
            .attend
            .queries
            .chunks_exact(dim)
            .skip(self.columns.first);
        for (c, query) in queries.take(C).enumerate() {
            for (q, value) in q.iter_mut().zip(query) {
                q[c] = *value;
            }
        }
        let pages = self
            .scores
            .chunks_exact_mut(self.columns.all)
            .zip(self.attend.pages);
        for (p, (scores, (page, seen))) in pages.enumerate() {
            let head = self.attend.head(0, *page).as_chunks().0;
            let ahead = self.attend.ahead(0, p);
            for pair in 0..I::GROUPS {
                let slots = 2 * pair * I::LANES..2 * (pair + 1) * I::LANES;
                if slots.start >= seen.end as usize || slots.end <= seen.start as usize {
                    continue;
                }
                let sums = self.attend.dot::<I, S, C>(isa, &q, [head, ahead], 2 * pair);
                for (score, sums) in scores[self.columns.first..].iter_mut().zip(sums) {
                    for (to, sum) in score[slots.clone()].chunks_exact_mut(I::LANES).zip(sums) {
                        isa.store_f(sum, to);
                    }
                }
            }
        }
    }
}

impl Attend<'_> {
    /// `C` columns times two vectors of a page's keys, the first of them the `at`-th.
    #[inline(always)]
    fn dot<I: Isa, S: Stored, const C: usize>(
        &self,
        isa: I,
        q: &[[f32; C]],
        [head, ahead]: [&[[u32; PANEL]]; 2],
        at: usize,
    ) -> [[I::F; 2]; C] {
        let places = [
            (at / I::GROUPS, at % I::GROUPS),
            ((at + 1) / I::GROUPS, (at + 1) % I::GROUPS),
        ];
        let words = self.words::<S>();
        let of_scale = S::SCALED_WORDS.unwrap_or(words);
        let mut sums = [[isa.splat_f(0.0); 2]; C];
        for block in 0..words.div_ceil(of_scale) {
            let mut scales = [isa.splat_f(1.0); 2];
            if S::SCALED_WORDS.is_some() {
                for (scale, (panel, group)) in scales.iter_mut().zip(places) {
                    let at = 2 * words + (panel * self.scales_each() + block) / 2;
                    let word = isa.load(&head[at], group);
                    *scale = isa.half(isa.shr(word, 16 * (block as u32 % 2)));
                }
            }
            for word in block * of_scale..words.min((block + 1) * of_scale) {
                let mut keys = [[isa.splat_f(0.0); 4]; 2];
                for ((keys, scale), (panel, group)) in keys.iter_mut().zip(scales).zip(places) {
                    isa.prefetch(ahead, panel * words + word);
                    let word = isa.load(&head[panel * words + word], group);
                    *keys = S::keys(isa, word, scale);
                }
                for i in 0..S::PER_WORD {
                    let q = &q[word * S::PER_WORD + i];
                    for (sums, q) in sums.iter_mut().zip(q) {
                        for (sum, keys) in sums.iter_mut().zip(&keys) {
                            *sum = isa.fma(isa.splat_f(*q), keys[i], *sum);
                        }
                    }
                }
            }
        }
        sums
    }
}
