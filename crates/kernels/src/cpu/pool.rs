//! Threads that share in a step: awake from one step to the next, asleep between runs. Natively the pool has its own; in a browser they are
//! workers with the same memory, which the page's side starts (a worker starts only while the one that asked for it is idle) and which
//! lend themselves here.
//!
//! Not rayon: its threads sleep after microseconds, and a token has 150 steps; and it cuts work in two again and again where one list
//! does. Prompts took 1.1 to 1.35 times as long with it, natively, and in a browser a second thread won nothing.

#![allow(
    unsafe_code,
    reason = "threads that outlive a call work on what it borrowed"
)]

use crate::Error;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[cfg_attr(target_arch = "wasm32", path = "pool/lent.rs")]
#[cfg_attr(not(target_arch = "wasm32"), path = "pool/own.rs")]
mod threads;
use threads::Threads;
#[cfg(target_arch = "wasm32")]
pub use threads::lend_thread;

/// What the threads share in: each calls it once, and it returns when nothing is left to do.
type Job = &'static (dyn Fn() + Sync);

struct Shared {
    slot: Mutex<Slot>,
    /// A job was given, a thread is there, or all are to end.
    changed: Condvar,
    /// Jobs given so far; one more when all are to end.
    given: AtomicUsize,
    /// Threads that are there, inside the job, and asleep.
    threads: AtomicUsize,
    inside: AtomicUsize,
    asleep: AtomicUsize,
}

struct Slot {
    job: Option<Job>,
    /// What a thread panicked with inside the job.
    panic: Option<Box<dyn Any + Send>>,
    over: bool,
}

/// How often a thread looks for the next job before it sleeps, for some 100 to 500 µs: longer than from one step to the next. In a browser
/// a look has no pause in it.
const LOOKS: u32 = if cfg!(target_arch = "wasm32") {
    50_000
} else {
    10_000
};

/// Waits a little, the `i`-th time: others who want the processor have their turn now and then.
fn pause(i: u32) {
    if i % 64 == 63 {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

impl Shared {
    const fn new() -> Self {
        Self {
            slot: Mutex::new(Slot {
                job: None,
                panic: None,
                over: false,
            }),
            changed: Condvar::new(),
            given: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            asleep: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread, until all are to end.
    fn serve(&self) {
        // There may be a job already.
        let mut seen = self.given.load(SeqCst).wrapping_sub(1);
        self.threads.fetch_add(1, SeqCst);
        self.changed.notify_all();
        loop {
            self.wait_after(seen);
            let slot = self.lock();
            seen = self.given.load(SeqCst);
            if slot.over {
                return;
            }
            // The job may be over by now. A thread is inside before the lock is given back: see `run`.
            if let Some(work) = slot.job {
                self.inside.fetch_add(1, SeqCst);
                drop(slot);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                    self.lock().panic = Some(panic);
                }
                self.inside.fetch_sub(1, SeqCst);
            }
        }
    }

    /// Returns when another job than the one `seen` was given.
    fn wait_after(&self, seen: usize) {
        for i in 0..LOOKS {
            if self.given.load(SeqCst) != seen {
                return;
            }
            pause(i);
        }
        let mut slot = self.lock();
        self.asleep.fetch_add(1, SeqCst);
        while self.given.load(SeqCst) == seen {
            let woken = self.changed.wait(slot);
            slot = woken.unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, SeqCst);
    }

    /// Has all threads that are awake, or asleep, look at the slot.
    fn call(&self, slot: MutexGuard<'_, Slot>) {
        self.given.fetch_add(1, SeqCst);
        if self.asleep.load(SeqCst) > 0 {
            self.changed.notify_all();
        }
        drop(slot);
    }

    /// Calls `work` on this thread and on whichever of the others come by before it returns; all have returned when this does.
    fn run(&self, work: &(dyn Fn() + Sync)) {
        // SAFETY: no thread uses the job after this function: `Running` takes it back, even where `work` panics here, under the lock
        // under which threads take it, and those that took it before are `inside` until they have returned from it.
        let job = unsafe { std::mem::transmute::<&(dyn Fn() + Sync), Job>(work) };
        let mut slot = self.lock();
        slot.job = Some(job);
        // One is left where both sides of an earlier job panicked.
        slot.panic = None;
        self.call(slot);
        let running = Running(self);
        work();
        drop(running);
        let panic = self.lock().panic.take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// A job that was given.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().job = None;
        let mut i = 0;
        while self.0.inside.load(SeqCst) > 0 {
            pause(i);
            i = i.wrapping_add(1);
        }
    }
}

/// The engine's own thread and the others.
pub(super) struct Pool {
    threads: Threads,
    count: usize,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.count)
            .finish()
    }
}

impl Pool {
    pub(super) fn new(threads: Option<usize>) -> Result<Self, Error> {
        let count = threads.unwrap_or_else(threads::usual).max(1);
        Ok(Self {
            threads: Threads::new(count - 1)?,
            count,
        })
    }

    pub(super) fn threads(&self) -> usize {
        self.count
    }

    /// Calls `work` for each item, on at most `active` threads, of which the caller is one.
    pub(super) fn each<T: Send>(
        &self,
        active: usize,
        items: Vec<T>,
        work: impl Fn(T) + Send + Sync,
    ) {
        let left = Mutex::new(items.into_iter());
        let sharing = AtomicUsize::new(0);
        let share = || {
            if sharing.fetch_add(1, SeqCst) >= active {
                return;
            }
            loop {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                // Less and less at once: taking costs, and whoever comes last shall not have much.
                let n = left.len().div_ceil(4 * active);
                let part: Vec<T> = left.by_ref().take(n).collect();
                drop(left);
                if part.is_empty() {
                    return;
                }
                part.into_iter().for_each(&work);
            }
        };
        self.threads.shared().run(&share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_worked_on_once_whoever_does_it() {
        let pool = Pool::new(Some(4)).unwrap();
        for round in 0..2000 {
            let n = round % 97;
            let mut done = vec![0; n];
            let items = done.iter_mut().enumerate().collect();
            pool.each(1 + round % 4, items, |(i, done): (usize, &mut usize)| {
                *done += i + round;
            });
            assert!(done.iter().enumerate().all(|(i, done)| *done == i + round));
        }
    }

    #[test]
    fn threads_that_slept_come_back_and_end_with_their_pool() {
        let pool = Pool::new(Some(3)).unwrap();
        let shared = pool.threads.shared();
        while shared.asleep.load(SeqCst) < 2 {
            std::thread::yield_now();
        }
        // An item waits until three threads have one: nobody has two.
        let met = std::sync::Barrier::new(3);
        pool.each(3, vec![(); 3], |()| {
            met.wait();
        });
        drop(pool);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(Some(2)).unwrap();
        let met = std::sync::Barrier::new(2);
        for who in [true, false] {
            let caller = std::thread::current().id();
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                pool.each(2, vec![(); 2], |()| {
                    met.wait();
                    assert!((std::thread::current().id() == caller) != who, "as asked");
                });
            }));
            assert!(panicked.is_err());
        }
        let both = catch_unwind(AssertUnwindSafe(|| {
            pool.each(2, vec![(); 2], |()| {
                met.wait();
                panic!("as asked");
            });
        }));
        assert!(both.is_err());
        let sum = AtomicUsize::new(0);
        pool.each(2, (1..=100).collect(), |i| {
            sum.fetch_add(i, SeqCst);
        });
        assert_eq!(sum.into_inner(), 5050);
    }
}
