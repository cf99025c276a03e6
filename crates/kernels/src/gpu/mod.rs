//! The device layer: adapters and capabilities, buffers, pipelines, execution and readback on wgpu.

mod adapter;
mod arrival;
mod execute;
#[cfg(not(target_arch = "wasm32"))]
mod kept;
/// A browser keeps compiled pipelines by itself.
#[cfg(target_arch = "wasm32")]
#[path = "kept_by_browser.rs"]
mod kept;
mod module;
mod open;
mod panels;
mod pipeline;
mod profile;
mod readback;

pub use adapter::{AdapterInfo, Adapters, Caps, list_adapters};
pub(crate) use execute::Copy;
pub use execute::{BoundStep, Recorded};
pub use open::GpuOptions;
use readback::Sent;
pub use readback::Staging;

use crate::Error;
use crate::op::Role;
use crate::shaders::{Shader, Weights};
use kept::Kept;
use panels::Panels;
use pipeline::Pipeline;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use web_time::Instant;

/// Work done since the device was opened; machine independent.
#[derive(Debug, Default)]
pub struct Counters {
    /// Dispatches submitted.
    pub dispatches: AtomicU64,
    /// Command buffers submitted.
    pub submits: AtomicU64,
    /// Bytes of weights the dispatches read.
    pub weight_bytes: AtomicU64,
    /// Bytes of KV the dispatches read.
    pub kv_bytes: AtomicU64,
    /// Bytes read back to the host.
    pub readback_bytes: AtomicU64,
    /// Bytes of GPU buffers alive. What a driver keeps for itself, staging for writes included, is not in it.
    pub gpu_bytes: AtomicU64,
    /// The most that ever was.
    pub gpu_peak_bytes: AtomicU64,
    /// Nanoseconds of the host spent on recording commands; the CPU device records none.
    pub encode_ns: AtomicU64,
    /// Nanoseconds of the host spent on handing them to the driver, which may start on them before it returns.
    pub submit_ns: AtomicU64,
    /// Buffers created.
    pub buffers: AtomicU64,
    /// Bind groups created.
    pub bind_groups: AtomicU64,
    /// Pipelines created.
    pub pipelines: AtomicU64,
    /// Of these, those that an earlier run had kept.
    pub pipelines_kept: AtomicU64,
}

impl Counters {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// A buffer of so many bytes was made.
    pub(crate) fn allocated(&self, bytes: u64) {
        let alive = self.gpu_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.gpu_peak_bytes.fetch_max(alive, Ordering::Relaxed);
        Self::add(&self.buffers, 1);
    }
}

/// An open device.
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    info: AdapterInfo,
    caps: Caps,
    weights: Weights,
    counters: Arc<Counters>,
    lost: Arc<OnceLock<String>>,
    fault: Arc<OnceLock<Error>>,
    pipelines: Mutex<HashMap<Shader, Arc<Pipeline>>>,
    kept: Option<Kept>,
    /// What is on its way to the device.
    sent: Mutex<Option<Sent>>,
    /// The first timestamp that was read: the zero of a profile.
    first_tick: OnceLock<u64>,
    /// Shaders check their indices, loops and divisors as they run.
    checked: bool,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu")
            .field("info", &self.info)
            .field("caps", &self.caps)
            .finish_non_exhaustive()
    }
}

/// A GPU buffer; its bytes leave the live count when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    pub(crate) raw: wgpu::Buffer,
    /// How it holds weights, if not row by row.
    panels: Option<Panels>,
    counters: Arc<Counters>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.counters
            .gpu_bytes
            .fetch_sub(self.raw.size(), Ordering::Relaxed);
        self.raw.destroy();
    }
}

impl Gpu {
    /// The adapter.
    #[must_use]
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What the device can do. The only place that knows; nothing else asks the adapter.
    #[must_use]
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// Work done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What destroys the device, at any time: every later use fails with `E_DEVICE_LOST`, as after a driver reset.
    pub fn destroyer(&self) -> impl Fn() + use<> {
        let device = self.device.clone();
        move || device.destroy()
    }

    /// Fails when the device has been lost or has reported an error nobody caught.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_REFUSED`.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(why) = self.lost.get() {
            return Err(Error::Lost(why.clone()));
        }
        self.fault.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// A zeroed buffer of `words` 4-byte words.
    ///
    /// # Errors
    /// `E_GPU_OOM`, `E_GPU_REFUSED`.
    pub async fn buffer(&self, label: &str, words: u64, role: Role) -> Result<Buffer, Error> {
        let kind = match role {
            Role::Storage | Role::Weights { .. } | Role::Keys { .. } => wgpu::BufferUsages::STORAGE,
            Role::Uniform => wgpu::BufferUsages::UNIFORM,
        };
        let panels = match self.weights {
            Weights::Panels => Panels::of(role, words),
            Weights::Rows => None,
        };
        let words = panels.map_or(words, |panels| panels.words());
        // Bindings are 16-byte vectors at most: whole vectors, and never empty.
        let size = words.max(4).next_multiple_of(4) * 4;
        let usage = kind | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let mut buffer = self.allocate(label, size, usage).await?;
        buffer.panels = panels;
        Ok(buffer)
    }

    pub(crate) async fn allocate(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<Buffer, Error> {
        let oom = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        });
        let (invalid, oom) = (invalid.pop(), oom.pop());
        if let Some(error) = invalid.await {
            return Err(Error::Refused {
                what: label.into(),
                why: error.to_string(),
            });
        }
        if oom.await.is_some() {
            return Err(Error::OutOfMemory {
                what: label.into(),
                bytes: size,
            });
        }
        self.counters.allocated(size);
        Ok(Buffer {
            raw,
            panels: None,
            counters: self.counters.clone(),
        })
    }

    /// Writes words at a word offset; takes effect before the next submit. Weights are given row by row, whole rows of them.
    pub fn write(&self, buffer: &Buffer, word_offset: u64, words: &[u32]) {
        let put = |at: u64, words: &[u32]| {
            self.queue
                .write_buffer(&buffer.raw, at * 4, bytemuck::cast_slice(words));
        };
        match &buffer.panels {
            Some(panels) => panels.write(word_offset, words, put),
            None => put(word_offset, words),
        }
    }

    /// Sends written data to the device and waits for it, so that staging memory is freed: loading a model without this
    /// holds it twice.
    ///
    /// # Errors
    /// `E_DEVICE_LOST`, `E_GPU_TIMEOUT`.
    pub async fn flush(&self) -> Result<(), Error> {
        self.queue.submit([]);
        self.wait().await
    }

    pub(crate) fn submit(&self, recorded: Recorded) -> wgpu::SubmissionIndex {
        let (began, counters) = (Instant::now(), &self.counters);
        let index = self.queue.submit([recorded.commands]);
        Counters::add(&counters.submit_ns, began.elapsed().as_nanos() as u64);
        Counters::add(&counters.submits, 1);
        Counters::add(&counters.dispatches, recorded.dispatches);
        Counters::add(&counters.weight_bytes, recorded.weight_bytes);
        index
    }
}
