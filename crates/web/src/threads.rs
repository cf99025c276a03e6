//! What workers need to become threads of the engine: they share its module and its memory.

use wasm_bindgen::prelude::*;

/// The compiled module of this engine, to be sent to workers.
#[wasm_bindgen(js_name = engineModule)]
#[must_use]
pub fn engine_module() -> JsValue {
    wasm_bindgen::module()
}

/// Runs the calling worker as a thread of the engine's pools, for as long as it lives: it returns only by a trap.
#[wasm_bindgen(js_name = lendThread)]
pub fn lend_thread() {
    chord_runtime::lend_thread();
}
