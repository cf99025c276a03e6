//! Attention on the CPU: the heads of all rows by whichever thread is free, a head's scores and then its values in vectors.

use super::attend::Attend;
use super::{Attention, Out};
use crate::act::{ActKind, BLOCK};
use crate::cpu::tiles::{encode, split};
use crate::cpu::{Cores, CpuBindings, f};
use crate::kv::Row;
use crate::kv_write::write_rows;
use crate::rope::{Head, Token};
use chord_simd::{Isa, Op};

impl Attention {
    pub(super) fn run_fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let act_out = match self.out {
            Out::Blocks(kind) if !self.tap => Some(kind),
            Out::Rows if !self.tap => None,
            // A trace, of the twin's own figures; and what no plan has for the CPU, whose threads share heads and rows.
            _ => return self.run_twin(rows, mem),
        };
        let shape = &self.shape;
        if self.fused {
            write_rows(shape, rows, mem);
        }
        let (qkv, k, v, rope) = (mem.read(1), mem.read(2), mem.read(3), mem.read(4));
        let (batch, table) = (mem.read(5), mem.read(6));
        let dim = shape.head_dim as usize;
        // Heads that fill whole blocks together.
        let (heads, words) = match act_out {
            None => (1, dim),
            Some(kind) => {
                let heads = (1..).find(|n| (n * dim).is_multiple_of(BLOCK)).unwrap_or(1);
                (heads, heads * dim / BLOCK * kind.words())
            }
        };
        let tiles = (shape.n_heads as usize).div_ceil(heads);
        let stride = self.out_stride() as usize * act_out.map_or(1, |kind| kind.words());
        let rows = rows as usize;
        let batch: &[Row] = &batch.as_chunks().0[..rows];
        let seen: Vec<_> = batch
            .iter()
            .map(|row| {
                let mut seen = shape.seen(row, &table);
                seen.retain(|(_, slots)| !slots.is_empty());
                seen
            })
            .collect();
        let mut out = mem.write(7);
        let mut outs = split(&mut out, (0, stride, tiles * words), (rows, words, tiles));
        let items: Vec<_> = outs.iter_mut().enumerate().collect();
        cores.each(items, |(i, out)| {
            let (tile, r) = (i / rows, i % rows);
            let token = Token::new(shape, &qkv, &rope, r);
            let pos = batch[r][1];
            let mut result = vec![0.0; heads * dim];
            for (h, result) in result.chunks_exact_mut(dim).enumerate() {
                let head = (tile * heads + h) as u32;
                let mut q = vec![0.0; dim];
                token.rotate_into(head * shape.head_dim, Head::Query, pos, &mut q);
                for q in &mut q {
                    *q *= shape.scale;
                }
                let sink = shape.sinks_at.map(|at| f(&rope, (at + head) as usize));
                cores.level().run(Attend {
                    shape,
                    kv_head: head / (shape.n_heads / shape.n_kv_heads),
                    q: &q,
                    sink,
                    seen: &seen[r],
                    store: [&k, &v],
                    out: result,
                });
            }
            match act_out {
                None => {
                    for (o, v) in out.iter_mut().zip(result) {
                        *o = v.to_bits();
                    }
                }
                Some(kind) => {
                    let blocks = result.as_chunks::<BLOCK>().0;
                    for (values, out) in blocks.iter().zip(out.chunks_exact_mut(kind.words())) {
                        cores.level().run(Encode { kind, values, out });
                    }
                }
            }
        });
    }
}

struct Encode<'a> {
    kind: ActKind,
    values: &'a [f32; BLOCK],
    out: &'a mut [u32],
}

impl Op for Encode<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        encode(isa, self.kind, self.values, 0.0, self.out);
    }
}
