//! How a prompt is cut: into batches of rows, and a batch's steps into submits.

use super::Engine;
use chord_kernels::device::BoundStep;
use chord_kernels::op::Step;
use chord_model::CHUNK;
use std::ops::Range;
use web_time::Duration;

/// How the tokens of a prompt go through the layers: decided once for all of them, so that no token depends on where a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    by_tiles: bool,
    most: u32,
}

impl Batches {
    /// At most so many rows, and at most [`CHUNK`], by no tiles.
    pub(crate) fn of(most: u32) -> Self {
        Self {
            by_tiles: false,
            most: most.clamp(1, CHUNK),
        }
    }
}

impl Engine {
    /// How a prompt of which so many tokens are to be computed is cut.
    pub(crate) fn batches(&self, tokens: usize) -> Batches {
        match self.p.tuned.variant.tiles {
            Some(tiled) if tokens >= tiled.from as usize => Batches {
                by_tiles: true,
                most: self.p.plan.chunk,
            },
            _ => Batches::of(CHUNK),
        }
    }

    /// Of how many rows batches are, in words.
    pub(super) fn describe_batches(&self) -> String {
        match self.p.tuned.variant.tiles {
            Some(tiled) => format!(
                "of {} rows by tiles, from {} tokens on",
                self.p.plan.chunk, tiled.from
            ),
            None => format!("of {CHUNK} rows"),
        }
    }

    /// The steps of such batches.
    pub(crate) fn batch_steps(&self, batches: Batches) -> (&[Step], &[BoundStep]) {
        let (plan, steps) = (&self.p.plan, &self.p.steps);
        match &plan.tiled {
            Some(tiled) if batches.by_tiles => (tiled, &steps.tiled),
            _ => (&plan.prefill, &steps.prefill),
        }
    }

    /// What the rows of such batches come in multiples of.
    pub(super) fn row_multiple(&self, batches: Batches) -> u32 {
        self.p.plan.row_multiples[usize::from(batches.by_tiles)]
    }

    /// Rows of the next such batch.
    pub(super) fn most_rows(&self, batches: Batches) -> u32 {
        if !batches.by_tiles {
            return batches.most;
        }
        let (_, steps) = self.batch_steps(batches);
        let weights = steps.iter().map(|s| s.weight_bytes(1)).sum();
        let multiple = self.row_multiple(batches);
        self.pace.rows(weights, multiple, batches.most)
    }

    /// A batch's steps, cut into submits.
    pub(crate) fn groups(&self, steps: &[BoundStep], rows: u32) -> Vec<Range<usize>> {
        let mut groups = Vec::new();
        let mut start = 0;
        while start < steps.len() {
            let (count, _) = self.pace.submit(&steps[start..], rows);
            groups.push(start..start + count);
            start += count;
        }
        groups
    }
}

/// How long a submit may take: a display waits for its end, and a watchdog's patience ends at seconds.
const SUBMIT: Duration = Duration::from_millis(80);
/// Submits in a batch: an abort waits for its end.
const SUBMITS_IN_A_BATCH: u64 = 6;
/// What a GPU may get in one submit before anything was measured, and the bounds of what it may get then: weight bytes times rows.
const FIRST: u64 = 1 << 35;
const BOUNDS: [u64; 2] = [1 << 30, 1 << 44];
/// About 0.2 s of work on two cores, whatever computes on them.
const SOFTWARE: u64 = 1 << 27;

/// How much work goes into a submit: as much as ends in time, by what earlier ones took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Weight bytes times rows.
    budget: u64,
    measures: bool,
}

impl Pace {
    pub(super) fn new(software: bool) -> Self {
        Self {
            budget: if software { SOFTWARE } else { FIRST },
            measures: !software,
        }
    }

    /// How many of these steps go into one submit, at least one, and their work.
    pub(super) fn submit(&self, steps: &[BoundStep], rows: u32) -> (usize, u64) {
        let mut work = 0;
        for (i, step) in steps.iter().enumerate() {
            work += step.weight_bytes(1) * u64::from(rows);
            if work > self.budget {
                return (i + 1, work);
            }
        }
        (steps.len(), work)
    }

    /// Rows of a batch, at most `most`, a multiple of `multiple` with so many bytes of weights behind each row.
    fn rows(&self, weights: u64, multiple: u32, most: u32) -> u32 {
        let rows = self.budget * SUBMITS_IN_A_BATCH / weights.max(1);
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).min(most);
        (rows - rows % multiple).max(multiple.min(most))
    }

    /// A submit of so much work took so long.
    pub(super) fn took(&mut self, work: u64, took: Duration) {
        // What a short one takes is mostly the way there and back, unless it took long: then it was attention, over a long context.
        if !self.measures || (work < self.budget / 2 && took < SUBMIT) {
            return;
        }
        let fits = work as f64 * SUBMIT.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let mean = 0.5 * (self.budget as f64 + fits);
        self.budget = (mean as u64).clamp(BOUNDS[0], BOUNDS[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that does so many byte-rows a second.
    fn settle(per_second: f64) -> Pace {
        let mut pace = Pace::new(false);
        for _ in 0..40 {
            let took = Duration::from_secs_f64(pace.budget as f64 / per_second);
            pace.took(pace.budget, took);
        }
        pace
    }

    #[test]
    fn a_submit_ends_in_time_on_slow_and_on_fast_devices() {
        for per_second in [1e11, 1e12, 3e13] {
            let pace = settle(per_second);
            let took = pace.budget as f64 / per_second;
            assert!((0.07..0.09).contains(&took), "{took} s at {per_second:e}");
        }
        // However fast or slow: within bounds.
        assert_eq!(settle(1e18).budget, BOUNDS[1]);
        assert_eq!(settle(1e3).budget, BOUNDS[0]);
    }

    #[test]
    fn what_is_short_teaches_nothing_and_software_is_not_measured() {
        let mut pace = Pace::new(false);
        pace.took(1000, Duration::from_millis(79));
        assert_eq!(pace.budget, FIRST);
        let mut software = Pace::new(true);
        software.took(SOFTWARE, Duration::from_secs(10));
        assert_eq!(software.budget, SOFTWARE);
    }

    /// Behind a long context a submit takes long for what it reads of weights.
    #[test]
    fn what_is_short_and_takes_long_makes_the_next_shorter() {
        let mut pace = Pace::new(false);
        for _ in 0..8 {
            pace.took(FIRST / 64, Duration::from_secs(1));
        }
        assert_eq!(pace.budget, BOUNDS[0]);
    }

    #[test]
    fn rows_are_whole_groups_and_end_in_time() {
        let pace = settle(1e12);
        let weights = 1_000_000_000;
        let rows = pace.rows(weights, 64, 512);
        assert_eq!(rows, 448);
        assert!(u64::from(rows) * weights <= pace.budget * SUBMITS_IN_A_BATCH);
        assert_eq!(pace.rows(weights / 100, 64, 512), 512);
        assert_eq!(pace.rows(1 << 60, 64, 512), 64);
        assert_eq!(pace.rows(0, 64, 512), 512);
    }
}
