//! The CPU twin of attention, in f64.

use super::{Attention, Out};
use crate::act::{self, BLOCK};
use crate::cpu::{CpuBindings, f};
use crate::kv::{KvShape, SlotOrder};
use crate::kv_write::{Inputs, write_row};
use crate::rope::{Head, Token};
use std::ops::Range;

/// Where the maximum of scores begins (`LOWEST` in shaders/attention.wgsl): what a split that sees nothing gives.
const LOWEST: f32 = -1.0e30;

/// What a head finds in some pages.
struct Found {
    top: f64,
    /// Of all weights, the sink's included.
    sum: f64,
    /// exp(score - top) of every slot seen.
    weights: Vec<f64>,
    /// Sum of weighted values.
    values: Vec<f64>,
}

/// What a row's heads look at.
struct View<'a> {
    shape: &'a KvShape,
    /// The rotation's tables, and what belongs to the layer's heads.
    rope: &'a [u32],
    store: [(&'a [u32], SlotOrder); 2],
    pages: &'a [(u32, Range<u32>)],
}

impl View<'_> {
    /// `sink` says whether the head's sink takes part.
    fn attend(&self, head: u32, q: &[f64], sink: bool) -> Found {
        let shape = self.shape;
        let kv_head = head / (shape.n_heads / shape.n_kv_heads);
        let slots = || {
            let pages = self.pages.iter();
            pages.flat_map(|(page, seen)| {
                let at = shape.head_at(*page, kv_head);
                seen.clone().map(move |slot| (at, slot))
            })
        };
        let load = |which: usize, (at, slot): (usize, u32), d| {
            let (words, order) = self.store[which];
            f64::from(shape.load_in((&words[at..], order), slot, d))
        };
        let score = |slot| {
            let k = |d| load(0, slot, d);
            let dot: f64 = q.iter().enumerate().map(|(d, q)| q * k(d)).sum();
            let score = dot * f64::from(shape.scale);
            shape.soft_cap.map_or(score, |cap| {
                f64::from(cap) * (score / f64::from(cap)).tanh()
            })
        };
        let scores: Vec<f64> = slots().map(score).collect();
        let sink = (shape.sinks_at.filter(|_| sink))
            .map(|at| f64::from(f(self.rope, (at + head) as usize)));
        let top = scores
            .iter()
            .copied()
            .chain(sink)
            .fold(f64::from(LOWEST), f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
        let value = |d: usize| {
            let weighted = slots().zip(&weights).map(|(slot, w)| w * load(1, slot, d));
            weighted.sum()
        };
        Found {
            top,
            sum: weights.iter().sum::<f64>() + sink.map_or(0.0, |s| (s - top).exp()),
            values: (0..q.len()).map(value).collect(),
            weights,
        }
    }
}

impl Attention {
    pub(super) fn run_twin(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (qkv, rope, batch, table) = (mem.read(1), mem.read(4), mem.read(5), mem.read(6));
        let from = Inputs {
            qkv: &qkv,
            rope: &rope,
            table: &table,
        };
        let orders = [2, 3].map(|binding| mem.slot_order(binding));
        let rows = batch.as_chunks().0.iter().take(rows as usize);
        for (r, row) in rows.enumerate() {
            if self.fused && row[3] != 0 {
                let (mut k, mut v) = (mem.write(2), mem.write(3));
                for head in 0..self.shape.n_kv_heads {
                    let to = [(&mut *k, orders[0]), (&mut *v, orders[1])];
                    write_row(&self.shape, head, r, row, &from, to);
                }
            }
            let (k, v) = (mem.read(2), mem.read(3));
            let view = View {
                shape: &self.shape,
                rope: &rope,
                store: [(&k, orders[0]), (&v, orders[1])],
                pages: &self.shape.seen(row, &table),
            };
            let token = Token::new(&self.shape, &qkv, &rope, r);
            let query = |head| token.rotated(head * self.shape.head_dim, Head::Query, row[1]);
            match self.out {
                Out::Parts(splits) => self.parts(splits, r, row[1], &view, &query, mem),
                Out::Blocks(_) | Out::Rows => self.whole(r, &view, &query, mem),
            }
        }
    }

    fn whole(
        &self,
        r: usize,
        view: &View<'_>,
        query: &dyn Fn(u32) -> Vec<f64>,
        mem: &CpuBindings<'_>,
    ) {
        let mut output = Vec::new();
        for head in 0..self.shape.n_heads {
            let q = query(head);
            let found = view.attend(head, &q, true);
            output.extend(found.values.iter().map(|v| (v / found.sum) as f32));
            if self.tap {
                self.write_tap(r, head, &q, &found, &mut mem.write(8));
            }
        }
        let mut out = mem.write(7);
        let row = r * self.out_stride() as usize;
        match self.out {
            Out::Blocks(kind) => {
                output.resize(output.len().next_multiple_of(BLOCK), 0.0);
                for (i, values) in output.as_chunks::<BLOCK>().0.iter().enumerate() {
                    let at = (row + i) * kind.words();
                    act::encode(kind, values, 0.0, &mut out[at..at + kind.words()]);
                }
            }
            Out::Rows | Out::Parts(_) => {
                for (o, v) in out[row..].iter_mut().zip(&output) {
                    *o = v.to_bits();
                }
            }
        }
    }

    fn parts(
        &self,
        splits: u32,
        r: usize,
        pos: u32,
        view: &View<'_>,
        query: &dyn Fn(u32) -> Vec<f64>,
        mem: &CpuBindings<'_>,
    ) {
        let shape = &self.shape;
        let words = shape.head_dim as usize + 4;
        let row = r * Self::parts_words(shape, splits) as usize;
        let dealt = view.pages.get(shape.first_entry(pos) as usize..);
        let mut out = mem.write(7);
        let parts = out[row..].chunks_exact_mut(shape.n_heads as usize * words);
        for (split, parts) in parts.take(splits as usize).enumerate() {
            let pages: Vec<_> = dealt
                .into_iter()
                .flatten()
                .skip(split)
                .step_by(splits as usize)
                .cloned()
                .collect();
            let view = View {
                pages: &pages,
                ..*view
            };
            for (head, part) in (0..).zip(parts.chunks_exact_mut(words)) {
                let found = view.attend(head, &query(head), split == 0);
                let first = [found.top as f32, found.sum as f32, 0.0, 0.0];
                let values = found.values.iter().map(|v| *v as f32);
                // With no page, no values are written.
                let values = values.take(if pages.is_empty() { 0 } else { words });
                for (out, v) in part.iter_mut().zip(first.into_iter().chain(values)) {
                    *out = v.to_bits();
                }
            }
        }
    }

    fn write_tap(&self, r: usize, head: u32, q: &[f64], found: &Found, tap: &mut [u32]) {
        let (dim, head) = (self.shape.head_dim as usize, head as usize);
        let at = r * self.tap_stride() as usize;
        for (d, q) in q.iter().enumerate() {
            tap[at + head * dim + d] = (*q as f32).to_bits();
        }
        let weights = || found.weights.iter().map(|w| w / found.sum);
        let entropy: f64 = weights().filter(|w| *w > 0.0).map(|w| -w * w.ln()).sum();
        let stats = [weights().sum(), weights().fold(0.0, f64::max), entropy];
        for (i, s) in stats.iter().enumerate() {
            tap[at + self.shape.n_heads as usize * dim + head * 3 + i] = (*s as f32).to_bits();
        }
    }
}
