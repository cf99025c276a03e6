//! Floats, and functions of them.

use super::{Random, map, map_f};
use chord_simd::{Isa, PANEL, math};
use half::f16;

#[inline(always)]
pub(super) fn check<I: Isa>(isa: I) {
    let mut random = Random::new();
    for _ in 0..500 {
        let most = 10f32.powf(random.float(30.0));
        let (a, b) = (random.floats(most), random.floats(most));
        arithmetic(isa, &a, &b);
        lanes(isa, &a);
        integers(isa, &random.words());
    }
    halves(isa);
    bytes(isa);
    functions(isa);
}

/// The panel of these numbers.
#[inline(always)]
fn load<I: Isa>(isa: I, a: &[f32; PANEL], group: usize) -> I::F {
    isa.load_f(&a[I::LANES * group..])
}

#[inline(always)]
fn arithmetic<I: Isa>(isa: I, a: &[f32; PANEL], b: &[f32; PANEL]) {
    let name = isa.name();
    let expect =
        |f: fn(f32, f32) -> f32| -> [f32; PANEL] { std::array::from_fn(|i| f(a[i], b[i])) };
    let get = |g: usize| (load(isa, a, g), load(isa, b, g));
    assert_eq!(map_f(isa, |g| get(g).0), *a, "{name}: load_f, store_f");
    let bits = a.map(f32::to_bits);
    assert_eq!(
        map_f(isa, |g| isa.load_bits(&bits[I::LANES * g..])),
        *a,
        "{name}: load_bits"
    );
    assert_eq!(
        map_f(isa, |g| isa.as_f(isa.load(&bits, g))),
        *a,
        "{name}: as_f"
    );
    assert_eq!(
        map_f(isa, |_| isa.splat_f(a[0])),
        [a[0]; PANEL],
        "{name}: splat_f"
    );
    let add = map_f(isa, |g| isa.add_f(get(g).0, get(g).1));
    assert_eq!(add, expect(|a, b| a + b), "{name}: add_f");
    let sub = map_f(isa, |g| isa.sub_f(get(g).0, get(g).1));
    assert_eq!(sub, expect(|a, b| a - b), "{name}: sub_f");
    let mul = map_f(isa, |g| isa.mul_f(get(g).0, get(g).1));
    assert_eq!(mul, expect(|a, b| a * b), "{name}: mul_f");
    let div = map_f(isa, |g| isa.div_f(get(g).0, get(g).1));
    assert_eq!(div, expect(|a, b| a / b), "{name}: div_f");
    let max = map_f(isa, |g| isa.max_f(get(g).0, get(g).1));
    assert_eq!(max, expect(f32::max), "{name}: max_f");
    let min = map_f(isa, |g| isa.min_f(get(g).0, get(g).1));
    assert_eq!(min, expect(f32::min), "{name}: min_f");
    let abs = map_f(isa, |g| isa.abs_f(get(g).0));
    assert_eq!(abs, a.map(f32::abs), "{name}: abs_f");
    // Rounded once or twice: both are right.
    let fma = map_f(isa, |g| isa.fma(get(g).0, get(g).1, get(g).0));
    for i in 0..PANEL {
        let (once, twice) = (a[i].mul_add(b[i], a[i]), a[i] * b[i] + a[i]);
        assert!(
            fma[i] == once || fma[i] == twice,
            "{name}: fma of {} and {}: {}",
            a[i],
            b[i],
            fma[i]
        );
    }
}

#[inline(always)]
fn lanes<I: Isa>(isa: I, a: &[f32; PANEL]) {
    let name = isa.name();
    let first = &a[..I::LANES];
    let expected: f64 = first.iter().map(|v| f64::from(*v)).sum();
    let scale: f64 = first.iter().map(|v| f64::from(v.abs())).sum();
    let sum = f64::from(isa.sum(load(isa, a, 0)));
    assert!(
        (sum - expected).abs() <= 1e-6 * scale,
        "{name}: sum {sum}, not {expected}"
    );
    let top = first.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    assert_eq!(isa.top(load(isa, a, 0)), top, "{name}: top");
}

