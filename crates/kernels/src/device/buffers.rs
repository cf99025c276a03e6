//! The buffers of a plan, and its steps bound to them.

use super::{BoundStep, Buffer, Copy, Device};
use crate::Error;
use crate::op::{BufDesc, BufId, Step};

/// The buffers of a plan on a device.
#[derive(Debug)]
pub struct Buffers {
    all: Vec<Buffer>,
}

impl Buffers {
    /// Allocates every buffer, zeroed.
    ///
    /// # Errors
    /// `E_GPU_OOM`, `E_GPU_REFUSED`.
    pub async fn allocate(device: &Device, descriptions: &[BufDesc]) -> Result<Self, Error> {
        let all = device.buffers(descriptions).await?;
        Ok(Self { all })
    }

    /// A buffer.
    #[must_use]
    pub fn buffer(&self, id: BufId) -> &Buffer {
        &self.all[id]
    }

    /// Adds a buffer after the fact, for work outside the static plan (evaluation of every row).
    ///
    /// # Errors
    /// `E_GPU_OOM`, `E_GPU_REFUSED`.
    pub async fn extend(&mut self, device: &Device, description: &BufDesc) -> Result<BufId, Error> {
        let one = std::slice::from_ref(description);
        self.all.extend(device.buffers(one).await?);
        Ok(self.all.len() - 1)
    }

    /// Puts a buffer as described in the place of another, with the first `held` words of that one; steps that bind it must be bound
    /// again.
    ///
    /// # Errors
    /// `E_GPU_OOM`, `E_GPU_REFUSED`; nothing has changed then.
    pub async fn enlarge(
        &mut self,
        device: &Device,
        id: BufId,
        description: &BufDesc,
        held: u64,
    ) -> Result<(), Error> {
        let one = std::slice::from_ref(description);
        let mut larger = device.buffers(one).await?;
        let larger = larger.pop().expect("one was asked for");
        let copy = Copy::new(&self.all[id], 0, &larger, 0, held);
        device.run(std::iter::empty(), 0, &[copy]);
        self.all[id] = larger;
        Ok(())
    }

    /// Makes a step ready; on a GPU its pipeline is compiled.
    ///
    /// # Errors
    /// `E_SHADER`, `E_GPU_REFUSED`, `E_GPU_OOM`.
    pub async fn bind(&self, device: &Device, step: &Step) -> Result<BoundStep, Error> {
        let bound = step.bind.iter().map(|(slot, id)| (*slot, &self.all[*id]));
        match device {
            Device::Gpu(gpu) => {
                let bound: Vec<_> = bound.map(|(slot, b)| (slot, b.gpu())).collect();
                Ok(BoundStep::Gpu(gpu.bind(step, &bound).await?))
            }
            Device::Cpu(cpu) => {
                let bound = bound.map(|(slot, b)| (slot, b.cpu()));
                Ok(BoundStep::Cpu(cpu.bind(step, bound)))
            }
        }
    }
}
