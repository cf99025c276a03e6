//! Weights that are integers with scales.

use super::{Block, Integers, Panel, signed_byte_f};
use chord_simd::Isa;

/// Low nibbles, then high ones, of the four words from `at` on.
#[inline(always)]
fn nibbles<I: Isa>(isa: I, panel: &Panel<'_>, at: usize, group: usize) -> [I::U; 8] {
    let low = isa.splat(0x0f0f_0f0f);
    let words: [I::U; 4] = std::array::from_fn(|j| panel.quant(isa, at + j, group));
    std::array::from_fn(|j| match j {
        0..4 => isa.and(words[j], low),
        _ => isa.and(isa.shr(words[j - 4], 4), low),
    })
}

/// Bit pairs of the two words from `at` on.
#[inline(always)]
fn bit_pairs<I: Isa>(isa: I, panel: &Panel<'_>, at: usize, group: usize) -> [I::U; 8] {
    let low = isa.splat(0x0303_0303);
    let words: [I::U; 2] = std::array::from_fn(|h| panel.quant(isa, at + h, group));
    std::array::from_fn(|j| isa.and(isa.shr(words[j / 4], 2 * (j as u32 % 4)), low))
}

/// Adds bit `i` of `bits` to value `i`, at `place`.
#[inline(always)]
fn add_bits<I: Isa>(isa: I, q: [I::U; 8], bits: I::U, place: u32) -> [I::U; 8] {
    // Bit i of a nibble to bit 8i: copies of it at distances of 7, of which the mask takes one bit each.
    let (nibble, spread, mask) = (
        isa.splat(15),
        isa.splat(0x0020_4081),
        isa.splat(0x0101_0101),
    );
    std::array::from_fn(|j| {
        let four = isa.and(isa.shr(bits, 4 * j as u32), nibble);
        let bytes = isa.and(isa.mul(four, spread), mask);
        isa.or(q[j], isa.shl(bytes, place))
    })
}

/// The bits of `mask` behind the lowest `by`.
#[inline(always)]
fn bits<I: Isa>(isa: I, word: I::U, by: u32, mask: u32) -> I::U {
    isa.and(isa.shr(word, by), isa.splat(mask))
}

/// The factor on minimums, -dmin, from the high half of a word.
#[inline(always)]
fn minus_dmin<I: Isa>(isa: I, word: I::U) -> I::F {
    isa.sub_f(isa.splat_f(0.0), isa.half(isa.shr(word, 16)))
}

#[inline(always)]
fn zero<I: Isa>(isa: I) -> [I::F; 2] {
    [isa.splat_f(0.0); 2]
}

/// d and -dmin * minimum of Q4_K and Q5_K: f16 d and dmin, then eight 6-bit pairs in 12 bytes.
#[inline(always)]
fn k_scales<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> ([I::F; 2], [I::F; 2]) {
    let word = |i: usize| panel.scale(isa, 4 * (b / 8) + i, group);
    let bits = |w: I::U, by: u32, mask: u32| bits(isa, w, by, mask);
    let by = 8 * (b as u32 % 4);
    let (scale, minimum) = if b % 8 < 4 {
        (bits(word(1), by, 63), bits(word(2), by, 63))
    } else {
        let high = |w: I::U| isa.shl(bits(w, by + 6, 3), 4);
        let both = word(3);
        (
            isa.or(bits(both, by, 15), high(word(1))),
            isa.or(bits(both, by + 4, 15), high(word(2))),
        )
    };
    let head = word(0);
    let d = isa.mul_f(isa.half(head), isa.to_f(scale));
    let minus = minus_dmin(isa, head);
    ([d; 2], [isa.mul_f(minus, isa.to_f(minimum)); 2])
}

pub(super) struct Q4_0;
impl Integers for Q4_0 {
    const WORDS: usize = 4;
    const ZERO: Option<u32> = Some(3);
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        Block {
            q: nibbles(isa, panel, 4 * b, group),
            d: [isa.half(panel.paired(isa, 0, b, group)); 2],
            m: zero(isa),
        }
    }
}

pub(super) struct Q4_1;
impl Integers for Q4_1 {
    const WORDS: usize = 4;
    const OFFSETS: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let scales = panel.scale(isa, b, group);
        Block {
            q: nibbles(isa, panel, 4 * b, group),
            d: [isa.half(scales); 2],
            m: [isa.half(isa.shr(scales, 16)); 2],
        }
    }
}

pub(super) struct Q5_0;
impl Integers for Q5_0 {
    const WORDS: usize = 4;
    const ZERO: Option<u32> = Some(4);
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: add_bits(isa, q, panel.scale(isa, b, group), 4),
            d: [isa.half(panel.paired(isa, panel.blocks, b, group)); 2],
            m: zero(isa),
        }
    }
}

pub(super) struct Q5_1;
impl Integers for Q5_1 {
    const WORDS: usize = 4;
    const OFFSETS: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let scales = panel.scale(isa, 2 * b, group);
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: add_bits(isa, q, panel.scale(isa, 2 * b + 1, group), 4),
            d: [isa.half(scales); 2],
            m: [isa.half(isa.shr(scales, 16)); 2],
        }
    }
}

