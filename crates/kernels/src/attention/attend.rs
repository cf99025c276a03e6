//! Queries of one KV head over some pages, in vectors: lanes are slots while scores are computed, and values of a head while those are
//! summed up. What is read of a page serves all queries. Each step is an [`Op`] of its own: in one function of all of them, sums would not
//! stay in registers.

mod scores;
mod stored;
mod values;

use crate::cpu::tiles::columns_at_once;
use crate::kv::{KvShape, KvType, PAGE};
use chord_simd::{Isa, Level, Op, PANEL, math};
use scores::Scores;
use std::marker::PhantomData;
use std::ops::Range;
use stored::{Bytes, Floats, Halves, Stored};
use values::{Scales, Values};

/// Pages that are looked at together. What they hold for a query is weighed by its highest score there, and then put together with what
/// others hold; so many always, that no result depends on how threads share the work.
pub(super) const PART: usize = 8;

/// Figures of what is found for a query, before the sum of weighted values: the highest score, and the sum of weights.
pub(super) const HEADER: usize = 2;

const SLOTS: usize = PAGE as usize;

/// Scores of the slots of a page, and then their weights.
type Weights = [f32; SLOTS];

/// Some queries over at most [`PART`] pages.
#[derive(Clone, Copy)]
pub(super) struct Attend<'a> {
    pub shape: &'a KvShape,
    pub kv_head: u32,
    /// `[row, head]` of `head_dim` values each; they have the scale of the scores.
    pub queries: &'a [f32],
    /// Pages, and which slots of each any row sees.
    pub pages: &'a [(u32, Range<u32>)],
    /// Which ones each row sees: `[page, row]`.
    pub seen: &'a [Range<u32>],
    /// The page that is looked at next.
    pub next: Option<u32>,
    /// Words of K, its slots in panels, and of V.
    pub store: [&'a [u32]; 2],
}

/// Columns of a step: queries, and what fills the last run of them.
#[derive(Clone, Copy)]
struct Columns {
    first: usize,
    /// Of all runs.
    all: usize,
}

impl<'a> Attend<'a> {
    /// Writes what is found for each query: [`HEADER`] figures, -inf and 0 where it sees nothing, and the sum of weighted values, both
    /// relative to the highest score.
    pub(super) fn run(self, level: Level, found: &mut [f32]) {
        match self.shape.kv {
            KvType::F16 => self.run_on::<Halves>(level, found),
            KvType::F32 => self.run_on::<Floats>(level, found),
            KvType::Q8_0 => self.run_on::<Bytes>(level, found),
        }
    }

    fn run_on<S: Stored>(self, level: Level, found: &mut [f32]) {
        let n = self.queries.len() / self.dim();
        let (runs, all) = level.run(Runs(n));
        // By page, then by column.
        let mut weights = vec![[f32::NEG_INFINITY; SLOTS]; self.pages.len() * all];
        for (first, run) in &runs {
            let columns = Columns { first: *first, all };
            match run {
                8 => self.scores::<S, 8>(level, columns, &mut weights),
                4 => self.scores::<S, 4>(level, columns, &mut weights),
                _ => self.scores::<S, 1>(level, columns, &mut weights),
            }
        }
        for query in 0..n {
            level.run(Soften {
                attend: self,
                query,
                columns: all,
                scores: &mut weights,
                found,
            });
        }
        let scales = match S::SCALED_WORDS {
            Some(_) => level.run(Scales(self)),
            None => Vec::new(),
        };
        for (first, run) in runs {
            let columns = Columns { first, all };
            match run {
                8 => self.values::<S, 8>(level, columns, (&weights, &scales), found),
                4 => self.values::<S, 4>(level, columns, (&weights, &scales), found),
                _ => self.values::<S, 1>(level, columns, (&weights, &scales), found),
            }
        }
    }

    fn scores<S: Stored, const C: usize>(
        self,
        level: Level,
        columns: Columns,
        scores: &mut [Weights],
    ) {
        level.run(Scores::<S, C> {
            attend: self,
            columns,
            scores,
            stored: PhantomData,
        });
    }

