//! Shape of the KV store, shared by the kernels that write and read it.

mod format;

use crate::op::Role;
use crate::shaders::{define, flag};
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

pub use format::{KvType, SCALED, SlotOrder};

/// Slots (tokens) of a page.
pub const PAGE: u32 = 32;

/// A row of the batch: token, position, where its sequence's page table starts, whether its K and V are written.
pub(crate) type Row = [u32; 4];

/// What attention and the KV writer must know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvShape {
    /// Query heads.
    pub n_heads: u32,
    /// KV heads; divides `n_heads`.
    pub n_kv_heads: u32,
    /// Values of a head; a multiple of 4.
    pub head_dim: u32,
    /// Rotated values of a head; even.
    pub rope_dim: u32,
    /// Pairs are `(i, i + rope_dim/2)` instead of `(2i, 2i+1)`.
    pub neox: bool,
    /// First entry of the RoPE table within the RoPE buffer (entries are `(cos, sin)`): models with windows have two.
    pub rope_lo: u32,
    /// First entry of that table's 256-position strides.
    pub rope_hi: u32,
    /// f32 per token of `q|k|v`.
    pub qkv_stride: u32,
    /// First K value of a token.
    pub k_off: u32,
    /// First V value of a token.
    pub v_off: u32,
    /// Pages a sequence may hold.
    pub seq_pages: u32,
    /// First pages, never recycled.
    pub sink_pages: u32,
    /// Storage format.
    pub kv: KvType,
    /// Factor on q·k.
    pub scale: f32,
    /// Of q, k and v: where their biases start in the RoPE buffer, as f32; `qkv_stride` of them.
    pub bias_at: Option<u32>,
    /// Epsilon of an RMS norm over each head of q and of k before the rotation, and where its weights start in the RoPE
    /// buffer: `head_dim` for q, then for k.
    pub qk_norm: Option<(f32, u32)>,
    /// A row at `pos` sees the positions above `pos - window` only.
    pub window: Option<u32>,
    /// Scores become `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// Attention sinks: where the RoPE buffer has a score per query head that takes part in the softmax and has no value.
    pub sinks_at: Option<u32>,
}

/// The uniform of `kv_write` and `attention` (`Params` in shaders/shared/kv_params.wgsl).
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct KvParams {
    n_heads: u32,
    n_kv_heads: u32,
    head_quads: u32,
    rope_dim: u32,
    rope_hi: u32,
    qkv_stride: u32,
    k_off: u32,
    v_off: u32,
    seq_pages: u32,
    sink_pages: u32,
    scale: f32,
    act_blocks: u32,
    tap_stride: u32,
    bias_at: u32,
    gamma_at: u32,
    norm_eps: f32,
    rope_lo: u32,
    window: u32,
    soft_cap: f32,
    sinks_at: u32,
    splits: u32,
}

impl KvShape {
    pub(crate) fn params(&self, act_blocks: u32, tap_stride: u32, splits: u32) -> KvParams {
        let (norm_eps, gamma_at) = self.qk_norm.unwrap_or_default();
        KvParams {
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_quads: self.head_dim / 4,
            rope_dim: self.rope_dim,
            rope_hi: self.rope_hi,
            qkv_stride: self.qkv_stride,
            k_off: self.k_off,
            v_off: self.v_off,
            seq_pages: self.seq_pages,
            sink_pages: self.sink_pages,
            scale: self.scale,
            act_blocks,
            tap_stride,
            bias_at: self.bias_at.unwrap_or_default(),
            gamma_at,
            norm_eps,
            rope_lo: self.rope_lo,
            window: self.window.unwrap_or_default(),
            soft_cap: self.soft_cap.unwrap_or_default(),
            sinks_at: self.sinks_at.unwrap_or_default(),
            splits,
        }
    }

