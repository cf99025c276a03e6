//! Workers that lend themselves to whatever pool there is.

use super::Shared;
use crate::Error;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

static LENT: Shared = Shared::new();

/// How often, and for how long each time, a pool waits for threads that are on their way.
const WAITS: (u32, Duration) = (100, Duration::from_millis(20));

/// Runs the calling worker as one of the threads, for as long as it lives.
pub fn lend_thread() -> ! {
    loop {
        LENT.serve();
    }
}

pub(super) struct Threads;

/// The engine's own.
pub(super) fn usual() -> usize {
    1
}

impl Threads {
    /// So many, which must be lent soon.
    pub(super) fn new(n: usize) -> Result<Self, Error> {
        let mut slot = LENT.lock();
        for _ in 0..WAITS.0 {
            if LENT.threads.load(SeqCst) >= n {
                return Ok(Self);
            }
            // Not `wait_timeout_while`: it asks for the time, which the standard library has not here.
            let waited = LENT.changed.wait_timeout(slot, WAITS.1);
            slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let missing = format!("{} threads need {n} workers that lend themselves", n + 1);
        Err(Error::Threads(missing))
    }

    pub(super) fn shared(&self) -> &'static Shared {
        &LENT
    }
}
