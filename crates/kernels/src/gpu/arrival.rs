//! A value that a callback brings, as something to await; never without a deadline.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

struct Slot<T> {
    /// `Some(None)` once the deadline has passed.
    value: Option<Option<T>>,
    waker: Option<Waker>,
}

pub(super) struct Arrival<T>(Arc<Mutex<Slot<T>>>);

impl<T: Send + 'static> Arrival<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Slot {
            value: None,
            waker: None,
        })))
    }

    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first value to come is the one taken.
    fn put(&self, value: Option<T>) {
        let mut slot = self.slot();
        slot.value.get_or_insert(value);
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    /// What the callback calls.
    pub(super) fn callback(&self) -> impl FnOnce(T) + Send + 'static + use<T> {
        let shared = Self(self.0.clone());
        move |value| shared.put(Some(value))
    }

    /// The value, or None when `seconds` have passed without one.
    pub(super) async fn take(&self, seconds: u64) -> Option<T> {
        #[cfg(target_arch = "wasm32")]
        let _deadline = {
            let shared = Self(self.0.clone());
            let milliseconds = u32::try_from(seconds * 1000).unwrap_or(u32::MAX);
            gloo_timers::callback::Timeout::new(milliseconds, move || shared.put(None))
        };
        // Natively the device has been polled, with the same deadline, until the callback ran.
        #[cfg(not(target_arch = "wasm32"))]
        let _ = seconds;
        poll_fn(|context| {
            let mut slot = self.slot();
            match slot.value.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
