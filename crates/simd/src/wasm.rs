//! WebAssembly's vectors of 128 bits. A module either has them or does not load, so nothing is detected here: builds with and
//! without the relaxed instructions are separate files, and the page fetches the one that its browser takes.

use crate::isa::{by_words, first};
use crate::{Isa, PANEL};
use bytemuck::must_cast;
use std::arch::wasm32::*;

/// 128-bit vectors, with relaxed instructions where the build has them.
#[derive(Clone, Copy, Debug)]
pub struct Wasm;

/// The even and the odd bytes of each lane as 16-bit integers: a product of two such vectors adds pairs within a lane.
#[inline(always)]
fn wide(a: v128) -> (v128, v128) {
    (i16x8_shr(i16x8_shl(a, 8), 8), i16x8_shr(a, 8))
}

/// Halves in the low 16 bits, with nothing above them.
#[inline(always)]
fn from_halves(a: v128) -> v128 {
    let magnitude = v128_and(a, u32x4_splat(0x7fff));
    let sign = u32x4_shl(v128_xor(a, magnitude), 16);
    // Exponent and fraction in their new places, then the difference of the biases; exact below the normal halves too.
    let moved = f32x4_mul(
        u32x4_shl(magnitude, 13),
        f32x4_splat(f32::from_bits((127 + 112) << 23)),
    );
    // The largest exponent means infinity or no number: it must be the largest here as well.
    let top = v128_and(
        i32x4_gt(magnitude, i32x4_splat(0x7bff)),
        u32x4_splat(0x7f80_0000),
    );
    v128_or(v128_or(moved, top), sign)
}

/// Methods that are one instruction, or a few.
macro_rules! with {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, $($arg: $ty),*) -> $out {
                $body
            }
        )*
    };
}

impl Isa for Wasm {
    const LANES: usize = 4;
    const COLUMNS: usize = 4;
    const UNSIGNED: bool = false;
    type U = v128;
    type F = v128;

    fn name(self) -> &'static str {
        if cfg!(target_feature = "relaxed-simd") {
            "WebAssembly relaxed SIMD"
        } else {
            "WebAssembly SIMD"
        }
    }

    #[inline(always)]
    fn store_f(self, a: v128, to: &mut [f32]) {
        to[..4].copy_from_slice(&must_cast::<_, [f32; 4]>(a));
    }
    #[inline(always)]
    fn store(self, a: v128, to: &mut [u32]) {
        to[..4].copy_from_slice(&must_cast::<_, [u32; 4]>(a));
    }

    with! {
        fn load(words: &[u32; PANEL], group: usize) -> v128 = must_cast(first::<4, _>(&words[4 * group..]));
        fn load_f(from: &[f32]) -> v128 = must_cast(first::<4, _>(from));
        fn load_bits(from: &[u32]) -> v128 = must_cast(first::<4, _>(from));
        fn load_halves(from: &[u32]) -> v128 = {
            let [a, b] = first::<2, _>(from);
            from_halves(u32x4_extend_low_u16x8(must_cast([a, b, 0, 0])))
        };
        fn load_bytes(from: &[u32]) -> v128 = {
            let bytes: v128 = must_cast([from[0], 0, 0, 0]);
            f32x4_convert_i32x4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(bytes)))
        };
        fn splat(word: u32) -> v128 = u32x4_splat(word);
        fn and(a: v128, b: v128) -> v128 = v128_and(a, b);
        fn or(a: v128, b: v128) -> v128 = v128_or(a, b);
        fn xor(a: v128, b: v128) -> v128 = v128_xor(a, b);
        fn shl(a: v128, by: u32) -> v128 = u32x4_shl(a, by);
        fn shr(a: v128, by: u32) -> v128 = u32x4_shr(a, by);
        fn sar(a: v128, by: u32) -> v128 = i32x4_shr(a, by);
        fn add(a: v128, b: v128) -> v128 = u32x4_add(a, b);
        fn mul(a: v128, b: v128) -> v128 = u32x4_mul(a, b);
        fn to_f(a: v128) -> v128 = f32x4_convert_i32x4(a);
        fn as_f(a: v128) -> v128 = a;
        fn half(a: v128) -> v128 = from_halves(v128_and(a, u32x4_splat(0xffff)));
        fn splat_f(a: f32) -> v128 = f32x4_splat(a);
        fn add_f(a: v128, b: v128) -> v128 = f32x4_add(a, b);
        fn sub_f(a: v128, b: v128) -> v128 = f32x4_sub(a, b);
        fn mul_f(a: v128, b: v128) -> v128 = f32x4_mul(a, b);
        fn div_f(a: v128, b: v128) -> v128 = f32x4_div(a, b);
        fn max_f(a: v128, b: v128) -> v128 = f32x4_pmax(a, b);
        fn min_f(a: v128, b: v128) -> v128 = f32x4_pmin(a, b);
        fn abs_f(a: v128) -> v128 = f32x4_abs(a);
        // What is taken apart here is the same for many products, and the compiler does it once; no relaxed form of the whole
        // range costs less than these two.
        fn dot(acc: v128, w: [v128; 4], x: [u32; 4]) -> v128 = by_words(acc, w, x, |acc, w, x| {
            let ((w0, w1), (x0, x1)) = (wide(w), wide(u32x4_splat(x)));
            i32x4_add(acc, i32x4_add(i32x4_dot_i16x8(w0, x0), i32x4_dot_i16x8(w1, x1)))
        });
    }

    #[cfg(target_feature = "relaxed-simd")]
    with! {
        fn lookup(table: [i8; 16], a: v128) -> v128 = i8x16_relaxed_swizzle(must_cast(table), a);
        // Signed bytes come first; what the second operand's top bit means is not defined, but it is zero.
        fn dot_small(acc: v128, w: [v128; 4], x: [u32; 4]) -> v128 =
            by_words(acc, w, x, |acc, w, x| i32x4_relaxed_dot_i8x16_i7x16_add(u32x4_splat(x), w, acc));
        fn round(a: v128) -> v128 = i32x4_relaxed_trunc_f32x4(f32x4_nearest(a));
        fn fma(a: v128, b: v128, c: v128) -> v128 = f32x4_relaxed_madd(a, b, c);
    }

    #[cfg(not(target_feature = "relaxed-simd"))]
    with! {
        fn lookup(table: [i8; 16], a: v128) -> v128 = i8x16_swizzle(must_cast(table), a);
        fn dot_small(acc: v128, w: [v128; 4], x: [u32; 4]) -> v128 = Isa::dot(Self, acc, w, x);
        fn round(a: v128) -> v128 = i32x4_trunc_sat_f32x4(f32x4_nearest(a));
        fn fma(a: v128, b: v128, c: v128) -> v128 = f32x4_add(f32x4_mul(a, b), c);
    }
}
