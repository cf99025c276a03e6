//! Executes steps with the kernels' CPU twins, on plain memory.

use crate::op::{BufDesc, BufId, Step};
use std::cell::{Ref, RefCell, RefMut};

/// The buffers of a plan in host memory, as words.
#[derive(Debug, Default)]
pub struct CpuMemory {
    buffers: Vec<RefCell<Vec<u32>>>,
}

impl CpuMemory {
    /// Zeroed buffers.
    #[must_use]
    pub fn new(buffers: &[BufDesc]) -> Self {
        let zeroed =
            |b: &BufDesc| RefCell::new(vec![0; usize::try_from(b.words).unwrap_or(usize::MAX)]);
        Self {
            buffers: buffers.iter().map(zeroed).collect(),
        }
    }

    /// The words of a buffer.
    #[must_use]
    pub fn words(&self, id: BufId) -> Ref<'_, Vec<u32>> {
        self.buffers[id].borrow()
    }

    /// The words of a buffer, to be changed.
    #[must_use]
    pub fn words_mut(&self, id: BufId) -> RefMut<'_, Vec<u32>> {
        self.buffers[id].borrow_mut()
    }

    /// Runs one step for the first `rows` rows of the batch.
    pub fn run(&self, step: &Step, rows: u32) {
        step.kernel.cpu(
            rows,
            &CpuBindings {
                bind: &step.bind,
                memory: self,
            },
        );
    }
}

/// The bindings of one step. As on the GPU, a buffer that is written must not be bound twice: the borrow panics.
#[derive(Debug)]
pub struct CpuBindings<'a> {
    bind: &'a [(u32, BufId)],
    memory: &'a CpuMemory,
}

impl<'a> CpuBindings<'a> {
    fn id(&self, binding: u32) -> BufId {
        let found = self.bind.iter().find(|(b, _)| *b == binding);
        found
            .unwrap_or_else(|| panic!("binding {binding} is not bound"))
            .1
    }

    /// Words of a binding.
    #[must_use]
    pub fn read(&self, binding: u32) -> Ref<'a, Vec<u32>> {
        self.memory.words(self.id(binding))
    }

    /// Words of a binding, to be written.
    #[must_use]
    pub fn write(&self, binding: u32) -> RefMut<'a, Vec<u32>> {
        self.memory.words_mut(self.id(binding))
    }
}

/// Reads an f32 from words.
#[must_use]
pub fn f(words: &[u32], i: usize) -> f32 {
    f32::from_bits(words[i])
}
