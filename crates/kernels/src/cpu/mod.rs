//! Runs steps on the host's processor, over plain memory: each kernel's scalar twin, or its fast form.

mod cores;
mod device;
pub(crate) mod formats;
mod memory;
mod pace;
mod panels;
#[cfg_attr(
    all(target_arch = "wasm32", not(target_feature = "atomics")),
    path = "alone.rs"
)]
mod pool;
pub(crate) mod product;
pub(crate) mod tiles;

pub use cores::Cores;
pub use device::{BoundStep, Buffer, Cpu};
pub use memory::{CpuBuffer, PANEL, Words, WordsMut};
#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub use pool::lend_thread;

use crate::kv::SlotOrder;
use crate::op::{BufDesc, BufId, Step};
use std::sync::Arc;

/// The buffers of a plan in host memory, as the GPU has them: what twins work on.
#[derive(Debug, Default)]
pub struct CpuMemory {
    buffers: Vec<Arc<CpuBuffer>>,
}

impl CpuMemory {
    /// Zeroed buffers.
    #[must_use]
    pub fn new(buffers: &[BufDesc]) -> Self {
        let zeroed = |b: &BufDesc| {
            let words = usize::try_from(b.words).unwrap_or(usize::MAX);
            Arc::new(CpuBuffer::of(vec![0; words]))
        };
        Self {
            buffers: buffers.iter().map(zeroed).collect(),
        }
    }

    /// The words of a buffer.
    #[must_use]
    pub fn words(&self, id: BufId) -> Words<'_> {
        self.buffers[id].words()
    }

    /// The words of a buffer, to be changed.
    #[must_use]
    pub fn words_mut(&self, id: BufId) -> WordsMut<'_> {
        self.buffers[id].words_mut()
    }

    /// Runs the twin of one step for the first `rows` rows of the batch.
    pub fn run(&self, step: &Step, rows: u32) {
        let bind: Vec<_> = step
            .bind
            .iter()
            .map(|(binding, id)| (*binding, self.buffers[*id].clone()))
            .collect();
        step.kernel.cpu(rows, &CpuBindings::new(&bind));
    }
}

/// The bindings of one step. As on the GPU, a buffer that is written must not be bound twice: borrowing it again panics.
#[derive(Clone, Copy, Debug)]
pub struct CpuBindings<'a> {
    bind: &'a [(u32, Arc<CpuBuffer>)],
}

impl<'a> CpuBindings<'a> {
    /// Binding → buffer.
    #[must_use]
    pub fn new(bind: &'a [(u32, Arc<CpuBuffer>)]) -> Self {
        Self { bind }
    }

    fn buffer(&self, binding: u32) -> &'a CpuBuffer {
        let found = self.bind.iter().find(|(b, _)| *b == binding);
        &found
            .unwrap_or_else(|| panic!("binding {binding} is not bound"))
            .1
    }

    /// How the slots of a binding of keys or values lie.
    pub(crate) fn slot_order(&self, binding: u32) -> SlotOrder {
        self.buffer(binding).slot_order()
    }

    /// Words of a binding.
    #[must_use]
    pub fn read(&self, binding: u32) -> Words<'a> {
        self.buffer(binding).words()
    }

    /// Words of a binding, to be written.
    #[must_use]
    pub fn write(&self, binding: u32) -> WordsMut<'a> {
        self.buffer(binding).words_mut()
    }
}

/// Reads an f32 from words.
#[must_use]
pub fn f(words: &[u32], i: usize) -> f32 {
    f32::from_bits(words[i])
}
