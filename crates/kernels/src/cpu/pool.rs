//! Threads by rayon: awake while steps run, asleep between runs.

use crate::Error;
use rayon::prelude::*;

#[derive(Debug)]
pub(super) struct Pool(rayon::ThreadPool);

impl Pool {
    pub(super) fn new(threads: Option<usize>) -> Result<Self, Error> {
        let builder = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .thread_name(|i| format!("chord-{i}"));
        #[cfg(target_arch = "wasm32")]
        let builder = builder.spawn_handler(super::lent::give);
        let pool = builder.build().map_err(|e| Error::Threads(e.to_string()))?;
        Ok(Self(pool))
    }

    pub(super) fn threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs `work` on one of the threads.
    pub(super) fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }

    /// Calls `work` for each item, for at least `least` of them in a row by the same thread.
    pub(super) fn each<T: Send>(items: Vec<T>, least: usize, work: impl Fn(T) + Send + Sync) {
        items.into_par_iter().with_min_len(least).for_each(work);
    }
}
