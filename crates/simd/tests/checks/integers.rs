//! Integers and bytes.

use super::{Random, map};
use chord_simd::{Isa, PANEL};

#[inline(always)]
pub(super) fn check<I: Isa>(isa: I) {
    let mut random = Random::new();
    for _ in 0..500 {
        let (a, b) = (random.words(), random.words());
        words(isa, &a, &b);
        shifts(isa, &a);
        let x = std::array::from_fn(|_| random.word());
        dots(isa, std::array::from_fn(|_| random.words()), x, &a);
        lookup(isa, &a, &b);
    }
}

#[inline(always)]
fn words<I: Isa>(isa: I, a: &[u32; PANEL], b: &[u32; PANEL]) {
    let expect =
        |f: fn(u32, u32) -> u32| -> [u32; PANEL] { std::array::from_fn(|i| f(a[i], b[i])) };
    let load = |g: usize| (isa.load(a, g), isa.load(b, g));
    let name = isa.name();
    assert_eq!(map(isa, |g| load(g).0), *a, "{name}: load, store");
    assert_eq!(
        map(isa, |_| isa.splat(a[0])),
        [a[0]; PANEL],
        "{name}: splat"
    );
    let and = map(isa, |g| isa.and(load(g).0, load(g).1));
    assert_eq!(and, expect(|a, b| a & b), "{name}: and");
    let or = map(isa, |g| isa.or(load(g).0, load(g).1));
    assert_eq!(or, expect(|a, b| a | b), "{name}: or");
    let xor = map(isa, |g| isa.xor(load(g).0, load(g).1));
    assert_eq!(xor, expect(|a, b| a ^ b), "{name}: xor");
    let add = map(isa, |g| isa.add(load(g).0, load(g).1));
    assert_eq!(add, expect(u32::wrapping_add), "{name}: add");
    let mul = map(isa, |g| isa.mul(load(g).0, load(g).1));
    assert_eq!(mul, expect(u32::wrapping_mul), "{name}: mul");
}

#[inline(always)]
fn shifts<I: Isa>(isa: I, a: &[u32; PANEL]) {
    let name = isa.name();
    for by in 0..32 {
        let shl = map(isa, |g| isa.shl(isa.load(a, g), by));
        assert_eq!(shl, a.map(|a| a << by), "{name}: shl {by}");
        let shr = map(isa, |g| isa.shr(isa.load(a, g), by));
        assert_eq!(shr, a.map(|a| a >> by), "{name}: shr {by}");
        let sar = map(isa, |g| isa.sar(isa.load(a, g), by));
        let expected = a.map(|a| (a.cast_signed() >> by).cast_unsigned());
        assert_eq!(sar, expected, "{name}: sar {by}");
    }
}

#[inline(always)]
fn dots<I: Isa>(isa: I, w: [[u32; PANEL]; 4], x: [u32; 4], acc: &[u32; PANEL]) {
    let name = isa.name();
    // Activations are never -128; the largest products come up too.
    let x = x.map(|x| {
        u32::from_le_bytes(
            x.to_le_bytes()
                .map(|b| if b & 0x78 == 0 { (b >> 7) * 2 + 127 } else { b }),
        )
    });
    let w = w.map(|w| {
        w.map(|w| {
            u32::from_le_bytes(
                w.to_le_bytes()
                    .map(|b| if b & 0x78 == 0 { (b >> 7) + 127 } else { b }),
            )
        })
    });
    let expect = |w: &[[u32; PANEL]; 4], byte: fn(u8) -> i32| -> [u32; PANEL] {
        std::array::from_fn(|i| {
            let w = w.iter().flat_map(|w| w[i].to_le_bytes());
            let x = x.iter().flat_map(|x| x.to_le_bytes());
            let products = w.zip(x).map(|(w, x)| byte(w) * i32::from(x.cast_signed()));
            acc[i].wrapping_add(products.sum::<i32>().cast_unsigned())
        })
    };
    let dot = map(isa, |g| {
        isa.dot(isa.load(acc, g), w.map(|w| isa.load(&w, g)), x)
    });
    let byte = if I::UNSIGNED {
        |b: u8| i32::from(b)
    } else {
        |b: u8| i32::from(b.cast_signed())
    };
    assert_eq!(dot, expect(&w, byte), "{name}: dot");
    let small = w.map(|w| w.map(|w| w & 0x7f7f_7f7f));
    let dot = map(isa, |g| {
        isa.dot_small(isa.load(acc, g), small.map(|w| isa.load(&w, g)), x)
    });
    assert_eq!(dot, expect(&small, i32::from), "{name}: dot_small");
}

#[inline(always)]
fn lookup<I: Isa>(isa: I, at: &[u32; PANEL], table: &[u32; PANEL]) {
    let name = isa.name();
    let entry = |i: u8| table[usize::from(i) / 4].to_le_bytes()[usize::from(i) % 4].cast_signed();
    let table: [i8; 16] = std::array::from_fn(|i| entry(i as u8));
    let at = at.map(|a| a & 0x0f0f_0f0f);
    let lookup = map(isa, |g| isa.lookup(table, isa.load(&at, g)));
    let expected = at.map(|a| {
        u32::from_le_bytes(
            a.to_le_bytes()
                .map(|i| table[usize::from(i)].cast_unsigned()),
        )
    });
    assert_eq!(lookup, expected, "{name}: lookup");
}
