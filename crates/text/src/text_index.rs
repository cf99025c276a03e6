//! Ids by token text, over texts that are kept elsewhere: a `HashMap` would keep a second copy of each, in a block of its
//! own, which is most of the time and memory that a vocabulary of 262,144 tokens costs.

use std::hash::{BuildHasher, RandomState};

/// Open addressing, at most half full. The hash is seeded: no vocabulary is made of collisions.
#[derive(Debug)]
pub(crate) struct TextIndex {
    /// A part of the text's hash, and its id plus one; 0 is free.
    slots: Vec<(u32, u32)>,
    hasher: RandomState,
}

/// Where a text is, or the free slot for it.
enum Place {
    Taken(u32),
    Free { slot: usize, tag: u32 },
}

impl TextIndex {
    /// Room for `n` texts.
    pub(crate) fn new(n: usize) -> Self {
        Self {
            slots: vec![(0, 0); n.saturating_mul(2).max(2).next_power_of_two()],
            hasher: RandomState::new(),
        }
    }

    /// The id of `text`; `text_of` gives the text of every id inserted so far.
    pub(crate) fn get<'a>(
        &self,
        text: &[u8],
        text_of: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Option<u32> {
        match self.place(text, text_of)? {
            Place::Taken(id) => Some(id),
            Place::Free { .. } => None,
        }
    }

    /// Inserts a text; where it is already there, nothing changes and the answer is its id.
    pub(crate) fn insert<'a>(
        &mut self,
        text: &[u8],
        id: u32,
        text_of: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Option<u32> {
        match self.place(text, text_of)? {
            Place::Taken(first) => Some(first),
            Place::Free { slot, tag } => {
                *self.slots.get_mut(slot)? = (tag, id.checked_add(1)?);
                None
            }
        }
    }

    fn place<'a>(&self, text: &[u8], text_of: impl Fn(u32) -> Option<&'a [u8]>) -> Option<Place> {
        let [a, b, c, d, e, f, g, h] = self.hasher.hash_one(text).to_le_bytes();
        let (tag, start) = (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        // The length is a power of two; the low half of the hash would repeat the tag.
        let mask = self.slots.len() - 1;
        let start = usize::try_from(start).ok()?;
        for step in 0..self.slots.len() {
            let slot = start.wrapping_add(step) & mask;
            let (other, next) = *self.slots.get(slot)?;
            let Some(id) = next.checked_sub(1) else {
                return Some(Place::Free { slot, tag });
            };
            if other == tag && text_of(id) == Some(text) {
                return Some(Place::Taken(id));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_and_no_other() {
        let texts: Vec<Vec<u8>> = (0..1000u32).map(|n| n.to_string().into_bytes()).collect();
        let text_of = |id: u32| texts.get(id as usize).map(Vec::as_slice);
        let mut index = TextIndex::new(texts.len());
        for (id, text) in (0..).zip(&texts) {
            assert_eq!(index.insert(text, id, text_of), None);
        }
        for (id, text) in (0..).zip(&texts) {
            assert_eq!(index.get(text, text_of), Some(id));
            assert_eq!(index.insert(text, 7, text_of), Some(id));
        }
        assert_eq!(index.get(b"1000", text_of), None);
        assert_eq!(index.get(b"", text_of), None);
        assert_eq!(TextIndex::new(0).get(b"x", text_of), None);
    }
}
