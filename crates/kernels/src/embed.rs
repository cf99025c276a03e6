//! Embedding rows and the first norm's activation blocks (shaders/embed.wgsl).

use crate::act::{self, ActKind, BLOCK};
use crate::cpu::{Cores, CpuBindings, PANEL, f};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use bytemuck::{Pod, Zeroable};
use chord_quant::{StreamLayout, WeightType, layout, stream_block};

/// `x[row] = table[rows[row].token] * scale`.
#[derive(Clone, Debug)]
pub struct Embed {
    /// Type of the table.
    pub a: WeightType,
    /// Rows of the whole table.
    pub n_vocab: u32,
    /// Rows of it that this step has, from which on: tokens of others are left to other steps.
    pub part: (u32, u32),
    /// Columns in 32-value blocks, padded.
    pub k_blocks: u32,
    /// Factor on the embedding (1 for llama).
    pub scale: f32,
    /// Stored form of the activation blocks.
    pub act_out: ActKind,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    k_blocks: u32,
    n_tiles: u32,
    n_vocab: u32,
    scale: f32,
    first: u32,
    rows: u32,
    pad: [u32; 2],
}

impl Kernel for Embed {
    fn shader(&self) -> Shader {
        let defines = vec![
            define("A", &self.a.name()),
            flag("OUT_Q8", self.act_out == ActKind::Q8),
        ];
        Shader {
            kernel: "embed",
            defines,
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![
            (1, Access::Read),
            (2, Access::Read),
            (3, Access::Read),
            (4, Access::Read),
            (5, Access::ReadWrite),
            (6, Access::ReadWrite),
        ]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            k_blocks: self.k_blocks,
            n_tiles: self.k_blocks,
            n_vocab: self.n_vocab,
            scale: self.scale,
            first: self.part.0,
            rows: self.part.1,
            pad: [0; 2],
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.k_blocks,
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn weight_bytes(&self) -> u64 {
        // Of the parts of a table, one has the token's row.
        if self.part.0 > 0 {
            return 0;
        }
        self.row()
            .map_or(0, |l| 4 * (l.quant_words + l.scale_words) as u64)
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        self.rows(rows, mem, |words, n, token| {
            words[token * n..(token + 1) * n].to_vec()
        });
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, _cores: &Cores) {
        self.rows(rows, mem, |words, n, token| {
            let panel = &words[token / PANEL * n * PANEL..][..n * PANEL];
            let row = panel.iter().skip(token % PANEL).step_by(PANEL);
            row.copied().collect()
        });
    }
}

impl Embed {
    /// The layout of a row.
    fn row(&self) -> Result<StreamLayout, chord_quant::Error> {
        layout(self.a, 1, self.k_blocks as usize * BLOCK)
    }

    /// The first `rows` tokens' rows: `of` finds, in a stream with so many words a row, those of a token's row.
    fn rows(
        &self,
        rows: u32,
        mem: &CpuBindings<'_>,
        of: impl Fn(&[u32], usize, usize) -> Vec<u32>,
    ) {
        let (table_quants, table_scales) = (mem.read(1), mem.read(2));
        let (batch, gamma) = (mem.read(3), mem.read(4));
        let (mut x, mut out) = (mem.write(5), mem.write(6));
        let l = self.row().expect("the plan checked the shape");
        let words = self.act_out.words();
        for r in 0..rows as usize {
            let token = batch[4 * r].min(self.n_vocab - 1);
            let Some(token) = token.checked_sub(self.part.0).filter(|t| *t < self.part.1) else {
                continue;
            };
            let quants = of(&table_quants, l.quant_words_per_row, token as usize);
            let scales = of(&table_scales, l.scale_words_per_row, token as usize);
            for b in 0..self.k_blocks as usize {
                let block = stream_block(self.a, &l, &quants, &scales, 0, b)
                    .expect("the streams fit the layout");
                let values = block.values.map(|v| v * self.scale);
                let at = r * self.k_blocks as usize + b;
                for (x, v) in x[at * BLOCK..].iter_mut().zip(values) {
                    *x = v.to_bits();
                }
                let ssq = values
                    .iter()
                    .map(|v| f64::from(*v) * f64::from(*v))
                    .sum::<f64>() as f32;
                let scaled = std::array::from_fn(|i| values[i] * f(&gamma, b * BLOCK + i));
                act::encode(self.act_out, &scaled, ssq, &mut out[at * words..][..words]);
            }
        }
    }
}
