//! Weights in panels of rows: of 32 rows their first vec4 (or word), then their second. Threads of a workgroup, which have a row each, read
//! so what lies together, and memory in one run: row by row, each thread waits for a line of the cache of its own.

use crate::matmul::TILE;
use crate::op::Role;

/// Rows of a panel, as in shaders/shared/in_row.wgsl.
const PANEL: usize = TILE as usize;

/// The form of a buffer of weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panels {
    row_words: usize,
    rows: usize,
    unit: usize,
}

impl Panels {
    /// The form of a buffer of `words` words, if it holds any weights.
    pub(super) fn of(role: Role, words: u64) -> Option<Self> {
        let Role::Weights {
            row_words, unit, ..
        } = role
        else {
            return None;
        };
        let row_words = row_words as usize;
        let rows = usize::try_from(words).ok()?.checked_div(row_words)?;
        Some(Self {
            row_words,
            rows,
            unit: unit as usize,
        })
    }

    /// Words it takes: whole panels.
    pub(super) fn words(self) -> u64 {
        self.rows.next_multiple_of(PANEL) as u64 * self.row_words as u64
    }

    /// Calls `put` with what goes where of whole rows that are written at a word offset as if there were no panels.
    pub(super) fn write(self, at: u64, words: &[u32], mut put: impl FnMut(u64, &[u32])) {
        let first = usize::try_from(at).unwrap_or(usize::MAX) / self.row_words;
        let end = first + words.len() / self.row_words;
        let mut panels = Vec::with_capacity(words.len().next_multiple_of(PANEL * self.row_words));
        let mut row = first;
        while row < end {
            let (panel, within) = (row / PANEL, row % PANEL);
            let rows = (PANEL - within).min(end - row);
            let from = &words[(row - first) * self.row_words..][..rows * self.row_words];
            let start = panel * PANEL * self.row_words;
            // Whatever is behind the last row is never read.
            if within == 0 && (rows == PANEL || end == self.rows) {
                let filled = panels.len();
                panels.resize(filled + PANEL * self.row_words, 0);
                self.turn(from, PANEL, &mut panels[filled..]);
            } else {
                let mut runs = vec![0; from.len()];
                self.turn(from, rows, &mut runs);
                for (i, run) in runs.chunks_exact(rows * self.unit).enumerate() {
                    put((start + (i * PANEL + within) * self.unit) as u64, run);
                }
            }
            row += rows;
        }
        let whole = first.next_multiple_of(PANEL) * self.row_words;
        if !panels.is_empty() {
            put(whole as u64, &panels);
        }
    }

    /// Writes rows unit by unit, `width` rows of each.
    fn turn(self, rows: &[u32], width: usize, to: &mut [u32]) {
        for (r, row) in rows.chunks_exact(self.row_words).enumerate() {
            for (i, unit) in row.chunks_exact(self.unit).enumerate() {
                to[(i * width + r) * self.unit..][..self.unit].copy_from_slice(unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies where after the rows up to each of `ends` were written; word `i` is i + 1.
    fn written(panels: Panels, ends: &[usize]) -> Vec<u32> {
        let mut memory = vec![0; panels.words() as usize];
        let mut from = 0;
        for end in ends {
            let to = end * panels.row_words;
            let words: Vec<u32> = (from..to).map(|i| 1 + i as u32).collect();
            panels.write(from as u64, &words, |at, words| {
                memory[at as usize..][..words.len()].copy_from_slice(words);
            });
            from = to;
        }
        memory
    }

    #[test]
    fn every_word_is_where_the_shader_looks() {
        for (unit, row_words, rows) in [(4, 12, 100), (1, 5, 70), (4, 4, 31), (1, 1, 64)] {
            let role = Role::Weights {
                row_words,
                rows,
                unit,
            };
            let (row_words, unit, rows) = (row_words as usize, unit as usize, rows as usize);
            let panels = Panels::of(role, (rows * row_words) as u64).unwrap();
            for cuts in [[0, 0], [0, 1], [7, 27], [0, 32], [3, 64]] {
                let cuts = cuts.into_iter().filter(|cut| *cut < rows);
                let ends: Vec<usize> = cuts.chain([rows]).collect();
                let memory = written(panels, &ends);
                for row in 0..rows {
                    for i in 0..row_words / unit {
                        // in_row(row, per_row, i)
                        let at = (row & !31) * (row_words / unit) + i * 32 + (row & 31);
                        let word = 1 + (row * row_words + i * unit) as u32;
                        assert_eq!(memory[at * unit], word, "{ends:?} {row} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_weight_has_no_panels() {
        assert!(Panels::of(Role::Storage, 64).is_none());
        let none = Role::Weights {
            row_words: 0,
            rows: 8,
            unit: 1,
        };
        assert!(Panels::of(none, 0).is_none());
    }
}
