//! Vectors of the processor at hand. Code is written once over [`Isa`] and runs inside [`Level::run`], which compiles it for each
//! instruction set and picks the best one that this processor has.
//!
//! No kept library has integer dot products of bytes chosen at run time, and those are what quantised weights live on; so this
//! is the standard library's intrinsics behind a few dozen operations. The only `unsafe` of the engine is here: an instruction
//! set's type is proof that the processor has it, because only detection makes one.

mod isa;
mod level;
pub mod math;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod methods;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pages;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::{Isa, PANEL};
pub use level::{Level, Op};
pub use pages::prefer_large_pages;
