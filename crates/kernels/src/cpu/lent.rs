//! A browser's threads: workers that share this memory. The page's side starts them, because a worker starts only while the one that
//! asked for it is idle; they lend themselves here to whatever pool there is.
//!
//! Not rayon: its threads sleep after microseconds where yielding does nothing, as in a browser, and a token has 150 steps; waking a
//! worker for each took what two threads won.

#![allow(
    unsafe_code,
    reason = "threads that outlive a call work on what it borrowed"
)]

use crate::Error;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the threads share in: each calls it once, and it returns when nothing is left to do.
type Job = &'static (dyn Fn() + Sync);

struct Lent {
    job: Mutex<Option<Job>>,
    /// A job was given, or a thread lent.
    changed: Condvar,
    /// Jobs given so far.
    given: AtomicUsize,
    /// Threads lent, inside the job, and asleep.
    threads: AtomicUsize,
    inside: AtomicUsize,
    asleep: AtomicUsize,
}

static LENT: Lent = Lent {
    job: Mutex::new(None),
    changed: Condvar::new(),
    given: AtomicUsize::new(0),
    threads: AtomicUsize::new(0),
    inside: AtomicUsize::new(0),
    asleep: AtomicUsize::new(0),
};

/// How often a thread looks for the next job before it sleeps: for some 100 µs, longer than from one step to the next.
const LOOKS: u32 = 50_000;
/// How often, and for how long each time, a pool waits for threads that are on their way.
const WAITS: (u32, Duration) = (100, Duration::from_millis(20));

/// Runs the calling worker as one of the threads, for as long as it lives.
pub fn lend_thread() -> ! {
    LENT.lend()
}

impl Lent {
    fn lock(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> ! {
        let mut seen = self.given.load(SeqCst);
        self.threads.fetch_add(1, SeqCst);
        self.changed.notify_all();
        loop {
            self.wait_after(seen);
            let job = self.lock();
            seen = self.given.load(SeqCst);
            // It may be over by now. A thread is inside before the lock is given back: see `run`.
            if let Some(work) = *job {
                self.inside.fetch_add(1, SeqCst);
                drop(job);
                work();
                self.inside.fetch_sub(1, SeqCst);
            }
        }
    }

    /// Returns when another job than the one `seen` was given.
    fn wait_after(&self, seen: usize) {
        for _ in 0..LOOKS {
            if self.given.load(SeqCst) != seen {
                return;
            }
            std::hint::spin_loop();
        }
        let mut job = self.lock();
        self.asleep.fetch_add(1, SeqCst);
        while self.given.load(SeqCst) == seen {
            let woken = self.changed.wait(job);
            job = woken.unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, SeqCst);
    }

    /// Calls `work` on this thread and on whichever of the others come by before it returns; all have returned when this does.
    fn run(&self, work: &(dyn Fn() + Sync)) {
        // SAFETY: no thread uses the job after this function: it is taken back below, under the lock under which threads take it, and
        // those that took it before are `inside` until they return from it. A panic aborts.
        let job = unsafe { std::mem::transmute::<&(dyn Fn() + Sync), Job>(work) };
        let mut slot = self.lock();
        *slot = Some(job);
        self.given.fetch_add(1, SeqCst);
        if self.asleep.load(SeqCst) > 0 {
            self.changed.notify_all();
        }
        drop(slot);
        work();
        *self.lock() = None;
        while self.inside.load(SeqCst) > 0 {
            std::hint::spin_loop();
        }
    }

    /// Whether so many are lent, soon.
    fn has(&self, threads: usize) -> bool {
        let mut job = self.lock();
        for _ in 0..WAITS.0 {
            if self.threads.load(SeqCst) >= threads {
                return true;
            }
            // Not `wait_timeout_while`: it asks for the time, which the standard library has not here.
            let waited = self.changed.wait_timeout(job, WAITS.1);
            job = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

/// The engine's own thread and those that are lent to it.
#[derive(Debug)]
pub(super) struct Pool {
    threads: usize,
}

impl Pool {
    pub(super) fn new(threads: Option<usize>) -> Result<Self, Error> {
        let threads = threads.unwrap_or(1).max(1);
        if LENT.has(threads - 1) {
            return Ok(Self { threads });
        }
        let missing = format!(
            "{threads} threads need {} workers that lend themselves",
            threads - 1
        );
        Err(Error::Threads(missing))
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// The caller is one of the threads.
    pub(super) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    /// Calls `work` for each item, on at most `active` threads.
    pub(super) fn each<T: Send>(
        &self,
        active: usize,
        items: Vec<T>,
        work: impl Fn(T) + Send + Sync,
    ) {
        let items: Vec<_> = items
            .into_iter()
            .map(|item| Mutex::new(Some(item)))
            .collect();
        let (next, sharing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let share = || {
            if sharing.fetch_add(1, SeqCst) >= active {
                return;
            }
            while let Some(item) = items.get(next.fetch_add(1, SeqCst)) {
                let item = item.lock().unwrap_or_else(PoisonError::into_inner).take();
                item.into_iter().for_each(&work);
            }
        };
        LENT.run(&share);
    }
}
