//! How keys and values are stored: a KV head of a page is the values of its slots, then whatever scales they have.

use super::PAGE;
use crate::cpu::PANEL;
use std::ops::Range;

/// Storage format of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvType {
    /// Halves, two a word.
    F16,
    /// Floats.
    F32,
    /// Signed bytes, four a word, and for every [`SCALED`] of a head a half that they are multiples of, two a word: GGUF's Q8_0 with
    /// its scales apart.
    Q8_0,
}

/// How the slots of a page's KV head lie, their values and then their scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotOrder {
    /// One behind the other.
    Whole,
    /// As the CPU device has keys: [`PANEL`] slots side by side, word by word, so that a vector holds the same word of several.
    Panels,
}

impl SlotOrder {
    /// Where word `i` lies of those that `slot` has `each` of.
    pub(crate) fn at(self, slot: u32, each: u32, i: u32) -> usize {
        let (slot, each, i) = (slot as usize, each as usize, i as usize);
        match self {
            Self::Whole => slot * each + i,
            Self::Panels => (slot / PANEL * each + i) * PANEL + slot % PANEL,
        }
    }
}

/// Values of a head that share a scale; its last ones may be fewer.
pub const SCALED: u32 = 32;

/// Largest finite half: what storage in halves clamps to, as an out-of-range conversion has no dependable result in WGSL.
const F16_MAX: f32 = 65504.0;

fn half_bits(v: f32) -> u32 {
    u32::from(half::f16::from_f32(v.clamp(-F16_MAX, F16_MAX)).to_bits())
}

/// The lower half (0) or the higher one (1) of a word.
fn half_of(word: u32, which: u32) -> f32 {
    half::f16::from_bits((word >> (16 * which)) as u16).to_f32()
}