pub(super) struct Q8_0;
impl Integers for Q8_0 {
    const WORDS: usize = 8;
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        Block {
            q: std::array::from_fn(|j| panel.quant(isa, 8 * b + j, group)),
            d: [isa.half(panel.paired(isa, 0, b, group)); 2],
            m: zero(isa),
        }
    }
}

pub(super) struct Q2K;
impl Integers for Q2K {
    const WORDS: usize = 2;
    const OFFSETS: bool = true;
    const HALVES: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let first = 5 * (b / 8);
        let head = panel.scale(isa, first + 4, group);
        let minus = minus_dmin(isa, head);
        let pair = panel.paired(isa, first, b % 8, group);
        let nibble = |by: u32| isa.to_f(bits(isa, pair, by, 15));
        Block {
            q: bit_pairs(isa, panel, 2 * b, group),
            d: [0, 8].map(|by| isa.mul_f(isa.half(head), nibble(by))),
            m: [4, 12].map(|by| isa.mul_f(minus, nibble(by))),
        }
    }
}

pub(super) struct Q3K;
impl Integers for Q3K {
    const WORDS: usize = 3;
    const ZERO: Option<u32> = Some(2);
    const HALVES: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (first, quants) = (5 * (b / 8), 24 * (b / 8));
        let d = isa.half(panel.scale(isa, first + 4, group));
        let pair = panel.paired(isa, first, b % 8, group);
        let q = bit_pairs(isa, panel, quants + 2 * (b % 8), group);
        let third = panel.quant(isa, quants + 16 + b % 8, group);
        Block {
            q: add_bits(isa, q, third, 2),
            d: [0, 1].map(|at| isa.mul_f(d, signed_byte_f(isa, pair, at))),
            m: zero(isa),
        }
    }
}

pub(super) struct Q4K;
impl Integers for Q4K {
    const WORDS: usize = 4;
    const OFFSETS: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (d, m) = k_scales(isa, panel, b, group);
        let q = nibbles(isa, panel, 4 * b, group);
        Block { q, d, m }
    }
}

pub(super) struct Q5K;
impl Integers for Q5K {
    const WORDS: usize = 5;
    const OFFSETS: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (d, m) = k_scales(isa, panel, b, group);
        let first = 40 * (b / 8);
        let q = nibbles(isa, panel, first + 4 * (b % 8), group);
        let q = add_bits(isa, q, panel.quant(isa, first + 32 + b % 8, group), 4);
        Block { q, d, m }
    }
}

pub(super) struct Q6K;
impl Integers for Q6K {
    const WORDS: usize = 6;
    const ZERO: Option<u32> = Some(5);
    const HALVES: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (first, quants) = (5 * (b / 8), 48 * (b / 8));
        let d = isa.half(panel.scale(isa, first + 4, group));
        let pair = panel.paired(isa, first, b % 8, group);
        let low = nibbles(isa, panel, quants + 4 * (b % 8), group);
        let high = bit_pairs(isa, panel, quants + 32 + 2 * (b % 8), group);
        Block {
            q: std::array::from_fn(|j| isa.or(low[j], isa.shl(high[j], 4))),
            d: [0, 1].map(|at| isa.mul_f(d, signed_byte_f(isa, pair, at))),
            m: zero(isa),
        }
    }
}

pub(super) struct Iq4Nl;
impl Integers for Iq4Nl {
    const WORDS: usize = 4;
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: q.map(|q| isa.lookup(chord_quant::IQ4, q)),
            d: [isa.half(panel.paired(isa, 0, b, group)); 2],
            m: zero(isa),
        }
    }
}

pub(super) struct Iq4Xs;
impl Integers for Iq4Xs {
    const WORDS: usize = 4;
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let header = [0, 1].map(|i| panel.scale(isa, 2 * (b / 8) + i, group));
        let j = b as u32 % 8;
        let six = isa.or(
            bits(isa, header[1], 4 * j, 15),
            isa.shl(bits(isa, header[0], 16 + 2 * j, 3), 4),
        );
        let scale = isa.to_f(isa.add(six, isa.splat(32u32.wrapping_neg())));
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: q.map(|q| isa.lookup(chord_quant::IQ4, q)),
            d: [isa.mul_f(isa.half(header[0]), scale); 2],
            m: zero(isa),
        }
    }
}

pub(super) struct Mxfp4;
impl Integers for Mxfp4 {
    const WORDS: usize = 4;
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let word = panel.scale(isa, b / 4, group);
        let e = bits(isa, word, 8 * (b as u32 % 4), 0xff);
        // 2^(e - 128) in two factors: it may be below the smallest normal number.
        let half = isa.shr(e, 1);
        let rest = isa.shr(isa.add(e, isa.splat(1)), 1);
        let power = |e: I::U| isa.as_f(isa.shl(isa.add(e, isa.splat(63)), 23));
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: q.map(|q| isa.lookup(chord_quant::E2M1, q)),
            d: [isa.mul_f(power(half), power(rest)); 2],
            m: zero(isa),
        }
    }
}
