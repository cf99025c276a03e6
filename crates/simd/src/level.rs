//! Choosing the instruction set.

use crate::Isa;
#[cfg(target_arch = "aarch64")]
use crate::neon::Neon;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use crate::portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::wasm::Wasm;
#[cfg(target_arch = "x86_64")]
use crate::x86::{Avx2, Avx512};

/// Work written over any instruction set. `call` must be `#[inline(always)]`, so that it is compiled for the one it runs on.
pub trait Op {
    /// What comes out.
    type Out;
    /// Does the work.
    fn call<I: Isa>(self, isa: I) -> Self::Out;
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// 512-bit vectors with dot products of bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// 128-bit vectors of ARM with dot products of bytes.
    #[cfg(target_arch = "aarch64")]
    NeonDot(Neon<true>),
    /// 128-bit vectors of ARM.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon<false>),
    /// 128-bit vectors of WebAssembly.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm(Wasm),
    /// Plain code, for the compiler to make vectors of. A module with vectors runs in no browser without them, and is fetched: it has no
    /// second form of everything.
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    Portable(Portable),
}

impl Level {
    /// Every set that this processor has, best first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            Neon::<true>::detect().map(Self::NeonDot),
            #[cfg(target_arch = "aarch64")]
            Neon::<false>::detect().map(Self::Neon),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Some(Self::Wasm(Wasm)),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Some(Self::Portable(Portable)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The best one.
    #[must_use]
    pub fn best() -> Self {
        Self::all()[0]
    }

    /// Name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        struct Name;
        impl Op for Name {
            type Out = &'static str;
            #[inline(always)]
            fn call<I: Isa>(self, isa: I) -> &'static str {
                isa.name()
            }
        }
        self.run(Name)
    }

    /// Does the work with this set.
    pub fn run<O: Op>(self, op: O) -> O::Out {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(isa) => isa.run(op),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(isa) => isa.run(op),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot(isa) => isa.run(op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(isa) => isa.run(op),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Wasm(isa) => op.call(isa),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Self::Portable(isa) => op.call(isa),
        }
    }
}
