//! ARM's vectors of 128 bits, with and without dot products of bytes.
#![allow(
    unsafe_code,
    reason = "intrinsics are called where the type proves that the processor has them"
)]

use crate::isa::{by_words, first};
use crate::level::Op;
use crate::methods::with;
use crate::{Isa, PANEL};
use bytemuck::must_cast;
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

/// NEON, which nearly every 64-bit ARM processor has; with `DOT` also dot products of bytes: Cortex-A55 and A75, Apple A13 and M1 on.
/// Made by [`Neon::detect`] only.
#[derive(Clone, Copy, Debug)]
pub struct Neon<const DOT: bool>(());

impl Neon<true> {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_aarch64_feature_detected!("dotprod") && Neon::<false>::detect().is_some();
        has.then_some(Self(()))
    }

    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        #[target_feature(enable = "neon,dotprod")]
        fn inner<O: Op>(isa: Neon<true>, op: O) -> O::Out {
            op.call(isa)
        }
        // SAFETY: a `Neon<true>` exists only where detection found both.
        unsafe { inner(self, op) }
    }
}

impl Neon<false> {
    pub(crate) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub(crate) fn run<O: Op>(self, op: O) -> O::Out {
        #[target_feature(enable = "neon")]
        fn inner<O: Op>(isa: Neon<false>, op: O) -> O::Out {
            op.call(isa)
        }
        // SAFETY: a `Neon` exists only where detection found these.
        unsafe { inner(self, op) }
    }
}

/// What `vdotq_laneq_s32` does, which is not in stable Rust: one lane of `x` for all. As copies in every lane, each would be a load of
/// its own, and spilled.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn sdot<const LANE: u32>(mut acc: uint32x4_t, w: uint32x4_t, x: uint32x4_t) -> uint32x4_t {
    // SAFETY: it reads and writes these registers only, and this function is compiled for processors that have it.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.4b[{lane}]",
            acc = inout(vreg) acc, w = in(vreg) w, x = in(vreg) x, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    acc
}

#[target_feature(enable = "neon,dotprod")]
#[inline]
fn lane_dot(acc: uint32x4_t, w: [uint32x4_t; 4], x: [u32; 4]) -> uint32x4_t {
    let x = must_cast(x);
    let acc = sdot::<0>(acc, w[0], x);
    let acc = sdot::<1>(acc, w[1], x);
    let acc = sdot::<2>(acc, w[2], x);
    sdot::<3>(acc, w[3], x)
}

/// Two products of at most 128 * 127 stay within 16 bits.
#[target_feature(enable = "neon")]
#[inline]
fn widening_dot(acc: uint32x4_t, w: uint32x4_t, x: u32) -> uint32x4_t {
    let (w, x) = (
        vreinterpretq_s8_u32(w),
        vreinterpretq_s8_u32(vdupq_n_u32(x)),
    );
    let low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    let pairs = vpaddq_s16(low, vmull_high_s8(w, x));
    vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(acc), pairs))
}

#[target_feature(enable = "neon")]
#[inline]
fn from_halves(a: uint16x4_t) -> float32x4_t {
    vcvt_f32_f16(vreinterpret_f16_u16(a))
}

#[target_feature(enable = "neon")]
#[inline]
fn from_bytes(word: u32) -> float32x4_t {
    let bytes = vreinterpret_s8_u32(vdup_n_u32(word));
    vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
}

/// The same number of bits in every lane; to the right where it is negative.
#[target_feature(enable = "neon")]
#[inline]
fn bits(by: u32) -> int32x4_t {
    vdupq_n_s32(by.cast_signed())
}

impl<const DOT: bool> Isa for Neon<DOT> {
    const LANES: usize = 4;
    // Loops over more columns with dot products, and over any without, are not unrolled: sums lie in memory there.
    const COLUMNS: usize = if DOT { 4 } else { 8 };
    const UNSIGNED: bool = false;
    type U = uint32x4_t;
    type F = float32x4_t;

