//! A token of a row of logits. A vocabulary is long and what is kept of it short: each pass looks at the largest logit of 64 before it
//! looks at them.

use super::tops::{self, CHUNK, NOT_FINITE};
use super::{GREEDY, MIN_P, SampleError, SampleParams, TOP_P};
use chord_simd::{Isa, Level, Op, math};
use std::cmp::Ordering;

/// The token for a uniform number `u` in [0, 1): in id order, the first kept token whose running sum of tempered weights
/// passes `u` times their total.
///
/// # Errors
/// A logit that is not finite, or no logits.
pub fn choose_at(p: &SampleParams, logits: &[f32], u: f32) -> Result<u32, SampleError> {
    let tops: Vec<u32> = logits.chunks(CHUNK).map(tops::of).collect();
    choose_by(p, logits, &tops, u)
}

/// The same where the logits' tops are there already ([`super::SampleTops`]).
pub(super) fn choose_by(
    p: &SampleParams,
    logits: &[f32],
    tops: &[u32],
    u: f32,
) -> Result<u32, SampleError> {
    let row = Row::new(logits, tops)?;
    if p.flags & GREEDY != 0 {
        return Ok(row.best());
    }
    let weight = |x: f32| (f64::from(x - row.top) * f64::from(p.inv_temperature)).exp();
    let kept = row.from(row.threshold(p));
    let kept: Vec<(u32, f64)> = kept.map(|(id, x)| (id, weight(x))).collect();
    let target = f64::from(u) * kept.iter().map(|(_, w)| w).sum::<f64>();
    let mut sum = 0.0;
    let passes = kept.iter().find(|(_, w)| {
        sum += w;
        sum > target
    });
    Ok(passes.map_or_else(|| row.best(), |(id, _)| *id))
}

/// Logits, all finite.
struct Row<'a> {
    logits: &'a [f32],
    /// The largest of each [`CHUNK`], and of all.
    tops: Vec<f32>,
    top: f32,
}

impl<'a> Row<'a> {
    fn new(logits: &'a [f32], tops: &[u32]) -> Result<Self, SampleError> {
        let top = *tops.iter().max().ok_or(SampleError::Empty)?;
        if top == NOT_FINITE {
            let id = (0..).zip(logits).find(|(_, x)| !x.is_finite());
            return Err(SampleError::NonFinite {
                id: id.map_or(0, |(id, _)| id),
            });
        }
        Ok(Self {
            logits,
            tops: tops.iter().map(|key| tops::value_of(*key)).collect(),
            top: tops::value_of(top),
        })
    }

    /// The first token with the largest logit.
    fn best(&self) -> u32 {
        let first = self.from(self.top).next();
        first.map_or(0, |(id, _)| id)
    }

    /// Tokens with at least this logit, and their logits, by id.
    fn from(&self, least: f32) -> impl Iterator<Item = (u32, f32)> {
        let ids = (0u32..).step_by(CHUNK);
        let chunks = ids.zip(self.logits.chunks(CHUNK)).zip(&self.tops);
        let chunks = chunks.filter(move |(_, top)| **top >= least);
        let all = chunks.flat_map(|((first, chunk), _)| (first..).zip(chunk.iter().copied()));
        all.filter(move |(_, x)| *x >= least)
    }

    /// The `k`-th largest logit; of fewer, the lowest there may be.
    fn kth(&self, k: usize) -> f32 {
        let (mut best, mut least) = (Vec::new(), f32::NEG_INFINITY);
        let kth = |best: &mut Vec<f32>| {
            let (_, kth, _) = best.select_nth_unstable_by(k - 1, descending);
            *kth
        };
        for (chunk, top) in self.logits.chunks(CHUNK).zip(&self.tops) {
            // What equals the k-th so far changes nothing.
            if *top > least {
                best.extend(chunk.iter().filter(|x| **x > least));
            }
            if best.len() >= 2 * k + 4 * CHUNK {
                least = kth(&mut best);
                best.truncate(k);
            }
        }
        match best.len() < k {
            true => f32::NEG_INFINITY,
            false => kth(&mut best),
        }
    }

    /// The lowest logit that is kept. Zeros of either sign are equal, as floats compare.
    fn threshold(&self, p: &SampleParams) -> f32 {
        let k = p.top_k as usize;
        let mut threshold = match k {
            0 => f32::NEG_INFINITY,
            k => self.kth(k),
        };
        if p.flags & TOP_P != 0 {
            let mut left: Vec<f32> = self.from(threshold).map(|(_, x)| x).collect();
            let reached = self.reaching(p.top_p, &mut left);
            threshold = threshold.max(reached.unwrap_or(threshold));
        }
        if p.flags & MIN_P != 0 {
            threshold = threshold.max(self.top + p.ln_min_p);
        }
        threshold.min(self.top)
    }

    /// The logit at which these, the largest first, reach a share of their probability.
    fn reaching(&self, share: f32, logits: &mut [f32]) -> Option<f32> {
        let weight = |x: &f32| f64::from(x - self.top).exp();
        let total = Level::best().run(Total {
            logits: &*logits,
            top: self.top,
        });
        let needed = f64::from(share) * total;
        // A few of many reach it nearly always: only those are put in order.
        let (mut sum, mut rest) = (0.0, logits);
        let mut next = 256;
        while !rest.is_empty() {
            if next < rest.len() {
                rest.select_nth_unstable_by(next - 1, descending);
            }
            let (now, later) = rest.split_at_mut(next.min(rest.len()));
            now.sort_unstable_by(descending);
            let reached = now.iter().find(|x| {
                sum += weight(x);
                sum >= needed
            });
            if reached.is_some() {
                return reached.copied();
            }
            (rest, next) = (later, 8 * next);
        }
        None
    }
}

/// The sum of e^(x - top).
struct Total<'a> {
    logits: &'a [f32],
    top: f32,
}

impl Op for Total<'_> {
    type Out = f64;
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) -> f64 {
        let top = isa.splat_f(self.top);
        let of_chunk = |chunk: &[f32]| {
            // What fills the last chunk weighs nothing.
            let mut filled = [f32::NEG_INFINITY; CHUNK];
            filled[..chunk.len()].copy_from_slice(chunk);
            let weights = filled
                .chunks_exact(I::LANES)
                .map(|x| math::exp(isa, isa.sub_f(isa.load_f(x), top)));
            isa.sum(weights.fold(isa.splat_f(0.0), |sum, w| isa.add_f(sum, w)))
        };
        let chunks = self.logits.chunks(CHUNK);
        chunks.map(|chunk| f64::from(of_chunk(chunk))).sum()
    }
}

fn descending(a: &f32, b: &f32) -> Ordering {
    b.total_cmp(a)
}
