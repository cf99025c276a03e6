//! Progress of a download on standard error: a bar on a terminal, a plain line now and then elsewhere.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::out::note;

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress of one transfer.
pub struct Progress {
    bar: ProgressBar,
    name: String,
    total: Option<u64>,
    next_line: Cell<Option<Instant>>,
}

impl Progress {
    /// Starts at `have` bytes of `total`.
    pub fn new(name: &str, have: u64, total: Option<u64>) -> Progress {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let template = match total {
            Some(_) => {
                "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}"
            }
            None => "{msg} {spinner} {binary_bytes} {binary_bytes_per_sec}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        bar.set_position(have);
        bar.reset_eta();
        let progress = Progress {
            name: name.to_owned(),
            total,
            next_line: Cell::new(None),
            bar,
        };
        if progress.bar.is_hidden() {
            progress.line(have);
        }
        progress
    }

    /// `have` bytes are there.
    pub fn at(&self, have: u64) {
        self.bar.set_position(have);
        if self.bar.is_hidden() && self.next_line.get().is_none_or(|t| Instant::now() >= t) {
            self.line(have);
        }
    }

    /// All bytes are there.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, have: u64) {
        let total = self
            .total
            .map_or(String::new(), |t| format!(" of {}", HumanBytes(t)));
        note(&format!(
            "downloading {}: {}{total}",
            self.name,
            HumanBytes(have)
        ));
        self.next_line.set(Instant::now().checked_add(LINE_EVERY));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
