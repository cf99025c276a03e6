//! Waiting for the device and reading from it.

use super::arrival::Arrival;
use super::{Buffer, Counters, Gpu};
use crate::Error;
use std::sync::PoisonError;

/// No wait is without a deadline. Generous: a software adapter may take a while over one submit.
const DEADLINE_SECONDS: u64 = 300;

/// A host-readable buffer made once and used for every read of up to its size.
#[derive(Debug)]
pub struct Staging {
    buffer: Buffer,
}

/// What [`Gpu::send`] sent.
pub(super) struct Sent {
    index: wgpu::SubmissionIndex,
    done: Arrival<()>,
}

impl Staging {
    pub(crate) fn raw(&self) -> &wgpu::Buffer {
        &self.buffer.raw
    }
}

impl Gpu {
    /// A staging buffer of `words` words.
    ///
    /// # Errors
    /// `E_GPU_OOM`.
    pub async fn staging(&self, words: u64) -> Result<Staging, Error> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Staging {
            buffer: self.allocate("staging", words.max(4) * 4, usage).await?,
        })
    }

    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn wait(&self) -> Result<(), Error> {
        let done = Arrival::new();
        let arrive = done.callback();
        self.queue.on_submitted_work_done(move || arrive(()));
        self.arrived(&done, None).await
    }

    /// Sends written data to the device and waits for what the call before sent: it copies while the host makes more ready.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn send(&self) -> Result<(), Error> {
        let index = self.queue.submit([]);
        let done = Arrival::new();
        let arrive = done.callback();
        self.queue.on_submitted_work_done(move || arrive(()));
        let last = || self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last().replace(Sent { index, done });
        match before {
            Some(Sent { index, done }) => self.arrived(&done, Some(index)).await,
            None => self.check(),
        }
    }

    /// What a callback of the device brings, behind a submission or, with None, all of them. Natively it runs inside the poll here; in a
    /// browser, on the event loop.
    async fn arrived<T: Send + 'static>(
        &self,
        arrival: &Arrival<T>,
        behind: Option<wgpu::SubmissionIndex>,
    ) -> Result<T, Error> {
        #[cfg(not(target_arch = "wasm32"))]
        self.poll(behind)?;
        #[cfg(target_arch = "wasm32")]
        drop(behind);
        let value = arrival.take(DEADLINE_SECONDS).await;
        self.check()?;
        value.ok_or_else(|| self.timed_out())
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn poll(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), Error> {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        let poll = wgpu::PollType::Wait {
            submission_index,
            timeout: Some(std::time::Duration::from_secs(DEADLINE_SECONDS)),
        };
        // wgpu panics on a device lost while waiting, after it has called the lost handler: an error here.
        let done = catch_unwind(AssertUnwindSafe(|| self.device.poll(poll)));
        self.check()?;
        match done {
            Ok(Ok(_)) => Ok(()),
            // What was submitted to a device that is gone never reached it: behind what did, wgpu says so.
            Ok(Err(wgpu::PollError::WrongSubmissionIndex(..))) => self.poll(None),
            Ok(Err(_)) => Err(self.timed_out()),
            Err(_) => Err(Error::Lost("the driver failed while waiting".into())),
        }
    }

    /// What is still running may write where the next submit reads: nothing may follow.
    fn timed_out(&self) -> Error {
        let _ = self.lost.set("it did not answer in time".into());
        Error::Timeout {
            seconds: DEADLINE_SECONDS,
        }
    }

    /// Reads `words` words staged by a submission or, with None, by the last of all.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn map(
        &self,
        staging: &Staging,
        words: u64,
        by: Option<wgpu::SubmissionIndex>,
    ) -> Result<Vec<u32>, Error> {
        let range = 0..words * 4;
        let mapped = Arrival::new();
        staging
            .buffer
            .raw
            .map_async(wgpu::MapMode::Read, range.clone(), mapped.callback());
        let result = self.arrived(&mapped, by).await?;
        result.map_err(|e| Error::Lost(e.to_string()))?;
        let lost = |e: &dyn std::fmt::Display| Error::Lost(e.to_string());
        let view = staging
            .buffer
            .raw
            .get_mapped_range(range)
            .map_err(|e| lost(&e))?;
        let out = bytemuck::pod_collect_to_vec(&view[..]);
        drop(view);
        staging.buffer.raw.unmap();
        Counters::add(&self.counters().readback_bytes, words * 4);
        Ok(out)
    }
}
