//! Rows of weights turned into panels: of 16 rows their first word, then their second.

use super::Cores;
use chord_simd::PANEL;

/// Words that a thread turns before it looks for more.
const SHARE: usize = 32 << 10;

/// Some rows, from row `first` of their panel on, and the panel.
struct Turn<'a> {
    rows: &'a [u32],
    first: usize,
    panel: &'a mut [u32],
}

/// Writes whole rows, from row `first` on, of matrices of `rows` rows of `row_words` words; in `panels` each matrix is padded to whole
/// panels. All threads share in it.
pub(super) fn write(
    panels: &mut [u32],
    (row_words, rows): (usize, usize),
    first: usize,
    words: &[u32],
    cores: &Cores,
) {
    let of_matrix = rows.div_ceil(PANEL);
    let mut row = first % rows;
    let first = first / rows * of_matrix + row / PANEL;
    let mut from = words;
    let mut turns = Vec::with_capacity(words.len() / (PANEL * row_words) + 2);
    for panel in panels.chunks_exact_mut(PANEL * row_words).skip(first) {
        if from.is_empty() {
            break;
        }
        let first = row % PANEL;
        let wanted = (PANEL - first).min(rows - row) * row_words;
        let (rows_here, rest) = from.split_at(wanted.min(from.len()));
        turns.push(Turn {
            rows: rows_here,
            first,
            panel,
        });
        from = rest;
        row += PANEL - first;
        if row >= rows {
            row = 0;
        }
    }
    let share = (SHARE / (PANEL * row_words)).max(1);
    cores.each(turns.chunks_mut(share).collect(), |turns| {
        turns.iter_mut().for_each(|turn| turn.run(row_words));
    });
}

impl Turn<'_> {
    fn run(&mut self, row_words: usize) {
        let whole = match self.rows.len() == PANEL * row_words {
            true => row_words - row_words % PANEL,
            false => 0,
        };
        // Block by block: word by word along a row, each line of a panel would be written 16 times.
        let blocks = self.panel.as_chunks_mut::<PANEL>().0;
        for (i, to) in blocks[..whole].chunks_exact_mut(PANEL).enumerate() {
            let mut block = [[0; PANEL]; PANEL];
            for (block, row) in block.iter_mut().zip(self.rows.chunks_exact(row_words)) {
                block.copy_from_slice(&row[i * PANEL..][..PANEL]);
            }
            for (w, to) in to.iter_mut().enumerate() {
                *to = std::array::from_fn(|r| block[r][w]);
            }
        }
        for (r, row) in self.rows.chunks_exact(row_words).enumerate() {
            for (to, word) in blocks.iter_mut().zip(row).skip(whole) {
                to[self.first + r] = *word;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cpu::{Cores, CpuBuffer};
    use crate::op::{BufDesc, Role};
    use chord_simd::Level;

    #[test]
    fn rows_lie_where_single_words_would() {
        let cores = Cores::new(Level::best(), Some(3)).unwrap();
        // Several blocks and a rest, less than a block, matrices that end within a panel, less than a panel.
        for (row_words, rows, matrices) in [(40, 100, 1), (5, 64, 1), (32, 20, 3), (16, 7, 2)] {
            let description = BufDesc {
                label: "weights".into(),
                words: (row_words * rows * matrices) as u64,
                role: Role::Weights {
                    row_words: row_words as u32,
                    rows: rows as u32,
                    unit: 1,
                },
            };
            let twice = [description.clone(), description];
            let [by_rows, by_words] = &CpuBuffer::zeroed(&twice).unwrap()[..] else {
                panic!("two were asked for");
            };
            let words: Vec<u32> = (1..).take(row_words * rows * matrices).collect();
            for (i, word) in words.iter().enumerate() {
                by_words.write(i as u64, &[*word]);
            }
            let mut at = 0;
            for run in [3, 13, 16, 32, 21].into_iter().cycle() {
                let to = (at + run * row_words).min(words.len());
                by_rows.write_shared(at as u64, &words[at..to], &cores);
                at = to;
                if at == words.len() {
                    break;
                }
            }
            assert!(*by_rows.words() == *by_words.words(), "{row_words} {rows}");
        }
    }
}