    pub(crate) fn defines(&self) -> Vec<(String, String)> {
        let ty = match self.kv {
            KvType::F16 => "vec2<u32>",
            KvType::F32 => "vec4<f32>",
            KvType::Q8_0 => "u32",
        };
        vec![
            flag("KV_F16", self.kv == KvType::F16),
            flag("KV_Q8", self.kv == KvType::Q8_0),
            define("KV_TYPE", &ty),
            define("KV_SCALES", &self.kv.scale_words(self.head_dim)),
            define("HEAD_QUADS", &(self.head_dim / 4)),
            flag("NEOX", self.neox),
            flag("BIAS", self.bias_at.is_some()),
            flag("QK_NORM", self.qk_norm.is_some()),
            flag(
                "OF_LAYER",
                self.bias_at.is_some() || self.qk_norm.is_some() || self.sinks_at.is_some(),
            ),
        ]
    }

    /// Defines of what only attention does.
    pub(crate) fn attention_defines(&self) -> Vec<(String, String)> {
        vec![
            flag("WINDOW", self.window.is_some()),
            flag("SOFT_CAP", self.soft_cap.is_some()),
            flag("SINKS", self.sinks_at.is_some()),
        ]
    }

    /// Logical page behind the i-th entry of the table, for a row at `pos`.
    #[must_use]
    pub fn logical(&self, entry: u32, pos: u32) -> u32 {
        let current = pos / PAGE;
        if current < self.seq_pages || entry < self.sink_pages {
            return entry;
        }
        let ring = self.seq_pages - self.sink_pages;
        current - (self.ring_index(current) + ring - entry) % ring
    }

    /// First position that a row at `pos` sees.
    #[must_use]
    pub fn first_visible(&self, pos: u32) -> u32 {
        self.window
            .map_or(0, |window| (pos + 1).saturating_sub(window))
    }

    /// First entry of the table that a row at `pos` looks at: the pages before a window are left out, but not in a wrapped ring,
    /// where they may lie anywhere.
    #[must_use]
    pub fn first_entry(&self, pos: u32) -> u32 {
        if pos / PAGE < self.seq_pages {
            self.first_visible(pos) / PAGE
        } else {
            0
        }
    }

    /// Table index of a sequence's logical page: the ring of non-sink pages starts after the sinks.
    #[must_use]
    pub fn ring_index(&self, page: u32) -> u32 {
        if page < self.seq_pages {
            page
        } else {
            self.sink_pages + (page - self.sink_pages) % (self.seq_pages - self.sink_pages)
        }
    }

    /// Page and slot of a row's own token.
    pub(crate) fn place(&self, row: &Row, table: &[u32]) -> (u32, u32) {
        let [_, pos, table_at, _] = *row;
        let page = table[(table_at + self.ring_index(pos / PAGE)) as usize];
        (page, pos % PAGE)
    }

    /// Pages and slots of them that a row sees, in the order of its table; a page out of its window has none.
    pub(crate) fn seen(&self, row: &Row, table: &[u32]) -> Vec<(u32, Range<u32>)> {
        let [_, pos, table_at, _] = *row;
        let current = self.ring_index(pos / PAGE);
        (0..(pos / PAGE + 1).min(self.seq_pages))
            .map(|i| {
                let start = self.logical(i, pos) * PAGE;
                let first = self.first_visible(pos).saturating_sub(start).min(PAGE);
                let end = if i == current { pos % PAGE + 1 } else { PAGE };
                (table[(table_at + i) as usize], first..end)
            })
            .collect()
    }

    /// How many slots rows at these positions see together: what [`KvShape::seen`] finds for any of them. In a ring that has gone
    /// round they share a page.
    pub(crate) fn seen_slots(&self, positions: Range<u32>) -> u32 {
        let Some(last) = positions.clone().last() else {
            return 0;
        };
        let first = self.first_visible(positions.start);
        let page = last / PAGE;
        if page < self.seq_pages {
            return last + 1 - first;
        }
        let oldest = (page + 1 - (self.seq_pages - self.sink_pages)) * PAGE;
        last + 1 - first.max(oldest) + (self.sink_pages * PAGE).saturating_sub(first)
    }