    fn values<S: Stored, const C: usize>(
        self,
        level: Level,
        columns: Columns,
        (weights, scales): (&[Weights], &[f32]),
        found: &mut [f32],
    ) {
        level.run(Values::<S, C> {
            attend: self,
            columns,
            weights,
            scales,
            found,
            stored: PhantomData,
        });
    }

    fn dim(&self) -> usize {
        self.shape.head_dim as usize
    }

    /// Words of a slot's values.
    fn words<S: Stored>(&self) -> usize {
        self.dim() / S::PER_WORD
    }

    /// Scales of a slot's values as floats: one more than it has where their number is odd.
    fn scales_each(&self) -> usize {
        2 * self.shape.kv.scale_words(self.shape.head_dim) as usize
    }

    /// The words of a page's head, of K (0) or V (1).
    #[inline(always)]
    fn head(&self, which: usize, page: u32) -> &'a [u32] {
        let words = (PAGE * self.shape.head_words()) as usize;
        &self.store[which][self.shape.head_at(page, self.kv_head)..][..words]
    }

    /// The words of a page's head that are wanted after those of the `p`-th, of K (0) or V (1): they lie elsewhere, where the processor
    /// does not foresee them.
    #[inline(always)]
    fn ahead(&self, which: usize, p: usize) -> &'a [[u32; PANEL]] {
        let then = match (self.pages.get(p + 1), which) {
            (Some((page, _)), _) => self.head(which, *page),
            (None, 0) => self.head(1, self.pages[0].0),
            (None, _) => self.next.map_or(&[][..], |page| self.head(0, page)),
        };
        then.as_chunks().0
    }
}

/// Runs of so many columns, the first of each and how many it has, and how many all have.
struct Runs(usize);

impl Op for Runs {
    type Out = (Vec<(usize, usize)>, usize);
    #[inline(always)]
    fn call<I: Isa>(self, _isa: I) -> Self::Out {
        let (mut runs, mut all) = (Vec::new(), 0);
        while all < self.0 {
            let run = columns_at_once::<I>(self.0 - all);
            runs.push((all, run));
            all += run;
        }
        (runs, all)
    }
}

/// Makes weights of a query's scores, 0 where its row does not see, and says what they are relative to.
struct Soften<'a> {
    attend: Attend<'a>,
    query: usize,
    columns: usize,
    scores: &'a mut [Weights],
    found: &'a mut [f32],
}

impl Op for Soften<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        let Attend {
            shape, pages, seen, ..
        } = self.attend;
        let dim = self.attend.dim();
        let rows = seen.len() / pages.len();
        let row = self.query * rows * dim / self.attend.queries.len();
        let mut top = isa.splat_f(f32::NEG_INFINITY);
        for (scores, seen) in self
            .scores
            .chunks_exact_mut(self.columns)
            .zip(seen.chunks(rows))
        {
            let (scores, seen) = (&mut scores[self.query], &seen[row]);
            if let Some(cap) = shape.soft_cap {
                let cap = isa.splat_f(cap);
                for s in scores.chunks_exact_mut(I::LANES) {
                    let v = isa.div_f(isa.load_f(s), cap);
                    isa.store_f(isa.mul_f(cap, math::tanh(isa, v)), s);
                }
            }
            scores[..seen.start as usize].fill(f32::NEG_INFINITY);
            scores[seen.end as usize..].fill(f32::NEG_INFINITY);
            for s in scores.chunks_exact(I::LANES) {
                top = isa.max_f(top, isa.load_f(s));
            }
        }
        let top = isa.top(top);
        let nothing = top == f32::NEG_INFINITY;
        let mut total = isa.splat_f(0.0);
        for scores in self.scores.chunks_exact_mut(self.columns) {
            let scores = &mut scores[self.query];
            if nothing {
                scores.fill(0.0);
                continue;
            }
            for s in scores.chunks_exact_mut(I::LANES) {
                let e = math::exp(isa, isa.sub_f(isa.load_f(s), isa.splat_f(top)));
                isa.store_f(e, s);
                total = isa.add_f(total, e);
            }
        }
        let at = self.query * (HEADER + dim);
        self.found[at..at + HEADER].copy_from_slice(&[top, isa.sum(total)]);
    }
}
