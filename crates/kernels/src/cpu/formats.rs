//! Weight types in vectors: block `b` of the rows of a panel, from the words that `chord_quant::formats` describes. What a type's
//! include is to the shaders (shaders/shared/quant_*.wgsl) its decoder here is to the CPU's products, which are written once
//! over [`Block`].

mod floats;
mod integers;

use chord_quant::WeightType;
use chord_simd::{Isa, PANEL};

/// How many words ahead weights are fetched: a block of 256 takes those of up to 48 in an order of its own.
const AHEAD: usize = 64;

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
        isa.load(&self.quants[at], group)
    }

    /// Has the words fetched that come [`AHEAD`] behind those of block `b`, a block being `words`: in the order of the memory, whatever
    /// order blocks take them in, so that the processor's own foresight sees one stream.
    #[inline(always)]
    pub(crate) fn fetch<I: Isa>(&self, isa: I, words: usize, b: usize) {
        for i in 0..words {
            isa.prefetch(self.quants, words * b + i + AHEAD);
        }
    }

    #[inline(always)]
    fn scale<I: Isa>(&self, isa: I, at: usize, group: usize) -> I::U {
        isa.prefetch(self.scales, at + AHEAD);
        isa.load(&self.scales[at], group)
    }

    /// 16 bits of scales of block `b` in the low half, where two blocks share a word, behind `first` words.
    #[inline(always)]
    fn paired<I: Isa>(&self, isa: I, first: usize, b: usize, group: usize) -> I::U {
        let word = self.scale(isa, first + b / 2, group);
        isa.shr(word, 16 * (b as u32 % 2))
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
    /// Words of a block of 32.
    const WORDS: usize;
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
    /// Words of a block of 32.
    const WORDS: usize;
    /// Value `i` of block `b`.
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F;
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
        WeightType::F32 => work.floats::<floats::F32>(),
        WeightType::F16 => work.floats::<floats::F16>(),
        WeightType::BF16 => work.floats::<floats::BF16>(),
        WeightType::Q4_0 => work.integers::<integers::Q4_0>(),
        WeightType::Q4_1 => work.integers::<integers::Q4_1>(),
        WeightType::Q5_0 => work.integers::<integers::Q5_0>(),
        WeightType::Q5_1 => work.integers::<integers::Q5_1>(),
        WeightType::Q8_0 => work.integers::<integers::Q8_0>(),
        WeightType::Q2K => work.integers::<integers::Q2K>(),
        WeightType::Q3K => work.integers::<integers::Q3K>(),
        WeightType::Q4K => work.integers::<integers::Q4K>(),
        WeightType::Q5K => work.integers::<integers::Q5K>(),
        WeightType::Q6K => work.integers::<integers::Q6K>(),
        WeightType::Iq4Nl => work.integers::<integers::Iq4Nl>(),
        WeightType::Iq4Xs => work.integers::<integers::Iq4Xs>(),
        WeightType::Mxfp4 => work.integers::<integers::Mxfp4>(),
    }
}
