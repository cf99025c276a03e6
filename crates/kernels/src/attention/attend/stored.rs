//! Keys and values as they are stored, in vectors.

use crate::kv::SCALED;
use chord_simd::{Isa, PANEL};

/// A storage format.
pub(super) trait Stored {
    /// Values of a word.
    const PER_WORD: usize;
    /// Words that share a scale, where there are scales.
    const SCALED_WORDS: Option<usize> = None;
    /// The values in a word of as many keys as there are lanes: the first [`Stored::PER_WORD`].
    fn keys<I: Isa>(isa: I, word: I::U, scale: I::F) -> [I::F; 4];
    /// A vector of a slot's values.
    fn values<I: Isa>(isa: I, words: &[u32], scale: f32) -> I::F;

    /// The first `n` values of a slot's last words, fewer than a vector.
    #[inline(always)]
    fn last<I: Isa>(isa: I, words: &[u32], n: usize, scale: f32) -> I::F {
        let mut padded = [0; PANEL];
        padded[..n / Self::PER_WORD].copy_from_slice(&words[..n / Self::PER_WORD]);
        Self::values(isa, &padded, scale)
    }
}

pub(super) struct Halves;
impl Stored for Halves {
    const PER_WORD: usize = 2;
    #[inline(always)]
    fn keys<I: Isa>(isa: I, word: I::U, _scale: I::F) -> [I::F; 4] {
        let none = isa.splat_f(0.0);
        [isa.half(word), isa.half(isa.shr(word, 16)), none, none]
    }
    #[inline(always)]
    fn values<I: Isa>(isa: I, words: &[u32], _scale: f32) -> I::F {
        isa.load_halves(words)
    }
}

pub(super) struct Floats;
impl Stored for Floats {
    const PER_WORD: usize = 1;
    #[inline(always)]
    fn keys<I: Isa>(isa: I, word: I::U, _scale: I::F) -> [I::F; 4] {
        let none = isa.splat_f(0.0);
        [isa.as_f(word), none, none, none]
    }
    #[inline(always)]
    fn values<I: Isa>(isa: I, words: &[u32], _scale: f32) -> I::F {
        isa.load_bits(words)
    }
}

pub(super) struct Bytes;
impl Stored for Bytes {
    const PER_WORD: usize = 4;
    const SCALED_WORDS: Option<usize> = Some(SCALED as usize / 4);
    #[inline(always)]
    fn keys<I: Isa>(isa: I, word: I::U, scale: I::F) -> [I::F; 4] {
        let mut keys = [scale; 4];
        for (by, key) in [24, 16, 8, 0].into_iter().zip(&mut keys) {
            let byte = isa.sar(isa.shl(word, by), 24);
            *key = isa.mul_f(isa.to_f(byte), scale);
        }
        keys
    }
    #[inline(always)]
    fn values<I: Isa>(isa: I, words: &[u32], scale: f32) -> I::F {
        isa.mul_f(isa.load_bytes(words), isa.splat_f(scale))
    }
}
