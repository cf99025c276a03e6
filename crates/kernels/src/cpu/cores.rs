//! The threads that run a step, and the instructions they may use.

use super::pace::Pace;
use super::pool::Pool;
use crate::Error;
use chord_simd::Level;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads, made once per device: they sleep between runs.
#[derive(Debug)]
pub struct Cores {
    pool: Pool,
    /// How many of them work.
    active: AtomicUsize,
    level: Level,
}

impl Cores {
    /// So many threads, or as many as the processor runs at once. In a browser: this one and those lent to it.
    ///
    /// # Errors
    /// `E_THREADS`.
    pub fn new(level: Level, threads: Option<usize>) -> Result<Self, Error> {
        let pool = Pool::new(threads)?;
        Ok(Self {
            active: AtomicUsize::new(pool.threads()),
            pool,
            level,
        })
    }

    /// Threads that may work at once.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instructions in use.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn describe(&self) -> String {
        match self.threads() {
            1 => "1 thread".into(),
            n => format!("{n} threads"),
        }
    }

    /// Lets as many threads work as `pace` found best.
    pub(crate) fn keep(&self, pace: &Pace) {
        let spared = usize::from(pace.spares_one());
        let active = self.threads().saturating_sub(spared).max(1);
        self.active.store(active, Ordering::Relaxed);
    }

    /// Calls `work` for each item, by whichever thread is free; returns when all are done.
    pub fn each<T: Send>(&self, items: Vec<T>, work: impl Fn(T) + Send + Sync) {
        let active = self.active.load(Ordering::Relaxed).min(items.len());
        if active <= 1 {
            return items.into_iter().for_each(work);
        }
        self.pool.each(active, items, work);
    }
}