    /// Words of one slot's head in a K or V buffer.
    #[must_use]
    pub fn head_words(&self) -> u32 {
        self.kv.head_words(self.head_dim)
    }

    /// First word of a page's KV head: `[page, kv_head]`, and within it what [`KvType::spans`] says.
    #[must_use]
    pub fn head_at(&self, page: u32, kv_head: u32) -> usize {
        ((page * self.n_kv_heads + kv_head) * PAGE * self.head_words()) as usize
    }

    /// What a buffer of keys is.
    #[must_use]
    pub fn key_role(&self) -> Role {
        Role::Keys {
            values: self.kv.value_words(self.head_dim),
            scales: self.kv.scale_words(self.head_dim),
        }
    }

    /// Value `d` of a slot, of the words of a page's KV head as the GPU has it.
    #[must_use]
    pub fn load(&self, head: &[u32], slot: u32, d: usize) -> f32 {
        self.load_in((head, SlotOrder::Whole), slot, d)
    }

    /// The same of words in an order.
    pub(crate) fn load_in(&self, head: (&[u32], SlotOrder), slot: u32, d: usize) -> f32 {
        self.kv.load(head, self.head_dim, slot, d as u32)
    }

    /// Every value of whole KV heads of pages, slot by slot.
    pub fn values<'a>(&self, words: &'a [u32]) -> impl Iterator<Item = f32> + use<'a> {
        let shape = *self;
        let heads = words.chunks_exact((PAGE * shape.head_words()) as usize);
        heads.flat_map(move |head| {
            let slots = 0..PAGE;
            slots.flat_map(move |slot| {
                (0..shape.head_dim as usize).map(move |d| shape.load(head, slot, d))
            })
        })
    }

    /// Writes the values of a slot's head into a K or V buffer as the GPU has it.
    pub fn store(&self, words: &mut [u32], page: u32, kv_head: u32, slot: u32, head: &[f32]) {
        self.store_in((words, SlotOrder::Whole), [page, kv_head, slot], head);
    }

    /// The same, of (page, KV head, slot), into words in an order.
    pub(crate) fn store_in(&self, to: (&mut [u32], SlotOrder), place: [u32; 3], head: &[f32]) {
        let mut encoded = vec![0; self.head_words() as usize];
        self.kv.encode(head, &mut encoded);
        self.put_in(to, place, &encoded);
    }

    /// The same of what [`KvType::encode`] made of it.
    pub(crate) fn put_in(
        &self,
        (words, order): (&mut [u32], SlotOrder),
        [page, kv_head, slot]: [u32; 3],
        encoded: &[u32],
    ) {
        let at = self.head_at(page, kv_head);
        (self.kv).put((&mut words[at..], order), self.head_dim, slot, encoded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variants::shape;
    use std::collections::BTreeSet;

    #[test]
    fn as_many_slots_are_counted_as_are_seen() {
        for (seq_pages, sink_pages) in [(8, 0), (3, 0), (4, 1), (5, 2)] {
            for window in [None, Some(1), Some(40), Some(100), Some(500)] {
                let shape = KvShape {
                    seq_pages,
                    sink_pages,
                    window,
                    ..shape(1, 1, 4, KvType::F32)
                };
                let table: Vec<u32> = (0..seq_pages).collect();
                for (pos, n) in (0..256).flat_map(|pos| [(pos, 1), (pos, 4), (pos, 8)]) {
                    let rows = pos..pos + n;
                    if (pos + n - 1) / PAGE >= seq_pages && pos / PAGE != (pos + n - 1) / PAGE {
                        continue;
                    }
                    let seen = rows
                        .clone()
                        .flat_map(|pos| shape.seen(&[0, pos, 0, 0], &table));
                    let slots = seen.flat_map(|(page, s)| s.map(move |slot| (page, slot)));
                    let slots: BTreeSet<_> = slots.collect();
                    assert_eq!(
                        shape.seen_slots(rows) as usize,
                        slots.len(),
                        "{shape:?} at {pos}, {n} rows"
                    );
                }
            }
        }
    }
}
