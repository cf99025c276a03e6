//! Every method of an instruction set beside plain arithmetic: run natively as a test, and in a WebAssembly engine and an
//! emulator of ARM by tools/check-simd.sh.

mod floats;
mod integers;

use chord_simd::{Isa, Level, Op, PANEL};

/// Checks every instruction set of this processor. Returns their names.
///
/// # Panics
/// With what is wrong.
pub fn all() -> Vec<&'static str> {
    let checked = |level: Level| {
        level.run(Checks);
        level.name()
    };
    Level::all().into_iter().map(checked).collect()
}

struct Checks;

impl Op for Checks {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        assert_eq!(I::LANES * I::GROUPS, PANEL);
        integers::check(isa);
        floats::check(isa);
    }
}

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u32);

impl Random {
    fn new() -> Self {
        Self(0x2545_f491)
    }

    fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn words(&mut self) -> [u32; PANEL] {
        std::array::from_fn(|_| self.word())
    }

    /// From -`most` to `most`.
    fn float(&mut self, most: f32) -> f32 {
        (f64::from(self.word().cast_signed()) / 2f64.powi(31)) as f32 * most
    }

    fn floats(&mut self, most: f32) -> [f32; PANEL] {
        std::array::from_fn(|_| self.float(most))
    }
}

/// A panel through an operation, vector by vector.
#[inline(always)]
fn map<I: Isa>(isa: I, f: impl Fn(usize) -> I::U) -> [u32; PANEL] {
    let mut out = [0; PANEL];
    for group in 0..I::GROUPS {
        isa.store(f(group), &mut out[I::LANES * group..]);
    }
    out
}

/// The same for floats.
#[inline(always)]
fn map_f<I: Isa>(isa: I, f: impl Fn(usize) -> I::F) -> [f32; PANEL] {
    let mut out = [0.0; PANEL];
    for group in 0..I::GROUPS {
        isa.store_f(f(group), &mut out[I::LANES * group..]);
    }
    out
}
