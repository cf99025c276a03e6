//! Threads by rayon: awake while steps run, asleep between runs.

use crate::Error;
use rayon::prelude::*;

#[derive(Debug)]
pub(super) struct Pool(rayon::ThreadPool);

impl Pool {
    pub(super) fn new(threads: Option<usize>) -> Result<Self, Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .thread_name(|i| format!("chord-{i}"))
            .build()
            .map_err(|e| Error::Threads(e.to_string()))?;
        Ok(Self(pool))
    }

    pub(super) fn threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs `work` on one of the threads: they then stay awake from one call of `each` in it to the next.
    pub(super) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }

    /// Calls `work` for each item, on at most `active` threads.
    pub(super) fn each<T: Send>(
        &self,
        active: usize,
        items: Vec<T>,
        work: impl Fn(T) + Send + Sync,
    ) {
        // Pieces of this length keep as many threads busy; where all work, they share as finely as they like.
        let least = match active < self.threads() {
            true => items.len().div_ceil(active),
            false => 1,
        };
        items.into_par_iter().with_min_len(least).for_each(work);
    }
}
