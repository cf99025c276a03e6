//! Copies between buffers of a device, or into staging.

use super::{Buffer, Staging, foreign};
use crate::gpu;

/// Where a copy goes.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Buffer(&'a Buffer),
    Staging(&'a Staging),
}

/// A copy after a run's steps.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    from: &'a Buffer,
    from_word: u64,
    to: Target<'a>,
    to_word: u64,
    words: u64,
}

impl<'a> Copy<'a> {
    /// Between two buffers.
    #[must_use]
    pub fn new(from: &'a Buffer, from_word: u64, to: &'a Buffer, to_word: u64, words: u64) -> Self {
        Self {
            from,
            from_word,
            to: Target::Buffer(to),
            to_word,
            words,
        }
    }

    /// From a buffer into staging, to append to a run; [`super::Device::map`] reads it.
    #[must_use]
    pub fn stage(
        staging: &'a Staging,
        to_word: u64,
        from: &'a Buffer,
        from_word: u64,
        words: u64,
    ) -> Self {
        Self {
            from,
            from_word,
            to: Target::Staging(staging),
            to_word,
            words,
        }
    }

    pub(super) fn on_gpu(&self) -> gpu::Copy<'a> {
        let to = match self.to {
            Target::Buffer(Buffer::Gpu(to)) => &to.raw,
            Target::Staging(Staging::Gpu(to)) => to.raw(),
            _ => foreign(),
        };
        gpu::Copy {
            from: self.from.gpu(),
            from_word: self.from_word,
            to,
            to_word: self.to_word,
            words: self.words,
        }
    }

    pub(super) fn on_cpu(&self) {
        let to = match self.to {
            Target::Buffer(Buffer::Cpu(to)) | Target::Staging(Staging::Cpu(to)) => to,
            _ => foreign(),
        };
        to.copy_from(self.to_word, self.from.cpu(), self.from_word, self.words);
    }
}
