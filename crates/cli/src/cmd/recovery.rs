//! What follows when the device is lost while an answer is written: the model is loaded again, and the answer goes on behind
//! the tokens that it has given. Draws depend on seed and position alone, so they are the ones it would have had.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::out::note;
use chord_runtime::Engine;

/// So many losses within this time are no accident.
const LOSSES: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// Loads the model again: where it was, or with a reason on the CPU.
pub type Reload = Box<dyn FnMut(Option<&str>) -> Result<Engine, Error>>;

/// How lost devices are replaced.
pub struct Recovery {
    reload: Reload,
    /// Whether the CPU may take over.
    cpu: bool,
    losses: Vec<Instant>,
}

impl Recovery {
    pub fn new(reload: Reload, cpu: bool) -> Recovery {
        Recovery {
            reload,
            cpu,
            losses: Vec::new(),
        }
    }

    /// An engine in place of one whose device is lost, and why it is on another device than before. Fails with what was
    /// lost where that happens too often and the CPU may not take over.
    pub fn replace(&mut self, mut lost: Error) -> Result<(Engine, Option<String>), Error> {
        loop {
            let often = self.too_often(Instant::now());
            if often && !self.cpu {
                return Err(lost);
            }
            let reason = often.then(|| {
                format!(
                    "the CPU: the GPU was lost {LOSSES} times within {} seconds",
                    WITHIN.as_secs()
                )
            });
            match &reason {
                None => note(&format!("{lost}: loading the model again")),
                Some(why) => note(&format!("{lost}: going on with {why}")),
            }
            match (self.reload)(reason.as_deref()) {
                Err(e) if is_loss(&e) && reason.is_none() => lost = e,
                loaded => return Ok((loaded?, reason)),
            }
        }
    }

    /// Counts a loss.
    fn too_often(&mut self, now: Instant) -> bool {
        self.losses
            .retain(|loss| now.saturating_duration_since(*loss) < WITHIN);
        self.losses.push(now);
        self.losses.len() >= LOSSES
    }
}

/// Whether another device may help.
pub fn is_loss(e: &Error) -> bool {
    e.code() == "E_DEVICE_LOST"
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
