//! Engine, sessions, sampling, the generate loop and trace taps.
//!
//! [`Engine::load`] reads a GGUF file from a [`ModelSource`] onto the device and makes the static plan. A [`Session`] is one
//! conversation: it keeps the token log (the source of truth) and computes only what its KV pages do not hold yet.
#![forbid(unsafe_code)]

mod answer;
mod clock;
mod decode;
mod device;
mod engine;
mod error;
mod eval;
mod load;
mod options;
mod place;
mod profile;
pub mod prompt;
pub mod sampler;
mod selftest;
mod session;
mod source;
mod speculate;
mod trace;
pub mod trace_check;
mod tune;
mod upload;

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub use chord_kernels::cpu::lend_thread;
pub use chord_kernels::gpu::AdapterInfo;
pub use chord_kernels::matmul::Layout;
pub use chord_kernels::profile::Clock;
pub use chord_model::FitPlan;
#[doc(hidden)]
pub use chord_model::Splits;
pub use engine::{Counters, Engine, OVERLAPPED_CHAIN};
pub use error::{Error, ExitClass};
pub use load::LoadProgress;
#[doc(hidden)]
pub use options::Fault;
pub use options::{
    DeviceChoice, EngineOptions, FIRST_TOKENS, KvType, Overflow, Precision, Speculate,
};
pub use profile::{Phase, PhaseProfile, Profile, ProfiledStep, Row, Slice};
pub use sampler::{Overrides, Sampling};
pub use selftest::SelfTest;
pub use session::{Done, Event, FinishReason, GenerateRequest, Logprobs, Session, Timings};
pub use source::{ModelSource, read_header};
pub use trace::{Tap, TraceDump};
