//! The checks as a WebAssembly module for tools/check-simd.mjs.

#[path = "../tests/checks/mod.rs"]
mod checks;

use std::sync::OnceLock;

/// What the check that failed says.
static SAID: OnceLock<String> = OnceLock::new();

/// Runs them all: traps where one fails. Returns how many instruction sets there are.
#[unsafe(no_mangle)]
pub extern "C" fn check() -> u32 {
    std::panic::set_hook(Box::new(|panic| {
        let _ = SAID.set(panic.to_string());
    }));
    checks::all().len() as u32
}

/// Where [`SAID`] lies.
#[unsafe(no_mangle)]
pub extern "C" fn said_at() -> *const u8 {
    SAID.get().map_or(std::ptr::null(), |said| said.as_ptr())
}

/// Bytes of [`SAID`].
#[unsafe(no_mangle)]
pub extern "C" fn said_bytes() -> usize {
    SAID.get().map_or(0, String::len)
}