impl KvType {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::F16, Self::F32, Self::Q8_0];

    /// What users call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::Q8_0 => "q8_0",
        }
    }

    /// The format that users call so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kv| kv.name() == name)
    }

    /// Words of the values of one slot's head; `head_dim` is a multiple of 4.
    pub(crate) fn value_words(self, head_dim: u32) -> u32 {
        match self {
            Self::F16 => head_dim / 2,
            Self::F32 => head_dim,
            Self::Q8_0 => head_dim / 4,
        }
    }

    /// Words of their scales.
    pub(crate) fn scale_words(self, head_dim: u32) -> u32 {
        match self {
            Self::F16 | Self::F32 => 0,
            Self::Q8_0 => head_dim.div_ceil(2 * SCALED),
        }
    }

    /// Words of one slot's head.
    #[must_use]
    pub fn head_words(self, head_dim: u32) -> u32 {
        self.value_words(head_dim) + self.scale_words(head_dim)
    }

    /// Where the values and the scales of `slots` lie in the words of a page's KV head.
    #[must_use]
    pub fn spans(self, head_dim: u32, slots: Range<u32>) -> [Range<usize>; 2] {
        let (values, scales) = (self.value_words(head_dim), self.scale_words(head_dim));
        let span = |first: u32, each: u32| {
            (first + slots.start * each) as usize..(first + slots.end * each) as usize
        };
        [span(0, values), span(PAGE * values, scales)]
    }

    /// Word `i` of a slot's values; behind them, of its scales.
    fn word(self, order: SlotOrder, head_dim: u32, slot: u32, i: u32) -> usize {
        let (values, scales) = (self.value_words(head_dim), self.scale_words(head_dim));
        match i.checked_sub(values) {
            None => order.at(slot, values, i),
            Some(i) => (PAGE * values) as usize + order.at(slot, scales, i),
        }
    }

    /// Value `d` of a slot, of the words of a page's KV head.
    pub(super) fn load(
        self,
        (words, order): (&[u32], SlotOrder),
        head_dim: u32,
        slot: u32,
        d: u32,
    ) -> f32 {
        let word = |i: u32| words[self.word(order, head_dim, slot, i)];
        match self {
            Self::F32 => f32::from_bits(word(d)),
            Self::F16 => half_of(word(d / 2), d % 2),
            Self::Q8_0 => {
                let q = (word(d / 4) >> (8 * (d % 4))) as u8;
                let block = d / SCALED;
                let scale = half_of(word(self.value_words(head_dim) + block / 2), block % 2);
                scale * f32::from(q.cast_signed())
            }
        }
    }

    /// A slot's head as words: of its values, then of their scales.
    pub(crate) fn encode(self, head: &[f32], out: &mut [u32]) {
        let (values, scales) = out.split_at_mut(self.value_words(head.len() as u32) as usize);
        match self {
            Self::F32 => {
                for (word, v) in values.iter_mut().zip(head) {
                    *word = v.to_bits();
                }
            }
            Self::F16 => {
                for (word, [a, b]) in values.iter_mut().zip(head.as_chunks().0) {
                    *word = half_bits(*a) | half_bits(*b) << 16;
                }
            }
            Self::Q8_0 => {
                scales.fill(0);
                for (i, block) in head.chunks(SCALED as usize).enumerate() {
                    let peak = block.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
                    scales[i / 2] |= half_bits(peak / 127.0) << (16 * (i % 2));
                    let inverse = if peak > 0.0 { 127.0 / peak } else { 0.0 };
                    let of_block = &mut values[i * SCALED as usize / 4..];
                    for (word, quad) in of_block.iter_mut().zip(block.as_chunks::<4>().0) {
                        let bytes = quad.map(|v| (v * inverse).round_ties_even() as i8);
                        *word = u32::from_le_bytes(bytes.map(i8::cast_unsigned));
                    }
                }
            }
        }
    }

    /// Puts what [`KvType::encode`] made of a slot's head into the words of a page's KV head.
    pub(super) fn put(
        self,
        (words, order): (&mut [u32], SlotOrder),
        head_dim: u32,
        slot: u32,
        encoded: &[u32],
    ) {
        for (i, word) in (0..).zip(encoded) {
            words[self.word(order, head_dim, slot, i)] = *word;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(kv: KvType, words: &mut [u32], slot: u32, head: &[f32]) {
        let dim = head.len() as u32;
        let mut encoded = vec![0; kv.head_words(dim) as usize];
        kv.encode(head, &mut encoded);
        kv.put((words, SlotOrder::Whole), dim, slot, &encoded);
    }

    #[test]
    fn what_is_stored_comes_back_within_half_a_step_of_its_32() {
        // 80: the last scale of a head is for 16 values.
        for head_dim in [8, 32, 64, 80, 128] {
            let n = head_dim as usize;
            let head: Vec<f32> = (0..n)
                .map(|d| ((d * 37 % 101) as f32 - 50.0) * (1 << (d / 32)) as f32)
                .collect();
            for kv in KvType::ALL {
                let filler = 0x5555_5555;
                let mut words = vec![filler; (PAGE * kv.head_words(head_dim)) as usize];
                store(kv, &mut words, 7, &head);
                for (d, v) in head.iter().enumerate() {
                    let peak = head[d / 32 * 32..n.min(d / 32 * 32 + 32)]
                        .iter()
                        .fold(0.0, |m: f32, v| m.max(v.abs()));
                    let bound = if kv == KvType::Q8_0 {
                        peak / 254.0 + peak * 1e-3
                    } else {
                        0.0
                    };
                    let got = kv.load((&words, SlotOrder::Whole), head_dim, 7, d as u32);
                    assert!(
                        (got - v).abs() <= bound,
                        "{kv:?} {head_dim} {d}: {got} for {v}"
                    );
                }
                let spans = kv.spans(head_dim, 7..8);
                let other = |i: &usize| !spans.iter().any(|span| span.contains(i));
                assert!(
                    (0..words.len()).filter(other).all(|i| words[i] == filler),
                    "{kv:?} {head_dim}"
                );
            }
        }
    }

    #[test]
    fn what_no_half_or_scale_can_hold_is_held_as_the_largest_that_can() {
        for (kv, largest) in [(KvType::F16, F16_MAX), (KvType::Q8_0, 127.0 * F16_MAX)] {
            let mut words = vec![0; (PAGE * kv.head_words(32)) as usize];
            let mut head = [1e30; 32];
            head[1] = -1e30;
            store(kv, &mut words, 0, &head);
            let got = [0, 1].map(|d| kv.load((&words, SlotOrder::Whole), 32, 0, d));
            assert_eq!(got, [largest, -largest]);
            store(kv, &mut words, 0, &[0.0; 32]);
            assert_eq!(kv.load((&words, SlotOrder::Whole), 32, 0, 3), 0.0);
        }
    }

    #[test]
    fn formats_are_found_by_their_names() {
        for kv in KvType::ALL {
            assert_eq!(KvType::named(kv.name()), Some(kv));
        }
        assert_eq!(KvType::named("q4_0"), None);
    }
}
