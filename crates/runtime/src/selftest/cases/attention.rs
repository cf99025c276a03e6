//! Attention, and what writes keys and values for it.

use super::Cases;
use crate::selftest::small::{POSITIONS, SEQ_PAGES, SPLITS};
use crate::selftest::{Check, Form, Part};
use chord_kernels::act::BLOCK;
use chord_kernels::attention::{Attention, AttentionReduce, Out};
use chord_kernels::kv_write::KvWrite;
use chord_kernels::op::{BufId, Role, Step};
use chord_kernels::{KvShape, PAGE};

impl Cases {
    /// Bindings 1 to 6 of the attention kernels: rows of different sequences in the middle of their second page, because a
    /// decoding step may not see what another row writes; or, where a workgroup has several rows, of one.
    fn attention_inputs(&mut self, shape: &KvShape, cols: u32) -> Vec<(u32, BufId)> {
        let n_rows = self.tokens.next_multiple_of(cols);
        let qkv = self.floats((n_rows * shape.qkv_stride) as usize);
        let pages = self.tokens * SEQ_PAGES;
        let mut store = |role: Role| {
            let heads = (0..pages).flat_map(|page| (0..shape.n_kv_heads).map(move |h| (page, h)));
            let mut words = vec![0; shape.head_at(pages, 0)];
            for ((page, head), slot) in heads.flat_map(|at| (0..PAGE).map(move |slot| (at, slot))) {
                let values = self.rng.floats(shape.head_dim as usize);
                let values: Vec<f32> = values.into_iter().map(f32::from_bits).collect();
                shape.store(&mut words, page, head, slot, &values);
            }
            self.buffer_as(role, words)
        };
        let (k, v) = (store(shape.key_role()), store(Role::Storage));
        // The strides' table is one entry: no position reaches 256.
        let tables = (POSITIONS + 1) * shape.rope_dim;
        let of_layer = shape.qkv_stride + 2 * shape.head_dim + shape.n_heads;
        let rope = self.floats((tables + of_layer) as usize);
        let row = |r| match cols {
            1 => [0, PAGE + (1 + 7 * r) % PAGE, SEQ_PAGES * r, 1],
            _ => [0, PAGE + 6 + r, 0, u32::from(r < self.tokens)],
        };
        let rows = (0..n_rows).flat_map(row).collect();
        let rows = self.buffer(rows);
        let table = self.buffer((0..self.tokens * SEQ_PAGES).rev().collect());
        vec![(1, qkv), (2, k), (3, v), (4, rope), (5, rows), (6, table)]
    }

    pub(super) fn kv_write(&mut self, kernel: KvWrite) {
        let bind = self.attention_inputs(&kernel.shape, 1);
        let form = Form::Kv(kernel.shape);
        self.checks.push(Check {
            rows: self.tokens,
            results: vec![(bind[1].1, form), (bind[2].1, form)],
            step: Step::new("KV write", kernel, bind),
            part: Part::Other,
        });
    }

    pub(super) fn attention(&mut self, kernel: Attention) {
        let mut bind = self.attention_inputs(&kernel.shape, kernel.cols);
        let blocks = (kernel.shape.n_heads * kernel.shape.head_dim).div_ceil(BLOCK as u32) as usize;
        let parts = |splits| Attention::parts_words(&kernel.shape, splits) as usize;
        let (words, form) = match kernel.out {
            Out::Blocks(kind) => (blocks * kind.words(), Form::Blocks(kind)),
            Out::Rows => (blocks * BLOCK, Form::F32),
            Out::Parts(n) => (parts(n), Form::Parts(kernel.shape.head_dim as usize + 4)),
        };
        let out = self.zeros(self.tokens().next_multiple_of(kernel.cols as usize) * words);
        let mut results = vec![(out, form)];
        if kernel.fused {
            let form = Form::Kv(kernel.shape);
            results.extend([(bind[1].1, form), (bind[2].1, form)]);
        }
        bind.push((7, out));
        if kernel.tap {
            let tap = self.zeros(self.tokens() * kernel.tap_stride() as usize);
            bind.push((8, tap));
        }
        let (name, part) = match (kernel.out, kernel.fused) {
            (Out::Parts(_), _) => ("attention in splits", Part::Split),
            (_, true) => ("attention of one token", Part::Other),
            (_, false) => ("attention of a batch", Part::Other),
        };
        self.checks.push(Check {
            rows: self.tokens,
            step: Step::new(name, kernel, bind),
            results,
            part,
        });
    }

    /// Of every row's splits the last one found nothing.
    pub(super) fn attention_reduce(&mut self, kernel: AttentionReduce) {
        let shape = kernel.shape;
        let mut words = Vec::new();
        for split in (0..self.tokens * SPLITS).map(|i| i % SPLITS) {
            for _ in 0..shape.n_heads {
                let found = split + 1 < SPLITS;
                let sum = if found { 1.5 + self.rng.float() } else { 0.0 };
                words.extend([self.rng.float().to_bits(), sum.to_bits(), 0, 0]);
                words.extend(self.rng.floats(shape.head_dim as usize));
            }
        }
        let parts = self.buffer(words);
        let blocks = (shape.n_heads * shape.head_dim).div_ceil(BLOCK as u32) as usize;
        let out = self.zeros(self.tokens() * blocks * kernel.act_out.words());
        self.checks.push(Check {
            rows: self.tokens,
            results: vec![(out, Form::Blocks(kernel.act_out))],
            step: Step::new(
                "what splits of attention found",
                kernel,
                vec![(1, parts), (2, out)],
            ),
            part: Part::Split,
        });
    }
}