    fn name(self) -> &'static str {
        if DOT {
            "NEON with dot products"
        } else {
            "NEON"
        }
    }

    #[inline(always)]
    fn load(self, words: &[u32; PANEL], group: usize) -> uint32x4_t {
        must_cast(first::<4, _>(&words[4 * group..]))
    }
    #[inline(always)]
    fn load_f(self, from: &[f32]) -> float32x4_t {
        must_cast(first::<4, _>(from))
    }
    #[inline(always)]
    fn load_bits(self, from: &[u32]) -> float32x4_t {
        must_cast(first::<4, _>(from))
    }
    #[inline(always)]
    fn store_f(self, a: float32x4_t, to: &mut [f32]) {
        to[..4].copy_from_slice(&must_cast::<_, [f32; 4]>(a));
    }
    #[inline(always)]
    fn store(self, a: uint32x4_t, to: &mut [u32]) {
        to[..4].copy_from_slice(&must_cast::<_, [u32; 4]>(a));
    }

    #[inline(always)]
    fn dot_small(self, acc: uint32x4_t, w: [uint32x4_t; 4], x: [u32; 4]) -> uint32x4_t {
        self.dot(acc, w, x)
    }

    with! {
        fn load_halves(from: &[u32]) -> float32x4_t = from_halves(must_cast(first::<2, _>(from)));
        fn load_bytes(from: &[u32]) -> float32x4_t = from_bytes(from[0]);
        fn splat(word: u32) -> uint32x4_t = vdupq_n_u32(word);
        fn and(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vandq_u32(a, b);
        fn or(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vorrq_u32(a, b);
        fn xor(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = veorq_u32(a, b);
        fn shl(a: uint32x4_t, by: u32) -> uint32x4_t = vshlq_u32(a, bits(by));
        fn shr(a: uint32x4_t, by: u32) -> uint32x4_t = vshlq_u32(a, vnegq_s32(bits(by)));
        fn sar(a: uint32x4_t, by: u32) -> uint32x4_t =
            vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(a), vnegq_s32(bits(by))));
        fn add(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vaddq_u32(a, b);
        fn mul(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t = vmulq_u32(a, b);
        fn lookup(table: [i8; 16], a: uint32x4_t) -> uint32x4_t =
            vreinterpretq_u32_s8(vqtbl1q_s8(must_cast(table), vreinterpretq_u8_u32(a)));
        fn dot(acc: uint32x4_t, w: [uint32x4_t; 4], x: [u32; 4]) -> uint32x4_t = if DOT {
            lane_dot(acc, w, x)
        } else {
            by_words(acc, w, x, |acc, w, x| widening_dot(acc, w, x))
        };
        fn to_f(a: uint32x4_t) -> float32x4_t = vcvtq_f32_s32(vreinterpretq_s32_u32(a));
        fn round(a: float32x4_t) -> uint32x4_t = vreinterpretq_u32_s32(vcvtnq_s32_f32(a));
        fn as_f(a: uint32x4_t) -> float32x4_t = vreinterpretq_f32_u32(a);
        fn half(a: uint32x4_t) -> float32x4_t = from_halves(vmovn_u32(a));
        fn splat_f(a: f32) -> float32x4_t = vdupq_n_f32(a);
        fn add_f(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32(a, b);
        fn sub_f(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32(a, b);
        fn mul_f(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmulq_f32(a, b);
        fn div_f(a: float32x4_t, b: float32x4_t) -> float32x4_t = vdivq_f32(a, b);
        fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t = vfmaq_f32(c, a, b);
        fn max_f(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmaxq_f32(a, b);
        fn min_f(a: float32x4_t, b: float32x4_t) -> float32x4_t = vminq_f32(a, b);
        fn abs_f(a: float32x4_t) -> float32x4_t = vabsq_f32(a);
        fn sum(a: float32x4_t) -> f32 = vaddvq_f32(a);
        fn top(a: float32x4_t) -> f32 = vmaxvq_f32(a);
    }
}
