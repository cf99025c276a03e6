//! Weight types in vectors: block `b` of the rows of a panel, from the words that `chord_quant::formats` describes. What a type's
//! include is to the shaders (shaders/shared/quant_*.wgsl) its decoder here is to the CPU's products, which are written once
//! over [`Block`].

use chord_quant::WeightType;
use chord_simd::{Isa, PANEL};

/// The words of a panel's rows.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub quants: &'a [[u32; PANEL]],
    pub scales: &'a [[u32; PANEL]],
    /// 32-value blocks of a row.
    pub blocks: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn quant<I: Isa>(&self, isa: I, at: usize, group: usize) -> I::U {
        isa.prefetch(&self.quants[at]);
        isa.load(&self.quants[at], group)
    }

    #[inline(always)]
    fn scale<I: Isa>(&self, isa: I, at: usize, group: usize) -> I::U {
        isa.prefetch(&self.scales[at]);
        isa.load(&self.scales[at], group)
    }

    /// Scale of block `b` where two share a word, behind `first` words.
    #[inline(always)]
    fn paired_half<I: Isa>(&self, isa: I, first: usize, b: usize, group: usize) -> I::F {
        let word = self.scale(isa, first + b / 2, group);
        isa.half(isa.shr(word, 16 * (b as u32 % 2)))
    }
}

/// 32 values of as many rows as a vector has lanes: `d * (q - zero) + m`.
pub(crate) struct Block<I: Isa> {
    /// Four bytes a lane: value `4j + i` is byte `i` of word `j`.
    pub q: [I::U; 8],
    /// Scales of both halves.
    pub d: [I::F; 2],
    /// Offsets of both halves, where [`Integers::OFFSETS`].
    pub m: [I::F; 2],
}

/// A type whose weights are integers with scales.
pub(crate) trait Integers {
    /// log2 of what is to be subtracted from each `q`, which is then from 0 to 127.
    const ZERO: Option<u32> = None;
    /// `q` are signed bytes of the whole range.
    const WIDE: bool = false;
    /// There are offsets `m`.
    const OFFSETS: bool = false;
    /// The halves of a block have scales (and offsets) of their own.
    const HALVES: bool = false;
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I>;
}

/// A type whose weights are floats.
pub(crate) trait Floats {
    /// Value `i` of block `b`.
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F;
}

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

/// The float of byte `at` (0..4) of each lane.
#[inline(always)]
fn byte_f<I: Isa>(isa: I, word: I::U, at: u32) -> I::F {
    isa.to_f(isa.and(isa.shr(word, 8 * at), isa.splat(0xff)))
}

/// The same of a signed byte.
#[inline(always)]
fn signed_byte_f<I: Isa>(isa: I, word: I::U, at: u32) -> I::F {
    isa.to_f(isa.sar(isa.shl(word, 24 - 8 * at), 24))
}

#[inline(always)]
fn zero<I: Isa>(isa: I) -> [I::F; 2] {
    [isa.splat_f(0.0); 2]
}

/// d and -dmin * minimum of Q4_K and Q5_K: f16 d and dmin, then eight 6-bit pairs in 12 bytes.
#[inline(always)]
fn k_scales<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> ([I::F; 2], [I::F; 2]) {
    let word = |i: usize| panel.scale(isa, 4 * (b / 8) + i, group);
    let bits = |w: I::U, by: u32, mask: u32| isa.and(isa.shr(w, by), isa.splat(mask));
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
    let minus = isa.sub_f(isa.splat_f(0.0), isa.half(isa.shr(head, 16)));
    ([d; 2], [isa.mul_f(minus, isa.to_f(minimum)); 2])
}

pub(crate) struct Q4_0;
impl Integers for Q4_0 {
    const ZERO: Option<u32> = Some(3);
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        Block {
            q: nibbles(isa, panel, 4 * b, group),
            d: [panel.paired_half(isa, 0, b, group); 2],
            m: zero(isa),
        }
    }
}

pub(crate) struct Q4_1;
impl Integers for Q4_1 {
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

pub(crate) struct Q5_0;
impl Integers for Q5_0 {
    const ZERO: Option<u32> = Some(4);
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: add_bits(isa, q, panel.scale(isa, b, group), 4),
            d: [panel.paired_half(isa, panel.blocks, b, group); 2],
            m: zero(isa),
        }
    }
}

pub(crate) struct Q5_1;
impl Integers for Q5_1 {
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

pub(crate) struct Q8_0;
impl Integers for Q8_0 {
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        Block {
            q: std::array::from_fn(|j| panel.quant(isa, 8 * b + j, group)),
            d: [panel.paired_half(isa, 0, b, group); 2],
            m: zero(isa),
        }
    }
}

pub(crate) struct Q2K;
impl Integers for Q2K {
    const OFFSETS: bool = true;
    const HALVES: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let first = 5 * (b / 8);
        let head = panel.scale(isa, first + 4, group);
        let minus = isa.sub_f(isa.splat_f(0.0), isa.half(isa.shr(head, 16)));
        let pair = isa.shr(
            panel.scale(isa, first + b % 8 / 2, group),
            16 * (b as u32 % 2),
        );
        let nibble = |by: u32| isa.to_f(isa.and(isa.shr(pair, by), isa.splat(15)));
        Block {
            q: bit_pairs(isa, panel, 2 * b, group),
            d: [0, 8].map(|by| isa.mul_f(isa.half(head), nibble(by))),
            m: [4, 12].map(|by| isa.mul_f(minus, nibble(by))),
        }
    }
}

