//! A download that is read while it goes on: what its thread tells, and what readers wait for.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;

/// Between the thread that downloads and whoever reads the part.
#[derive(Default)]
pub struct Arrival {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Bytes of the file in the part.
    have: u64,
    /// Of the whole file, once its header has been accepted; a server may not say it.
    size: Option<u64>,
    /// Begun anew after that: who has read has read another file.
    anew: bool,
    /// Nobody wants it any more.
    unwanted: bool,
    end: End,
}

#[derive(Default)]
enum End {
    #[default]
    NotYet,
    Whole(PathBuf),
    /// None once the error has been told.
    Failed(Option<Error>),
}

/// What a reader can expect.
#[derive(Debug, PartialEq, Eq)]
pub enum Bytes {
    Here,
    NotYet,
    /// They will not come, or would be another file's.
    Never,
}

impl Arrival {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(self.lock(), |state| !until(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes are in the part.
    pub fn have(&self, bytes: u64) {
        self.change(|state| state.have = bytes);
    }

    /// The header is one of a model that we run, and the file so long.
    pub fn accepted(&self, size: u64) {
        self.change(|state| state.size = Some(size));
    }

    /// The part is empty again.
    pub fn begins(&self) {
        self.change(|state| {
            state.have = 0;
            state.anew |= state.size.is_some();
        });
    }

    /// Runs the download, and tells how it ended, even by a panic.
    pub fn ends_with(&self, download: impl FnOnce(&Self) -> Result<PathBuf, Error>) {
        struct Guard<'a>(&'a Arrival);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.change(|state| {
                    if matches!(state.end, End::NotYet) {
                        state.end = End::Failed(None);
                    }
                });
            }
        }
        let guard = Guard(self);
        let end = match download(self) {
            Ok(path) => End::Whole(path),
            Err(error) => End::Failed(Some(error)),
        };
        self.change(|state| state.end = end);
        drop(guard);
    }

    /// Whether the thread should stop: what is there is kept.
    pub fn is_unwanted(&self) -> bool {
        self.lock().unwanted
    }

    /// Whether the thread is at work.
    pub fn goes_on(&self) -> bool {
        matches!(self.lock().end, End::NotYet)
    }

    /// The length of a file whose header has been accepted and that is still arriving; None when the download is over.
    pub fn length(&self) -> Option<u64> {
        let state = self.wait(|state| state.size.is_some() || !matches!(state.end, End::NotYet));
        state.size.filter(|_| matches!(state.end, End::NotYet))
    }

    /// Whether the first `bytes` are here; waits a little for them.
    pub fn first(&self, bytes: u64) -> Bytes {
        const A_LITTLE: Duration = Duration::from_millis(5);
        let look = |state: &State| match state.end {
            _ if state.anew => Bytes::Never,
            _ if bytes <= state.have => Bytes::Here,
            End::NotYet => Bytes::NotYet,
            _ => Bytes::Never,
        };
        let more = |state: &mut State| look(state) == Bytes::NotYet;
        let waited = self.changed.wait_timeout_while(self.lock(), A_LITTLE, more);
        look(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Whether what has been read may not be the file.
    pub fn is_lost(&self) -> bool {
        let state = self.lock();
        state.anew || matches!(state.end, End::Failed(_))
    }

    /// Waits for the end: the finished file, and whether it is the one that was read.
    pub fn finish(&self) -> Result<(PathBuf, bool), Error> {
        let mut state = self.wait(|state| !matches!(state.end, End::NotYet));
        let same = !state.anew;
        match &mut state.end {
            End::Whole(path) => Ok((path.clone(), same)),
            End::Failed(error) => Err(error.take().unwrap_or(Error::Interrupted)),
            End::NotYet => Err(Error::Interrupted),
        }
    }

    /// Asks the thread to stop and gives it a moment to tidy the terminal.
    pub fn give_up(&self) {
        const A_MOMENT: Duration = Duration::from_millis(300);
        self.change(|state| state.unwanted = true);
        let going = |state: &mut State| matches!(state.end, End::NotYet);
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), A_MOMENT, going);
    }
}
