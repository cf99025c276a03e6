//! What follows when the device is lost while an answer is written: the model is loaded again, and the answer goes on behind
//! the tokens that it has given. Draws depend on seed and position alone, so they are the ones it would have had.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::out::note;
use chord_runtime::Engine;

/// So many losses within this time, or with no token between them, are no accident.
const LOSSES: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// Loads the model again: where it was, or with a reason on the CPU.
pub type Reload<E = Engine> = Box<dyn FnMut(Option<&str>) -> Result<E, Error>>;

/// How lost devices are replaced.
pub struct Recovery<E = Engine> {
    reload: Reload<E>,
    /// Whether the CPU may take over.
    cpu: bool,
    /// When devices were lost, of late.
    losses: Vec<Instant>,
    /// Losses since the last token, however long ago: loading and a prompt may take minutes.
    fruitless: usize,
}

impl<E> Recovery<E> {
    pub fn new(reload: Reload<E>, cpu: bool) -> Recovery<E> {
        Recovery {
            reload,
            cpu,
            losses: Vec::new(),
            fruitless: 0,
        }
    }

    /// A token came that was not there before.
    pub fn progress(&mut self) {
        self.fruitless = 0;
    }

    /// An engine in place of `old`, whose device is lost, and why it is on another device than before. Fails with what was
    /// lost where that happens too often and the CPU may not take over.
    pub fn replace(
        &mut self,
        old: Option<E>,
        mut lost: Error,
    ) -> Result<(E, Option<String>), Error> {
        // Before another is loaded: a lost device keeps its memory until the last handle on it is gone.
        drop(old);
        loop {
            let often = self.too_often(Instant::now());
            if often.is_some() && !self.cpu {
                return Err(lost);
            }
            let reason = often.map(|often| format!("the CPU: the GPU was lost {often}"));
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

    /// Counts a loss; says so where there are too many.
    fn too_often(&mut self, now: Instant) -> Option<String> {
        self.losses
            .retain(|loss| now.saturating_duration_since(*loss) < WITHIN);
        self.losses.push(now);
        self.fruitless += 1;
        let seconds = WITHIN.as_secs();
        if self.losses.len() >= LOSSES {
            Some(format!("{LOSSES} times within {seconds} seconds"))
        } else {
            (self.fruitless >= LOSSES).then(|| format!("{LOSSES} times without a token in between"))
        }
    }
}

/// Whether another device may help.
pub fn is_loss(e: &Error) -> bool {
    e.code() == "E_DEVICE_LOST"
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
