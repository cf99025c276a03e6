//! A buffer in host memory.

use super::{Cores, panels};
use crate::Error;
use crate::kv::{PAGE, SlotOrder};
use crate::op::{BufDesc, Role};
use std::ops::{Deref, DerefMut, Range};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Rows of a weight matrix whose words lie side by side: word `w` of the rows of a panel is one run of as many words, so that
/// a vector holds the same word of several rows.
pub use chord_simd::PANEL;

/// Words of a buffer, borrowed.
#[derive(Debug)]
pub struct Words<'a> {
    all: RwLockReadGuard<'a, Vec<u32>>,
    range: Range<usize>,
}

impl Deref for Words<'_> {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        &self.all[self.range.clone()]
    }
}

/// Words of a buffer, borrowed to be changed.
#[derive(Debug)]
pub struct WordsMut<'a> {
    all: RwLockWriteGuard<'a, Vec<u32>>,
    range: Range<usize>,
}

impl Deref for WordsMut<'_> {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        &self.all[self.range.clone()]
    }
}

impl DerefMut for WordsMut<'_> {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.all[self.range.clone()]
    }
}

/// A buffer of words; of weights, in panels, and a range of one allocation for all of them: only a large one gets large pages,
/// without which reading it takes twice the time.
#[derive(Debug)]
pub struct CpuBuffer {
    all: Arc<RwLock<Vec<u32>>>,
    range: Range<usize>,
    order: Order,
}

/// Where word `i` of a buffer, as the GPU has it, lies here.
#[derive(Clone, Copy, Debug, Default)]
enum Order {
    #[default]
    Same,
    /// Matrices of `rows` rows of `row_words` words, each padded with rows of zeros to whole panels.
    Panels { row_words: usize, rows: usize },
    /// Keys: of every page's head, words of the slots' values and words of their scales, both in [`SlotOrder::Panels`].
    Keys { values: u32, scales: u32 },
}

/// So many words, zeroed by the system as they are touched: K and V of a long context cost nothing before.
fn zeroes(what: &str, words: usize) -> Result<Vec<u32>, Error> {
    let mut asked: Vec<u32> = Vec::new();
    // A plain allocation that fails would end the process.
    let oom = |_| Error::OutOfMemory {
        what: what.into(),
        bytes: 4 * words as u64,
    };
    asked.try_reserve_exact(words).map_err(oom)?;
    drop(asked);
    Ok(vec![0; words])
}

impl Order {
    /// The order of a buffer, and its words with padding.
    fn of(description: &BufDesc) -> (Self, usize) {
        let words = usize::try_from(description.words).unwrap_or(usize::MAX);
        match description.role {
            Role::Weights {
                row_words, rows, ..
            } if row_words > 0 && rows > 0 => {
                let (row_words, rows) = (row_words as usize, rows as usize);
                let matrices = words.div_ceil(row_words).div_ceil(rows);
                let padded = rows.next_multiple_of(PANEL).saturating_mul(row_words);
                let order = Self::Panels { row_words, rows };
                (order, matrices.saturating_mul(padded))
            }
            Role::Keys { values, scales } if values > 0 => (Self::Keys { values, scales }, words),
            _ => (Self::Same, words),
        }
    }

    /// (row_words, rows) and the first row, where words are whole rows of weights.
    fn whole_rows(self, at: u64, words: usize) -> Option<((usize, usize), usize)> {
        let Self::Panels { row_words, rows } = self else {
            return None;
        };
        let at = usize::try_from(at).ok()?;
        let whole = at.is_multiple_of(row_words) && words.is_multiple_of(row_words);
        whole.then_some(((row_words, rows), at / row_words))
    }

    fn is_panels(self) -> bool {
        matches!(self, Self::Panels { .. })
    }

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
            Self::Keys { values, scales } => {
                let of_slots = |words: u32| (PAGE * words) as usize;
                let head = at / of_slots(values + scales) * of_slots(values + scales);
                let (first, each) = match at - head < of_slots(values) {
                    true => (head, values),
                    false => (head + of_slots(values), scales),
                };
                let at = (at - first) as u32;
                let place = SlotOrder::Panels.at(at / each, each, at % each);
                (first + place, (each - at % each) as usize)
            }
        }
    }

    fn stride(self) -> usize {
        match self {
            Self::Same => 1,
            Self::Panels { .. } | Self::Keys { .. } => PANEL,
        }
    }
}

impl CpuBuffer {
    /// A buffer with these words, as the GPU has them.
    #[must_use]
    pub fn of(words: Vec<u32>) -> Self {
        Self {
            range: 0..words.len(),
            all: Arc::new(RwLock::new(words)),
            order: Order::Same,
        }
    }

