//! Ctrl-C: stops an answer that is being written, and the program everywhere else.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::exit;

/// Set while an answer is being written: then Ctrl-C asks it to stop instead of ending the program.
static ANSWERING: AtomicBool = AtomicBool::new(false);
/// Asks the answer to stop.
static CANCEL: AtomicBool = AtomicBool::new(false);

/// Set during a chat: between two answers Ctrl-C belongs to the line editor, and one that comes a moment too late for an
/// answer must not end the program.
static CHATTING: AtomicBool = AtomicBool::new(false);

/// From here on only a second Ctrl-C during an answer ends the program.
pub fn chat_begins() {
    CHATTING.store(true, Ordering::SeqCst);
}

/// Installs the handler; once, at the start.
pub fn install() {
    // Fails only when a handler is there already, or the system has no signals: then Ctrl-C ends the process as usual.
    let _ = ctrlc::set_handler(|| {
        // A second Ctrl-C ends the program even when the answer does not stop.
        let stay = if ANSWERING.load(Ordering::SeqCst) {
            !CANCEL.swap(true, Ordering::SeqCst)
        } else {
            CHATTING.load(Ordering::SeqCst)
        };
        if stay {
            return;
        }
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
}

/// Runs `f` with a flag that Ctrl-C sets.
pub fn answering<T>(f: impl FnOnce(&AtomicBool) -> T) -> T {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            ANSWERING.store(false, Ordering::SeqCst);
        }
    }
    CANCEL.store(false, Ordering::SeqCst);
    ANSWERING.store(true, Ordering::SeqCst);
    let _guard = Guard;
    f(&CANCEL)
}
