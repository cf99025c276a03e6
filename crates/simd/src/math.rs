//! Functions over vectors.

use crate::Isa;

/// `n` and `q` of `e^x = 2^n * (1 + q)`, with |q| < 0.42: |x| is at most 104.
///
/// `1 + q` is `e^r` with |r| <= ln(2)/2, by a polynomial of degree 6 (Cephes' `expf`).
#[inline(always)]
fn parts<I: Isa>(isa: I, x: I::F) -> (I::U, I::F) {
    let c = |v: f32| isa.splat_f(v);
    let n = isa.round(isa.mul_f(x, c(std::f32::consts::LOG2_E)));
    let n_f = isa.to_f(n);
    // ln 2 in two parts: the first has few bits, so that its product with n is exact.
    let r = isa.fma(n_f, c(-0.693_359_4), x);
    let r = isa.fma(n_f, c(2.121_944_4e-4), r);
    let mut p = c(1.987_569_1e-4);
    for k in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = isa.fma(p, r, c(k));
    }
    (n, isa.fma(p, isa.mul_f(r, r), r))
}

/// `2^(n + bias - 127)`.
#[inline(always)]
fn power<I: Isa>(isa: I, n: I::U, bias: u32) -> I::F {
    isa.as_f(isa.shl(isa.add(n, isa.splat(bias)), 23))
}

/// `e^x`: within 2 units in the last place from -87 to 88, 0 and a large finite number beyond.
#[inline(always)]
pub fn exp<I: Isa>(isa: I, x: I::F) -> I::F {
    let x = isa.min_f(isa.max_f(x, isa.splat_f(-104.0)), isa.splat_f(88.0));
    let (n, q) = parts(isa, x);
    let p = isa.add_f(q, isa.splat_f(1.0));
    // 2^n in two factors: n may be below the smallest exponent of a normal number.
    let half = isa.sar(n, 1);
    let rest = isa.add(n, isa.xor(half, isa.splat(u32::MAX)));
    // -half is !half + 1.
    isa.mul_f(isa.mul_f(p, power(isa, half, 127)), power(isa, rest, 128))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid<I: Isa>(isa: I, x: I::F) -> I::F {
    let one = isa.splat_f(1.0);
    let e = exp(isa, isa.sub_f(isa.splat_f(0.0), x));
    isa.div_f(one, isa.add_f(one, e))
}

/// `tanh(x)`, within 3 units in the last place: near zero too, where `e^2x - 1` from `e^2x` would have lost its digits.
#[inline(always)]
pub fn tanh<I: Isa>(isa: I, x: I::F) -> I::F {
    // Beyond 10 it is 1 in f32.
    let x = isa.min_f(isa.max_f(x, isa.splat_f(-10.0)), isa.splat_f(10.0));
    let (n, q) = parts(isa, isa.add_f(x, x));
    let power = power(isa, n, 127);
    let e = isa.fma(power, q, isa.sub_f(power, isa.splat_f(1.0)));
    isa.div_f(e, isa.add_f(e, isa.splat_f(2.0)))
}
