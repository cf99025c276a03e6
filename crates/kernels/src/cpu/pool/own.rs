//! Threads of the pool's own: they end with it.

use super::Shared;
use crate::Error;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, available_parallelism};

pub(super) struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

/// As many threads as the processor runs at once.
pub(super) fn usual() -> usize {
    available_parallelism().map_or(1, usize::from)
}

impl Threads {
    /// So many.
    pub(super) fn new(n: usize) -> Result<Self, Error> {
        let mut threads = Self {
            shared: Arc::new(Shared::new()),
            handles: Vec::with_capacity(n),
        };
        for i in 0..n {
            let shared = threads.shared.clone();
            let thread = Builder::new().name(format!("chord-{i}"));
            let thread = thread.spawn(move || shared.serve());
            threads
                .handles
                .push(thread.map_err(|e| Error::Threads(e.to_string()))?);
        }
        Ok(threads)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut slot = self.shared.lock();
        slot.over = true;
        self.shared.call(slot);
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }
}
