//! A buffer in host memory.

use crate::Error;
use crate::op::{BufDesc, Role};
use std::ops::{Deref, DerefMut};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Rows of a weight matrix whose words lie side by side: word `w` of the rows of a panel is one run of as many words, so that
/// a vector holds the same word of several rows.
pub use chord_simd::PANEL;

/// Words of a buffer, borrowed.
pub type Words<'a> = RwLockReadGuard<'a, Vec<u32>>;
/// Words of a buffer, borrowed to be changed.
pub type WordsMut<'a> = RwLockWriteGuard<'a, Vec<u32>>;

/// A buffer of words; of weights, in panels.
#[derive(Debug, Default)]
pub struct CpuBuffer {
    words: RwLock<Vec<u32>>,
    order: Order,
}

/// Where word `i` of a buffer, as the GPU has it, lies here.
#[derive(Clone, Copy, Debug, Default)]
enum Order {
    #[default]
    Same,
    /// Matrices of `rows` rows of `row_words` words, each padded with rows of zeros to whole panels.
    Panels { row_words: usize, rows: usize },
}

impl Order {
    /// Words of a row from `at` on that lie a panel apart, the first of them, and how many there are before the row ends.
    fn run(self, at: usize) -> (usize, usize) {
        match self {
            Self::Same => (at, usize::MAX),
            Self::Panels { row_words, rows } => {
                let (row, word) = (at / row_words, at % row_words);
                let panels = rows.div_ceil(PANEL);
                let (matrix, row) = (row / rows, row % rows);
                let panel = matrix * panels + row / PANEL;
                (
                    (panel * row_words + word) * PANEL + row % PANEL,
                    row_words - word,
                )
            }
        }
    }

    fn stride(self) -> usize {
        match self {
            Self::Same => 1,
            Self::Panels { .. } => PANEL,
        }
    }
}

impl CpuBuffer {
    /// A buffer with these words, as the GPU has them.
    #[must_use]
    pub fn of(words: Vec<u32>) -> Self {
        Self {
            words: RwLock::new(words),
            order: Order::Same,
        }
    }

    /// A zeroed buffer; weights in panels.
    ///
    /// # Errors
    /// `E_GPU_OOM` where the memory cannot be had.
    pub fn zeroed(description: &BufDesc) -> Result<Self, Error> {
        let words = usize::try_from(description.words).unwrap_or(usize::MAX);
        let (order, words) = match description.role {
            Role::Weights { row_words, rows } if row_words > 0 && rows > 0 => {
                let (row_words, rows) = (row_words as usize, rows as usize);
                let matrices = words.div_ceil(row_words).div_ceil(rows);
                let padded = rows.next_multiple_of(PANEL).saturating_mul(row_words);
                let order = Order::Panels { row_words, rows };
                (order, matrices.saturating_mul(padded))
            }
            _ => (Order::Same, words),
        };
        let mut zeroed: Vec<u32> = Vec::new();
        let oom = |_| Error::OutOfMemory {
            what: description.label.clone(),
            bytes: 4 * words as u64,
        };
        // Asks first: a plain allocation that fails ends the process.
        zeroed.try_reserve_exact(words).map_err(oom)?;
        drop(zeroed);
        Ok(Self {
            // Zeroed by the system as it is touched: K and V of a long context cost nothing before.
            words: RwLock::new(vec![0; words]),
            order,
        })
    }

    /// The words as they lie here.
    ///
    /// # Panics
    /// Where they are being written: a step that binds what it writes twice.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        self.words.try_read().expect("not bound for writing too")
    }

    /// The words as they lie here, to be changed.
    ///
    /// # Panics
    /// Where they are borrowed.
    #[must_use]
    pub fn words_mut(&self) -> WordsMut<'_> {
        self.words.try_write().expect("bound for writing once")
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        4 * self.words().len() as u64
    }

    /// Writes words at a word offset, both as the GPU has them.
    pub fn write(&self, at: u64, from: &[u32]) {
        let mut words = self.words_mut();
        self.runs(at, from.len(), |i, to, stride, n| {
            let from = &from[i..i + n];
            if stride == 1 {
                words.deref_mut()[to..to + n].copy_from_slice(from);
            } else {
                let to = words.deref_mut()[to..].iter_mut().step_by(stride);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Reads words from a word offset, both as the GPU has them.
    pub fn read(&self, at: u64, to: &mut [u32]) {
        let words = self.words();
        self.runs(at, to.len(), |i, from, stride, n| {
            let from = words.deref()[from..].iter().step_by(stride);
            to[i..i + n]
                .iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to = *from);
        });
    }

    /// Calls with (how many words came before, first word here, distance, words) until `n` words are done.
    fn runs(&self, at: u64, n: usize, mut each: impl FnMut(usize, usize, usize, usize)) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let mut done = 0;
        while done < n {
            let (first, run) = self.order.run(at + done);
            let run = run.min(n - done);
            each(done, first, self.order.stride(), run);
            done += run;
        }
    }
}
