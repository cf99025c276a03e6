//! What attention reads of the store, counted as its workgroups read it.

use super::Attention;
use crate::kv::PAGE;
use std::ops::Range;

impl Attention {
    /// Bytes of K and V that rows at `positions` read: a KV head's once for each workgroup that shares its query heads.
    pub(super) fn kv_read(&self, positions: Range<u32>) -> u64 {
        let s = &self.shape;
        let slot = 2 * 4 * s.kv.words(u64::from(s.n_kv_heads * s.head_dim));
        let ring = s.seq_pages * PAGE;
        let held = |pos: u32| {
            if pos < ring {
                pos + 1
            } else {
                ring - PAGE + pos % PAGE + 1
            }
        };
        let seen = |pos: u32| u64::from(held(pos).min(s.window.unwrap_or(u32::MAX)));
        let slots: u64 = positions.map(seen).sum();
        slots * slot * u64::from(Self::subgroups(s))
    }
}
