//! A browser's threads: workers that share this memory. The page's side starts them, because a worker starts only while the one that
//! asked for it is idle; they wait here for a pool that needs them, and come back when it is gone.

use rayon::ThreadBuilder;
use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
struct Lent {
    idle: usize,
    given: VecDeque<ThreadBuilder>,
}

static LENT: Mutex<Lent> = Mutex::new(Lent {
    idle: 0,
    given: VecDeque::new(),
});
/// Work was given, or a thread became idle.
static CHANGED: Condvar = Condvar::new();

fn lent() -> MutexGuard<'static, Lent> {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the calling worker as a thread of one pool after another.
pub fn lend_thread() -> ! {
    loop {
        let mut lent = lent();
        lent.idle += 1;
        CHANGED.notify_all();
        let thread = loop {
            match lent.given.pop_front() {
                Some(thread) => break thread,
                None => lent = CHANGED.wait(lent).unwrap_or_else(PoisonError::into_inner),
            }
        };
        lent.idle -= 1;
        drop(lent);
        thread.run();
    }
}

/// How often, and for how long each time, a pool waits for threads that the one before it gives back.
const WAITS: (u32, Duration) = (100, Duration::from_millis(20));

/// Gives one of a pool's threads to an idle worker.
pub(super) fn give(thread: ThreadBuilder) -> io::Result<()> {
    let mut lent = lent();
    for _ in 0..WAITS.0 {
        if lent.idle > lent.given.len() {
            lent.given.push_back(thread);
            CHANGED.notify_all();
            return Ok(());
        }
        // Not `wait_timeout_while`: it asks for the time, which the standard library has not here.
        lent = CHANGED
            .wait_timeout(lent, WAITS.1)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    Err(io::Error::other("no worker is free to be a thread"))
}