#[inline(always)]
fn integers<I: Isa>(isa: I, words: &[u32; PANEL]) {
    let name = isa.name();
    let to_f = map_f(isa, |g| isa.to_f(isa.load(words, g)));
    assert_eq!(to_f, words.map(|w| w.cast_signed() as f32), "{name}: to_f");
    // Quarters: ties among them.
    let a = words.map(|w| (w.cast_signed() >> 8) as f32 / 4.0);
    let round = map(isa, |g| isa.round(load(isa, &a, g)));
    let expected = a.map(|a| (a.round_ties_even() as i32).cast_unsigned());
    assert_eq!(round, expected, "{name}: round");
}

/// All of them: every bit must be right, but for what a NaN carries.
#[inline(always)]
fn halves<I: Isa>(isa: I) {
    let name = isa.name();
    for first in (0..=u16::MAX).step_by(PANEL) {
        // What is above the low 16 bits means nothing.
        let words: [u32; PANEL] =
            std::array::from_fn(|i| (u32::from(first) + i as u32) | 0xa5a5_0000);
        let packed: [u32; PANEL / 2] =
            std::array::from_fn(|i| (words[2 * i] & 0xffff) | (words[2 * i + 1] << 16));
        let one = map_f(isa, |g| isa.half(isa.load(&words, g)));
        let two = map_f(isa, |g| isa.load_halves(&packed[I::LANES / 2 * g..]));
        for i in 0..PANEL {
            let expected = f16::from_bits(words[i] as u16).to_f32();
            let same =
                |a: f32| a.to_bits() == expected.to_bits() || (a.is_nan() && expected.is_nan());
            assert!(same(one[i]), "{name}: half {:#x}: {}", words[i], one[i]);
            assert!(
                same(two[i]),
                "{name}: load_halves {:#x}: {}",
                words[i],
                two[i]
            );
        }
    }
}

#[inline(always)]
fn bytes<I: Isa>(isa: I) {
    let name = isa.name();
    for first in (0..=u8::MAX).step_by(PANEL) {
        let all: [u8; PANEL] = std::array::from_fn(|i| first + i as u8);
        let packed = all.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b));
        let packed: Vec<u32> = packed.collect();
        let got = map_f(isa, |g| isa.load_bytes(&packed[I::LANES / 4 * g..]));
        let expected = all.map(|b| f32::from(b.cast_signed()));
        assert_eq!(got, expected, "{name}: load_bytes");
    }
}

/// Within 3e-7 of the number, over the whole range and near zero.
#[inline(always)]
fn functions<I: Isa>(isa: I) {
    let name = isa.name();
    let mut random = Random::new();
    let close =
        |got: f32, expected: f64| (f64::from(got) - expected).abs() <= 3e-7 * expected.abs();
    for round in 0..2000 {
        let most = [87.0, 10.0, 1.0, 1e-2, 1e-6][round % 5];
        let a = random.floats(most);
        let exp = map_f(isa, |g| math::exp(isa, load(isa, &a, g)));
        let tanh = map_f(isa, |g| math::tanh(isa, load(isa, &a, g)));
        for i in 0..PANEL {
            let x = f64::from(a[i]);
            assert!(close(exp[i], x.exp()), "{name}: exp({x}) is {}", exp[i]);
            assert!(close(tanh[i], x.tanh()), "{name}: tanh({x}) is {}", tanh[i]);
        }
    }
    let edges = [
        0.0,
        -0.0,
        -200.0,
        f32::NEG_INFINITY,
        -104.5,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
        0.0,
    ];
    let exp = map_f(isa, |g| math::exp(isa, load(isa, &edges, g)));
    assert_eq!(
        exp[..5],
        [1.0, 1.0, 0.0, 0.0, 0.0],
        "{name}: exp at its ends"
    );
    let mut far = [f32::INFINITY; PANEL];
    far[1..4].copy_from_slice(&[f32::NEG_INFINITY, 0.0, 1e30]);
    far[4..].fill(88.0);
    let tanh = map_f(isa, |g| math::tanh(isa, load(isa, &far, g)));
    assert_eq!(tanh[..4], [1.0, -1.0, 0.0, 1.0], "{name}: tanh at its ends");
    let exp = map_f(isa, |g| math::exp(isa, load(isa, &far, g)));
    assert!(
        exp[0].is_finite() && exp[0] >= 1e38,
        "{name}: exp above its range is {}",
        exp[0]
    );
    assert!(exp[4].is_finite(), "{name}: exp(88) is {}", exp[4]);
}
