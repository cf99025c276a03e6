//! Weights that are floats.

use super::{Floats, Panel};
use chord_simd::Isa;

pub(super) struct F32;
impl Floats for F32 {
    const WORDS: usize = 32;
    #[inline(always)]
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F {
        isa.as_f(panel.quant(isa, 32 * b + i, group))
    }
}

pub(super) struct F16;
impl Floats for F16 {
    const WORDS: usize = 16;
    #[inline(always)]
    fn value<I: Isa>(isa: I, panel: &Panel<'_>, b: usize, i: usize, group: usize) -> I::F {
        let pair = panel.quant(isa, 16 * b + i / 2, group);
        isa.half(isa.shr(pair, 16 * (i as u32 % 2)))
    }
}

pub(super) struct BF16;
impl Floats for BF16 {
    const WORDS: usize = 16;
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