    /// Zeroed buffers; weights in panels.
    ///
    /// # Errors
    /// `E_GPU_OOM` where the memory cannot be had.
    pub fn zeroed(descriptions: &[BufDesc]) -> Result<Vec<Self>, Error> {
        let orders: Vec<_> = descriptions.iter().map(Order::of).collect();
        let of_weights = orders.iter().filter(|(order, _)| order.is_panels());
        let total = of_weights.fold(0, |sum: usize, (_, words)| sum.saturating_add(*words));
        let weights = Arc::new(RwLock::new(zeroes("the weights", total)?));
        if let Ok(words) = weights.write().as_deref_mut() {
            chord_simd::prefer_large_pages(words);
        }
        let mut next = 0;
        let mut buffers = Vec::with_capacity(orders.len());
        for (description, (order, words)) in descriptions.iter().zip(orders) {
            let (all, range) = if order.is_panels() {
                let first = next;
                next += words;
                (weights.clone(), first..next)
            } else {
                let all = zeroes(&description.label, words)?;
                (Arc::new(RwLock::new(all)), 0..words)
            };
            buffers.push(Self { all, range, order });
        }
        Ok(buffers)
    }

    /// The words as they lie here.
    ///
    /// # Panics
    /// Where they are being written: a step that binds what it writes twice.
    #[must_use]
    pub fn words(&self) -> Words<'_> {
        Words {
            all: self.all.try_read().expect("not bound for writing too"),
            range: self.range.clone(),
        }
    }

    /// The words as they lie here, to be changed.
    ///
    /// # Panics
    /// Where they are borrowed.
    #[must_use]
    pub fn words_mut(&self) -> WordsMut<'_> {
        WordsMut {
            all: self.all.try_write().expect("bound for writing once"),
            range: self.range.clone(),
        }
    }

    pub(crate) fn slot_order(&self) -> SlotOrder {
        match self.order {
            Order::Keys { .. } => SlotOrder::Panels,
            Order::Same | Order::Panels { .. } => SlotOrder::Whole,
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        4 * self.range.len() as u64
    }

    /// Writes words at a word offset, both as the GPU has them; whole rows of weights by all threads.
    pub fn write_shared(&self, at: u64, from: &[u32], cores: &Cores) {
        match self.order.whole_rows(at, from.len()) {
            Some((form, first)) => {
                panels::write(&mut self.words_mut(), form, first, from, cores);
            }
            None => self.write(at, from),
        }
    }

    /// Writes words at a word offset, both as the GPU has them.
    pub fn write(&self, at: u64, from: &[u32]) {
        let mut words = self.words_mut();
        self.runs(at, from.len(), |i, to, stride, n| {
            let from = &from[i..i + n];
            if stride == 1 {
                words[to..to + n].copy_from_slice(from);
            } else {
                let to = words[to..].iter_mut().step_by(stride);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Reads words from a word offset, both as the GPU has them.
    pub fn read(&self, at: u64, to: &mut [u32]) {
        let words = self.words();
        self.runs(at, to.len(), |i, from, stride, n| {
            let from = words[from..].iter().step_by(stride);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_in_panels_and_are_written_and_read_as_the_gpu_has_them() {
        for (values, scales) in [(32, 0), (16, 1), (20, 2)] {
            let head = (PAGE * (values + scales)) as usize;
            let description = BufDesc {
                label: "K".into(),
                words: 3 * head as u64,
                role: Role::Keys { values, scales },
            };
            let buffer = CpuBuffer::zeroed(&[description]).unwrap().pop().unwrap();
            let of_gpu: Vec<u32> = (1..).take(3 * head).collect();
            let mut at = 0;
            for run in [7, 64, 1, 300].into_iter().cycle() {
                let to = (at + run).min(of_gpu.len());
                buffer.write(at as u64, &of_gpu[at..to]);
                at = to;
                if at == of_gpu.len() {
                    break;
                }
            }
            let mut back = vec![0; 2 * head];
            buffer.read(5, &mut back);
            assert_eq!(back, of_gpu[5..][..2 * head]);
            // Word 3 of the values of slot 17 of the second head, and the last of its scales.
            let place = |first: u32, each: u32, i: u32| {
                let here = first as usize + SlotOrder::Panels.at(17, each, i);
                let there = first as usize + SlotOrder::Whole.at(17, each, i);
                assert_eq!(buffer.words()[head + here], of_gpu[head + there]);
            };
            place(0, values, 3);
            if scales > 0 {
                place(PAGE * values, scales, scales - 1);
            }
            assert_eq!(
                buffer.words()[head + PANEL * values as usize + 1],
                of_gpu[head + 17 * values as usize]
            );
        }
    }
}
