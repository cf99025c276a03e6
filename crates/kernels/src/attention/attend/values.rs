//! Values by their weights.

use super::{Attend, Bytes, Columns, HEADER, SLOTS, Stored, Weights};
use crate::cpu::tiles::columns_at_once;
use crate::kv::SCALED;
use chord_simd::{Isa, Op, PANEL};
use std::marker::PhantomData;

/// Sums of the values that `C` columns weigh.
pub(super) struct Values<'a, S, const C: usize> {
    pub attend: Attend<'a>,
    pub columns: Columns,
    /// By page, then by column.
    pub weights: &'a [Weights],
    /// What [`Scales`] found, where there are scales.
    pub scales: &'a [f32],
    pub found: &'a mut [f32],
    pub stored: PhantomData<S>,
}

impl<S: Stored, const C: usize> Op for Values<'_, S, C> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(mut self, isa: I) {
        // Known when it is compiled: what never runs is not there.
        assert!(C <= columns_at_once::<I>(usize::MAX), "a run of columns");
        // As many vectors of values at once as leave registers for their sums.
        match C {
            8 => self.vectors::<I, 2>(isa),
            4 if I::COLUMNS < 8 => self.vectors::<I, 2>(isa),
            _ => self.vectors::<I, 4>(isa),
        }
    }
}

impl<S: Stored, const C: usize> Values<'_, S, C> {
    /// `N` vectors at a time.
    #[inline(always)]
    fn vectors<I: Isa, const N: usize>(&mut self, isa: I) {
        let dim = self.attend.dim();
        let mut d = 0;
        while d + N * I::LANES <= dim {
            self.sums::<I, N>(isa, d);
            d += N * I::LANES;
        }
        while d < dim {
            self.sums::<I, 1>(isa, d);
            d += I::LANES;
        }
    }

    /// `N` vectors of them from value `d` on; a single one may pass the head's end.
    #[inline(always)]
    fn sums<I: Isa, const N: usize>(&mut self, isa: I, d: usize) {
        let Attend { pages, .. } = self.attend;
        let (dim, words) = (self.attend.dim(), self.attend.words::<S>());
        let each = self.attend.scales_each();
        let mut sums = [[isa.splat_f(0.0); N]; C];
        let of_pages = self.weights.chunks_exact(self.columns.all).zip(pages);
        for (p, (weights, (page, seen))) in of_pages.enumerate() {
            let weights = &weights[self.columns.first..];
            let weights: &[Weights; C] = weights.first_chunk().expect("a run of columns");
            let (head, ahead) = (self.attend.head(1, *page), self.attend.ahead(1, p));
            for slot in seen.start as usize..seen.end as usize {
                let mut v = [isa.splat_f(0.0); N];
                for (n, v) in v.iter_mut().enumerate() {
                    let d = d + n * I::LANES;
                    let word = slot * words + d / S::PER_WORD;
                    if n % (PANEL * S::PER_WORD / I::LANES) == 0 {
                        isa.prefetch(ahead, word / PANEL);
                    }
                    let scale = match S::SCALED_WORDS {
                        None => 1.0,
                        Some(_) => self.scales[(p * SLOTS + slot) * each + d / SCALED as usize],
                    };
                    *v = match N == 1 && d + I::LANES > dim {
                        true => S::last(isa, &head[word..], dim - d, scale),
                        false => S::values(isa, &head[word..], scale),
                    };
                }
                for (sums, weights) in sums.iter_mut().zip(weights) {
                    let weight = isa.splat_f(weights[slot % SLOTS]);
                    for (sum, v) in sums.iter_mut().zip(v) {
                        *sum = isa.fma(weight, v, *sum);
                    }
                }
            }
        }
        let of_query = self.found.chunks_exact_mut(HEADER + dim);
        for (found, sums) in of_query.skip(self.columns.first).zip(sums) {
            let to = found[HEADER + d..].chunks_mut(I::LANES);
            for (to, sum) in to.zip(sums) {
                let mut vector = [0.0; PANEL];
                isa.store_f(sum, &mut vector);
                to.copy_from_slice(&vector[..to.len()]);
            }
        }
    }
}

/// The scales of values as floats: `[page, slot]` of [`Attend::scales_each`] each.
pub(super) struct Scales<'a>(pub Attend<'a>);

impl Op for Scales<'_> {
    type Out = Vec<f32>;
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) -> Vec<f32> {
        let of_page = SLOTS * self.0.scales_each();
        let mut scales = vec![0.0; self.0.pages.len() * of_page];
        for (to, (page, _)) in scales.chunks_exact_mut(of_page).zip(self.0.pages) {
            let words = &self.0.head(1, *page)[SLOTS * self.0.words::<Bytes>()..];
            let words = words.chunks_exact(I::LANES / 2);
            for (to, words) in to.chunks_exact_mut(I::LANES).zip(words) {
                isa.store_f(isa.load_halves(words), to);
            }
        }
        scales
    }
}
