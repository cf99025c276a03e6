//! Where steps run: a GPU, or the host's processor. Both hold buffers of words, bind the same steps and count the same work.

mod buffers;
mod copy;

pub use crate::gpu::Recorded;
pub use buffers::Buffers;
pub use copy::Copy;

use crate::Error;
use crate::cpu::{self, Cpu};
use crate::gpu::{self, AdapterInfo, Caps, Counters, Gpu};
use crate::op::{BufDesc, Role, Step};
use crate::profile::{Clock, StepTime};
use std::sync::atomic::AtomicBool;

/// An open device.
#[derive(Debug)]
pub enum Device {
    /// Through wgpu.
    Gpu(Gpu),
    /// The host's processor.
    Cpu(Cpu),
}

/// A buffer on a device.
#[derive(Debug)]
pub enum Buffer {
    /// Of [`Device::Gpu`].
    Gpu(gpu::Buffer),
    /// Of [`Device::Cpu`].
    Cpu(cpu::Buffer),
}

/// Where reads arrive: made once and used for every read of up to its size.
#[derive(Debug)]
pub enum Staging {
    /// Of [`Device::Gpu`].
    Gpu(gpu::Staging),
    /// Of [`Device::Cpu`].
    Cpu(cpu::Buffer),
}

/// Commands that a device was given.
#[derive(Clone, Debug)]
pub struct Submission(Option<wgpu::SubmissionIndex>);

/// A step ready to run.
#[derive(Debug)]
pub enum BoundStep {
    /// On [`Device::Gpu`].
    Gpu(gpu::BoundStep),
    /// On [`Device::Cpu`].
    Cpu(cpu::BoundStep),
}

/// Things of two devices met: a plan is made for one.
fn foreign() -> ! {
    panic!("this belongs to another device")
}

fn record<'a>(
    gpu: &Gpu,
    steps: impl Iterator<Item = &'a BoundStep>,
    rows: u32,
    after: &[Copy<'_>],
) -> Recorded {
    let steps = steps.map(|step| match step {
        BoundStep::Gpu(step) => step,
        BoundStep::Cpu(_) => foreign(),
    });
    let after: Vec<_> = after.iter().map(Copy::on_gpu).collect();
    gpu.record(steps, rows, &after)
}

impl Buffer {
    fn gpu(&self) -> &gpu::Buffer {
        match self {
            Self::Gpu(buffer) => buffer,
            Self::Cpu(_) => foreign(),
        }
    }

    fn cpu(&self) -> &cpu::Buffer {
        match self {
            Self::Cpu(buffer) => buffer,
            Self::Gpu(_) => foreign(),
        }
    }
}

impl BoundStep {
    /// The step's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Gpu(step) => &step.name,
            Self::Cpu(step) => step.name(),
        }
    }

    /// Bytes of weights that one run over `rows` rows reads.
    #[must_use]
    pub fn weight_bytes(&self, rows: u32) -> u64 {
        match self {
            Self::Gpu(step) => step.weight_bytes(rows),
            Self::Cpu(step) => step.weight_bytes(rows),
        }
    }
}

impl Device {
    /// The adapter, or the processor.
    #[must_use]
    pub fn info(&self) -> &AdapterInfo {
        match self {
            Self::Gpu(gpu) => gpu.info(),
            Self::Cpu(cpu) => cpu.info(),
        }
    }

