//! Plain code over arrays: what every processor runs, and what the compiler may turn into its vectors.

use crate::isa::{by_words, first};
use crate::{Isa, PANEL};
use half::f16;

/// Needs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

const LANES: usize = 8;
type U = [u32; LANES];
type F = [f32; LANES];

#[inline(always)]
fn map<A: Copy, B>(a: [A; LANES], f: impl Fn(A) -> B) -> [B; LANES] {
    std::array::from_fn(|i| f(a[i]))
}

#[inline(always)]
fn zip<A: Copy, B>(a: [A; LANES], b: [A; LANES], f: impl Fn(A, A) -> B) -> [B; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Isa for Portable {
    const LANES: usize = LANES;
    const COLUMNS: usize = 4;
    const UNSIGNED: bool = false;
    type U = U;
    type F = F;

    fn name(self) -> &'static str {
        "no vector instructions known"
    }

    #[inline(always)]
    fn load(self, words: &[u32; PANEL], group: usize) -> U {
        first(&words[LANES * group..])
    }
    #[inline(always)]
    fn splat(self, word: u32) -> U {
        [word; LANES]
    }
    #[inline(always)]
    fn and(self, a: U, b: U) -> U {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(self, a: U, b: U) -> U {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn xor(self, a: U, b: U) -> U {
        zip(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn shl(self, a: U, by: u32) -> U {
        map(a, |a| a << by)
    }
    #[inline(always)]
    fn shr(self, a: U, by: u32) -> U {
        map(a, |a| a >> by)
    }
    #[inline(always)]
    fn sar(self, a: U, by: u32) -> U {
        map(a, |a| (a.cast_signed() >> by).cast_unsigned())
    }
    #[inline(always)]
    fn add(self, a: U, b: U) -> U {
        zip(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn mul(self, a: U, b: U) -> U {
        zip(a, b, u32::wrapping_mul)
    }
    #[inline(always)]
    fn lookup(self, table: [i8; 16], a: U) -> U {
        map(a, |a| {
            u32::from_le_bytes(
                a.to_le_bytes()
                    .map(|i| table[usize::from(i & 15)].cast_unsigned()),
            )
        })
    }
    #[inline(always)]
    fn dot(self, acc: U, w: [U; 4], x: [u32; 4]) -> U {
        by_words(acc, w, x, |acc, w, x| {
            let x = x.to_le_bytes();
            std::array::from_fn(|i| {
                let w = w[i].to_le_bytes();
                let product =
                    |j: usize| i32::from(w[j].cast_signed()) * i32::from(x[j].cast_signed());
                let sum: i32 = (0..4).map(product).sum();
                acc[i].wrapping_add(sum.cast_unsigned())
            })
        })
    }
    #[inline(always)]
    fn dot_small(self, acc: U, w: [U; 4], x: [u32; 4]) -> U {
        self.dot(acc, w, x)
    }

    #[inline(always)]
    fn to_f(self, a: U) -> F {
        map(a, |a| a.cast_signed() as f32)
    }
    #[inline(always)]
    fn round(self, a: F) -> U {
        map(a, |a| (a.round_ties_even() as i32).cast_unsigned())
    }
    #[inline(always)]
    fn as_f(self, a: U) -> F {
        map(a, f32::from_bits)
    }
    #[inline(always)]
    fn half(self, a: U) -> F {
        map(a, |a| f16::from_bits(a as u16).to_f32())
    }
    #[inline(always)]
    fn splat_f(self, a: f32) -> F {
        [a; LANES]
    }
    #[inline(always)]
    fn add_f(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub_f(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul_f(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div_f(self, a: F, b: F) -> F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max_f(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if b > a { b } else { a })
    }
    #[inline(always)]
    fn min_f(self, a: F, b: F) -> F {
        zip(a, b, |a, b| if b < a { b } else { a })
    }
    #[inline(always)]
    fn abs_f(self, a: F) -> F {
        map(a, f32::abs)
    }
    #[inline(always)]
    fn load_f(self, from: &[f32]) -> F {
        first(from)
    }
    #[inline(always)]
    fn load_bits(self, from: &[u32]) -> F {
        std::array::from_fn(|i| f32::from_bits(from[i]))
    }
    #[inline(always)]
    fn load_halves(self, from: &[u32]) -> F {
        std::array::from_fn(|i| f16::from_bits((from[i / 2] >> (16 * (i % 2))) as u16).to_f32())
    }
    #[inline(always)]
    fn load_bytes(self, from: &[u32]) -> F {
        std::array::from_fn(|i| {
            f32::from((from[i / 4] >> (8 * (i % 4))).to_le_bytes()[0].cast_signed())
        })
    }
    #[inline(always)]
    fn store_f(self, a: F, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&a);
    }
    #[inline(always)]
    fn store(self, a: U, to: &mut [u32]) {
        to[..LANES].copy_from_slice(&a);
    }
}