pub(crate) struct Q3K;
impl Integers for Q3K {
    const ZERO: Option<u32> = Some(2);
    const HALVES: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (first, quants) = (5 * (b / 8), 24 * (b / 8));
        let d = isa.half(panel.scale(isa, first + 4, group));
        let pair = isa.shr(
            panel.scale(isa, first + b % 8 / 2, group),
            16 * (b as u32 % 2),
        );
        let q = bit_pairs(isa, panel, quants + 2 * (b % 8), group);
        let third = panel.quant(isa, quants + 16 + b % 8, group);
        Block {
            q: add_bits(isa, q, third, 2),
            d: [0, 1].map(|at| isa.mul_f(d, signed_byte_f(isa, pair, at))),
            m: zero(isa),
        }
    }
}

pub(crate) struct Q4K;
impl Integers for Q4K {
    const OFFSETS: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (d, m) = k_scales(isa, panel, b, group);
        let q = nibbles(isa, panel, 4 * b, group);
        Block { q, d, m }
    }
}

pub(crate) struct Q5K;
impl Integers for Q5K {
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

pub(crate) struct Q6K;
impl Integers for Q6K {
    const ZERO: Option<u32> = Some(5);
    const HALVES: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let (first, quants) = (5 * (b / 8), 48 * (b / 8));
        let d = isa.half(panel.scale(isa, first + 4, group));
        let pair = isa.shr(
            panel.scale(isa, first + b % 8 / 2, group),
            16 * (b as u32 % 2),
        );
        let low = nibbles(isa, panel, quants + 4 * (b % 8), group);
        let high = bit_pairs(isa, panel, quants + 32 + 2 * (b % 8), group);
        Block {
            q: std::array::from_fn(|j| isa.or(low[j], isa.shl(high[j], 4))),
            d: [0, 1].map(|at| isa.mul_f(d, signed_byte_f(isa, pair, at))),
            m: zero(isa),
        }
    }
}

pub(crate) struct Iq4Nl;
impl Integers for Iq4Nl {
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let q = nibbles(isa, panel, 4 * b, group);
        Block {
            q: q.map(|q| isa.lookup(chord_quant::IQ4, q)),
            d: [panel.paired_half(isa, 0, b, group); 2],
            m: zero(isa),
        }
    }
}

pub(crate) struct Iq4Xs;
impl Integers for Iq4Xs {
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let header = [0, 1].map(|i| panel.scale(isa, 2 * (b / 8) + i, group));
        let j = b as u32 % 8;
        let bits = |w: I::U, by: u32, mask: u32| isa.and(isa.shr(w, by), isa.splat(mask));
        let six = isa.or(
            bits(header[1], 4 * j, 15),
            isa.shl(bits(header[0], 16 + 2 * j, 3), 4),
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

pub(crate) struct Mxfp4;
impl Integers for Mxfp4 {
    const WIDE: bool = true;
    #[inline(always)]
    fn block<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, group: usize) -> Block<I> {
        let e = isa.and(
            isa.shr(panel.scale(isa, b / 4, group), 8 * (b as u32 % 4)),
            isa.splat(0xff),
        );
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

pub(crate) struct F32;
impl Floats for F32 {
    #[inline(always)]
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F {
        isa.as_f(panel.quant(isa, 32 * b + i, group))
    }
}

pub(crate) struct F16;
impl Floats for F16 {
    #[inline(always)]
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F {
        let pair = panel.quant(isa, 16 * b + i / 2, group);
        isa.half(isa.shr(pair, 16 * (i as u32 % 2)))
    }
}

pub(crate) struct BF16;
impl Floats for BF16 {
    #[inline(always)]
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F {
        let pair = panel.quant(isa, 16 * b + i / 2, group);
        isa.as_f(if i.is_multiple_of(2) {
            isa.shl(pair, 16)
        } else {
            isa.and(pair, isa.splat(0xffff_0000))
        })
    }
}

/// Value `i` (0..32) of a block as a float, without its scale and offset.
#[inline(always)]
pub(crate) fn integer<I: Isa, T: Integers>(isa: I, block: &Block<I>, i: usize) -> I::F {
    let (word, at) = (block.q[i / 4], i as u32 % 4);
    match (T::WIDE, T::ZERO) {
        (true, _) => signed_byte_f(isa, word, at),
        (false, None) => byte_f(isa, word, at),
        (false, Some(zero)) => isa.sub_f(byte_f(isa, word, at), isa.splat_f((1u32 << zero) as f32)),
    }
}

/// Something to do for a weight type.
pub(crate) trait ForType {
    type Out;
    fn integers<T: Integers>(self) -> Self::Out;
    fn floats<T: Floats>(self) -> Self::Out;
}

/// Does it for this type.
pub(crate) fn for_type<V: ForType>(ty: WeightType, work: V) -> V::Out {
    match ty {
        WeightType::F32 => work.floats::<F32>(),
        WeightType::F16 => work.floats::<F16>(),
        WeightType::BF16 => work.floats::<BF16>(),
        WeightType::Q4_0 => work.integers::<Q4_0>(),
        WeightType::Q4_1 => work.integers::<Q4_1>(),
        WeightType::Q5_0 => work.integers::<Q5_0>(),
        WeightType::Q5_1 => work.integers::<Q5_1>(),
        WeightType::Q8_0 => work.integers::<Q8_0>(),
        WeightType::Q2K => work.integers::<Q2K>(),
        WeightType::Q3K => work.integers::<Q3K>(),
        WeightType::Q4K => work.integers::<Q4K>(),
        WeightType::Q5K => work.integers::<Q5K>(),
        WeightType::Q6K => work.integers::<Q6K>(),
        WeightType::Iq4Nl => work.integers::<Iq4Nl>(),
        WeightType::Iq4Xs => work.integers::<Iq4Xs>(),
        WeightType::Mxfp4 => work.integers::<Mxfp4>(),
    }
}
