//! The threads that run a step, and the instructions they may use.

use crate::Error;
use chord_simd::Level;

/// Threads, made once per device: they sleep between runs.
#[derive(Debug)]
pub struct Cores {
    #[cfg(not(target_arch = "wasm32"))]
    pool: rayon::ThreadPool,
    threads: usize,
    level: Level,
}

impl Cores {
    /// So many threads, or as many as the processor runs at once.
    ///
    /// # Errors
    /// `E_THREADS`.
    pub fn new(threads: Option<usize>) -> Result<Self, Error> {
        #[cfg(target_arch = "wasm32")]
        let _ = threads;
        #[cfg(not(target_arch = "wasm32"))]
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .thread_name(|i| format!("chord-{i}"))
            .build()
            .map_err(|e| Error::Threads(e.to_string()))?;
        Ok(Self {
            #[cfg(not(target_arch = "wasm32"))]
            threads: pool.current_num_threads(),
            #[cfg(not(target_arch = "wasm32"))]
            pool,
            #[cfg(target_arch = "wasm32")]
            threads: 1,
            level: Level::best(),
        })
    }

    /// Threads that work at once.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Their name.
    #[must_use]
    pub fn instructions(&self) -> &'static str {
        self.level.name()
    }

    pub(crate) fn describe(&self) -> String {
        match self.threads {
            1 => "1 thread".into(),
            n => format!("{n} threads"),
        }
    }

    /// Runs what calls [`Cores::each`] on one of the threads: they then stay awake from one call to the next.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        #[cfg(target_arch = "wasm32")]
        return work();
        #[cfg(not(target_arch = "wasm32"))]
        self.pool.install(work)
    }

    /// The instructions in use.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Calls `work` for each item, by whichever thread is free; returns when all are done.
    pub fn each<T: Send>(&self, items: Vec<T>, work: impl Fn(T) + Send + Sync) {
        #[cfg(target_arch = "wasm32")]
        items.into_iter().for_each(work);
        #[cfg(not(target_arch = "wasm32"))]
        {
            use rayon::prelude::*;
            items.into_par_iter().for_each(work);
        }
    }
}
