//! Whether all threads are faster than one fewer: where another process keeps a core busy, every step would wait for the thread
//! that has to share it.

use web_time::Duration;

/// Time over which speeds are compared: a few tokens of a small model.
const SLICE: Duration = Duration::from_millis(10);
/// Slices between two tries of the other way, at first and at most.
const TRIES: [u32; 2] = [8, 64];
/// How much faster the other way must be to be taken.
const GAIN: f64 = 0.95;
/// How much slower than before a slice must be for something to have changed.
const CHANGED: f64 = 1.3;

/// The speed of both ways, as time per byte of weights.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// With all threads, and with one fewer.
    cost: [Option<f64>; 2],
    /// The way that is taken: an index of `cost`.
    way: usize,
    /// The other one is being tried.
    trying: bool,
    until_try: u32,
    between_tries: u32,
    spent: Duration,
    bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            cost: [None; 2],
            way: 0,
            trying: false,
            until_try: TRIES[0],
            between_tries: TRIES[0],
            spent: Duration::ZERO,
            bytes: 0,
        }
    }
}

impl Pace {
    /// One thread fewer than there are is to work.
    pub(crate) fn spares_one(&self) -> bool {
        (self.way == 1) != self.trying
    }

    /// A step over `bytes` of weights took so long.
    pub(crate) fn took(&mut self, spent: Duration, bytes: u64) {
        self.spent += spent;
        self.bytes += bytes;
        if self.spent < SLICE || self.bytes == 0 {
            return;
        }
        let cost = self.spent.as_secs_f64() / self.bytes as f64;
        (self.spent, self.bytes) = (Duration::ZERO, 0);
        let measured = usize::from(self.spares_one());
        if self.trying {
            self.trying = false;
            let better = self.cost[self.way].is_some_and(|known| cost < GAIN * known);
            if better {
                self.way = measured;
                self.between_tries = TRIES[0];
            } else {
                self.between_tries = (2 * self.between_tries).min(TRIES[1]);
            }
            self.until_try = self.between_tries;
            self.cost[measured] = Some(cost);
            return;
        }
        let changed = self.cost[measured].is_some_and(|known| cost > CHANGED * known);
        if changed {
            self.until_try = self.until_try.min(1);
            self.between_tries = TRIES[0];
        }
        let known = self.cost[measured].unwrap_or(cost);
        self.cost[measured] = Some(0.5 * (known + cost));
        self.until_try = self.until_try.saturating_sub(1);
        self.trying = self.until_try == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices of a pace in which one thread is spared, of `n`, where a slice costs `all` with all threads, else `fewer`.
    fn spared(pace: &mut Pace, n: u32, all: f64, fewer: f64) -> u32 {
        (0..n)
            .map(|_| {
                let spares = pace.spares_one();
                let cost = if spares { fewer } else { all };
                pace.took(2 * SLICE, (1e6 / cost) as u64);
                u32::from(spares)
            })
            .sum()
    }

    #[test]
    fn a_busy_core_is_left_and_taken_again_once_it_is_free() {
        let mut pace = Pace::default();
        assert!(spared(&mut pace, 1000, 1.0, 1.7) < 30);
        assert!(spared(&mut pace, 100, 3.0, 1.7) > 80);
        assert!(spared(&mut pace, 1000, 1.0, 1.7) < 100);
    }
}