    /// Threads that compute; 0 on a GPU.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self {
            Self::Gpu(_) => 0,
            Self::Cpu(cpu) => cpu.threads(),
        }
    }

    /// What it can do. The only place that knows.
    #[must_use]
    pub fn caps(&self) -> &Caps {
        match self {
            Self::Gpu(gpu) => gpu.caps(),
            Self::Cpu(cpu) => cpu.caps(),
        }
    }

    /// Work done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        match self {
            Self::Gpu(gpu) => gpu.counters(),
            Self::Cpu(cpu) => cpu.counters(),
        }
    }

    /// What destroys the device, at any time: every later use fails with `E_DEVICE_LOST`, as after a driver reset.
    #[must_use]
    pub fn destroyer(&self) -> Box<dyn Fn()> {
        match self {
            Self::Gpu(gpu) => Box::new(gpu.destroyer()),
            Self::Cpu(cpu) => Box::new(cpu.destroyer()),
        }
    }

    /// Fails when the device has been lost or has reported an error nobody caught.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_REFUSED`.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.check(),
            Self::Cpu(cpu) => cpu.check(),
        }
    }

    async fn buffers(&self, descriptions: &[BufDesc]) -> Result<Vec<Buffer>, Error> {
        match self {
            Self::Gpu(gpu) => {
                let mut all = Vec::with_capacity(descriptions.len());
                for d in descriptions {
                    all.push(Buffer::Gpu(gpu.buffer(&d.label, d.words, d.role).await?));
                }
                Ok(all)
            }
            Self::Cpu(cpu) => {
                let all = cpu.buffers(descriptions)?;
                Ok(all.into_iter().map(Buffer::Cpu).collect())
            }
        }
    }

    /// Writes words at a word offset; takes effect before the next run.
    pub fn write(&self, buffer: &Buffer, word_offset: u64, words: &[u32]) {
        match self {
            Self::Gpu(gpu) => gpu.write(buffer.gpu(), word_offset, words),
            Self::Cpu(cpu) => cpu.write(buffer.cpu(), word_offset, words),
        }
    }

    /// Compiles what these steps need on a GPU, several kernels at once, until `stop` is set: to bind them is then quick. In a browser,
    /// which has one thread for that, binding compiles them.
    pub fn compile<'a>(&self, steps: impl Iterator<Item = &'a Step>, stop: &AtomicBool) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Self::Gpu(gpu) = self {
            gpu.compile_all(steps, stop);
        }
        #[cfg(target_arch = "wasm32")]
        let _ = (steps, stop);
    }

    /// Keeps the pipelines made so far for the next run, where the device was opened with a place for them. A failure is no error: the next
    /// run compiles them again.
    pub fn keep_pipelines(&self) {
        match self {
            Self::Gpu(gpu) => gpu.keep_pipelines(),
            Self::Cpu(_) => {}
        }
    }

    /// Hands written data over and waits for it, so that staging memory is freed: loading a model without this holds it twice.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn flush(&self) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.flush().await,
            Self::Cpu(cpu) => cpu.wait().await,
        }
    }

    /// Hands written data over and waits for what the call before handed over: at most that of two calls is held twice.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn send(&self) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.send().await,
            Self::Cpu(cpu) => cpu.wait().await,
        }
    }

    /// Runs the steps in order, in one submit, then the copies `after` them.
    pub fn run<'a>(
        &self,
        steps: impl Iterator<Item = &'a BoundStep>,
        rows: u32,
        after: &[Copy<'_>],
    ) -> Submission {
        match self {
            Self::Gpu(gpu) => Submission(Some(gpu.submit(record(gpu, steps, rows, after)))),
            Self::Cpu(cpu) => {
                let steps = steps.map(|step| match step {
                    BoundStep::Cpu(step) => step,
                    BoundStep::Gpu(_) => foreign(),
                });
                cpu.run(steps, rows);
                after.iter().for_each(Copy::on_cpu);
                Submission(None)
            }
        }
    }

    /// Encodes such a run for [`Device::submit`], while the device is at work on another. None on the CPU, which has nothing to encode.
    pub fn record<'a>(
        &self,
        steps: impl Iterator<Item = &'a BoundStep>,
        rows: u32,
        after: &[Copy<'_>],
    ) -> Option<Recorded> {
        match self {
            Self::Gpu(gpu) => Some(record(gpu, steps, rows, after)),
            Self::Cpu(_) => None,
        }
    }

    /// Runs what was recorded. What it binds must be there still.
    pub fn submit(&self, recorded: Recorded) -> Submission {
        match self {
            Self::Gpu(gpu) => Submission(Some(gpu.submit(recorded))),
            Self::Cpu(_) => foreign(),
        }
    }

    /// Whose clock [`Device::run_timed`] reads.
    #[must_use]
    pub fn clock(&self) -> Clock {
        match self {
            Self::Gpu(_) => Clock::Gpu,
            Self::Cpu(_) => Clock::Host,
        }
    }

    /// Runs the steps in order and says when each ran. Slower than [`Device::run`], and not to be used while anything is counted.
    ///
    /// # Errors
    /// `E_NO_TIMESTAMPS` where the adapter has none, and the device's.
    pub async fn run_timed(&self, steps: &[&BoundStep], rows: u32) -> Result<Vec<StepTime>, Error> {
        match self {
            Self::Gpu(gpu) => {
                let steps = steps.iter().map(|step| match step {
                    BoundStep::Gpu(step) => step,
                    BoundStep::Cpu(_) => foreign(),
                });
                gpu.run_timed(&steps.collect::<Vec<_>>(), rows).await
            }
            Self::Cpu(cpu) => {
                let mut times = Vec::with_capacity(steps.len());
                let steps = steps.iter().map(|step| match step {
                    BoundStep::Cpu(step) => step,
                    BoundStep::Gpu(_) => foreign(),
                });
                cpu.run_each(steps, rows, |time| times.push(time));
                cpu.wait().await?;
                Ok(times)
            }
        }
    }

    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn wait(&self) -> Result<(), Error> {
        match self {
            Self::Gpu(gpu) => gpu.wait().await,
            Self::Cpu(cpu) => cpu.wait().await,
        }
    }

    /// Staging of `words` words.
    ///
    /// # Errors
    /// `E_GPU_OOM`.
    pub async fn staging(&self, words: u64) -> Result<Staging, Error> {
        match self {
            Self::Gpu(gpu) => Ok(Staging::Gpu(gpu.staging(words).await?)),
            Self::Cpu(cpu) => {
                let description = BufDesc {
                    label: "staging".into(),
                    words,
                    role: Role::Storage,
                };
                let made = cpu.buffers(&[description])?.pop();
                Ok(Staging::Cpu(made.expect("one was asked for")))
            }
        }
    }

    /// Reads `words` words that a run staged, while the device goes on with what it was given since.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn map(
        &self,
        staging: &Staging,
        words: u64,
        by: Submission,
    ) -> Result<Vec<u32>, Error> {
        match (self, staging) {
            (Self::Gpu(gpu), Staging::Gpu(staging)) => gpu.map(staging, words, by.0).await,
            (Self::Cpu(cpu), Staging::Cpu(staging)) => cpu.read(staging, words).await,
            _ => foreign(),
        }
    }

    /// Reads words from a buffer now. Creates nothing: `staging` must be large enough.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn read(
        &self,
        staging: &Staging,
        from: &Buffer,
        from_word: u64,
        words: u64,
    ) -> Result<Vec<u32>, Error> {
        let copy = Copy::stage(staging, 0, from, from_word, words);
        let by = self.run(std::iter::empty(), 0, &[copy]);
        self.map(staging, words, by).await
    }
}
