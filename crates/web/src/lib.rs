//! What JavaScript calls: a model loaded from a source of bytes, generations with their events, and errors as objects with
//! `code`, `message` and `help`. Structured values cross as JSON texts of the shapes in `pkg/src/protocol.ts`.

mod error;
mod model;
mod plan;
mod request;
mod source;
#[cfg(target_feature = "atomics")]
mod threads;
const _: () = ();

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Stops the one operation it was given to, at its next step.
#[wasm_bindgen]
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

#[wasm_bindgen]
impl Cancel {
    /// For one operation.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks it to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
