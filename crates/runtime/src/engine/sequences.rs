//! What the pages hold, kept true on both sides: page edits, reuse of prefixes, rewinding.

use super::Engine;
use chord_kernels::device::Copy;
use chord_kernels::{KvType, PAGE};
use chord_model::{Edit, SeqId};

impl Engine {
    /// Makes page table and page copies true on the device.
    pub(super) fn apply(&self, edits: &[Edit]) {
        let ids = &self.p.plan.ids;
        let page = self.buffer(ids.page);
        let words = ids.page_words;
        let mut copies = Vec::new();
        for edit in edits {
            match *edit {
                Edit::Table { index, page } => {
                    self.p
                        .device
                        .write(self.buffer(ids.table), index.into(), &[page]);
                }
                Edit::CopyPage { from, to } => {
                    for id in ids.kv.iter().flat_map(|(k, v)| [*k, *v]) {
                        let store = self.buffer(id);
                        copies.push(Copy::new(store, u64::from(from) * words, page, 0, words));
                        copies.push(Copy::new(page, 0, store, u64::from(to) * words, words));
                    }
                }
            }
        }
        if !copies.is_empty() {
            self.p.device.run(std::iter::empty(), 0, &copies);
        }
    }

    /// Tokens whose K and V a sequence's pages hold.
    pub(crate) fn log(&self, id: SeqId) -> &[u32] {
        self.logs.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Cuts a sequence to its first `length` tokens. Where the ring has forgotten what those saw, they are forgotten too
    /// and must be computed again: returns how many are left.
    pub(crate) fn rewind(&mut self, id: SeqId, length: u32) -> u32 {
        let kept = if self.p.kv.can_rewind(id, length) {
            self.p.kv.rewind(id, length);
            length
        } else {
            self.p.kv.reset(id);
            0
        };
        self.logs.entry(id).or_default().truncate(kept as usize);
        kept
    }

    /// Gives sequence `to` what it can share of `tokens`: keeps its own longest common prefix, or takes another
    /// sequence's where that is at least a page longer. Returns the tokens it then holds; never all of `tokens`, since the last
    /// one's logits are wanted.
    pub(crate) fn reuse(&mut self, to: SeqId, tokens: &[u32]) -> u32 {
        let limit = tokens.len().saturating_sub(1);
        let common = |log: &[u32]| {
            log.iter()
                .zip(&tokens[..limit])
                .take_while(|(a, b)| a == b)
                .count() as u32
        };
        let own = self.logs.get(&to).map_or(0, |log| common(log));
        let others = self.logs.iter().filter(|(id, _)| **id != to);
        // Of equals always the same one: their bits may differ, and a run must repeat.
        let best = others
            .map(|(id, log)| (common(log), *id))
            .filter(|(n, id)| self.p.kv.can_share(*id, *n))
            .max();
        match best {
            Some((n, from)) if n >= own + PAGE => {
                self.p.kv.reset(to);
                let edits = self.p.kv.share(from, to, n);
                self.apply(&edits);
                self.logs.insert(to, tokens[..n as usize].to_vec());
                n
            }
            _ => self.rewind(to, own),
        }
    }

    /// A test aid: overwrites with NaN every KV slot that no open session can still see, so that reading one shows.
    /// Returns how many slots that is.
    #[doc(hidden)]
    pub fn poison_unused_kv(&mut self) -> u32 {
        let shape = self.p.plan.kv_shape;
        // Quiet NaN as f32 and as two f16, values or scales.
        let nan = match shape.kv {
            KvType::F32 => f32::NAN.to_bits(),
            KvType::F16 | KvType::Q8_0 => 0x7e00_7e00,
        };
        let mut poisoned = 0;
        for (page, held) in (0..).zip(self.p.kv.held_slots()) {
            poisoned += PAGE - held;
            for head in 0..shape.n_kv_heads {
                let first = shape.head_at(page, head);
                for span in shape.kv.spans(shape.head_dim, held..PAGE) {
                    let at = (first + span.start) as u64;
                    let values = vec![nan; span.len()];
                    for id in self.p.plan.ids.kv.iter().flat_map(|(k, v)| [*k, *v]) {
                        self.p.device.write(self.buffer(id), at, &values);
                    }
                }
            }
        }
        poisoned
    }

    /// Forgets every token of a sequence.
    pub(crate) fn forget(&mut self, id: SeqId) {
        self.p.kv.reset(id);
        self.logs.insert(id, Vec::new());
    }
}
