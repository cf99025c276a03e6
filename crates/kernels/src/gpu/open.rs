//! Opening a device.

use super::adapter::{Adapters, Caps};
use super::kept::{self, Kept};
use super::{AdapterInfo, Gpu};
use crate::Error;
use crate::shaders::Weights;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

/// How a GPU is opened.
#[derive(Clone, Debug, Default)]
pub struct GpuOptions {
    /// Part of the adapter's name, or its index in [`super::list_adapters`]; None: the best.
    pub adapter: Option<String>,
    /// Folder of the user's own where compiled pipelines are kept between runs; None: nowhere. A browser keeps its own.
    pub kernel_cache: Option<PathBuf>,
    /// Have shaders check their indices, loops and divisors as they run even where that may be left out: on Vulkan.
    pub checked: bool,
    /// The device will have subgroups though wgpu does not know it, which is so in browsers.
    pub subgroups: bool,
    /// How it has weights; None: in panels where it is software, whose memory is the host's and read ahead in one run, else row by row.
    pub weights: Option<Weights>,
}

impl Gpu {
    /// Opens an adapter.
    ///
    /// # Errors
    /// `E_NO_ADAPTER`, `E_ADAPTER_LIMIT`, `E_DEVICE_OPEN`.
    pub async fn open(options: &GpuOptions) -> Result<Self, Error> {
        Self::open_among(Adapters::find().await, options).await
    }

    /// The same of adapters that have been looked for already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_among(found: Adapters, options: &GpuOptions) -> Result<Self, Error> {
        let (adapter, info) = found.choose(options.adapter.as_deref())?;
        let mut caps = Caps::of(&adapter, &info, options.subgroups);
        caps.check(&info)?;
        let mut opened = request(&adapter, &info, caps.features()).await;
        if opened.is_err() && caps.cooperative.is_some() {
            // An experiment of wgpu's must cost no one the GPU.
            caps.cooperative = None;
            opened = request(&adapter, &info, caps.features()).await;
        }
        let (device, queue) = opened?;
        let lost = Arc::new(OnceLock::new());
        let fault = Arc::new(OnceLock::new());
        let (on_lost, on_error) = (lost.clone(), fault.clone());
        device.set_device_lost_callback(move |_, message| {
            let _ = on_lost.set(message);
        });
        // wgpu's default handler panics.
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            tracing::error!("uncaptured GPU error: {error}");
            let _ = on_error.set(match error {
                wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory {
                    what: "a transfer".into(),
                    bytes: 0,
                },
                other => Error::Refused {
                    what: "a command".into(),
                    why: other.to_string(),
                },
            });
        }));
        let vulkan = adapter.get_info().backend == wgpu::Backend::Vulkan;
        let kept = match &options.kernel_cache {
            Some(folder) => Kept::open(&device, &adapter.get_info(), folder).await,
            None => None,
        };
        let weights = options.weights.unwrap_or(if caps.software {
            Weights::Panels
        } else {
            Weights::Rows
        });
        tracing::debug!(?info, ?caps, ?weights, "device open");
        Ok(Self {
            device,
            queue,
            info,
            caps,
            weights,
            counters: Arc::default(),
            lost,
            fault,
            pipelines: Mutex::default(),
            kept,
            sent: Mutex::default(),
            first_tick: OnceLock::new(),
            checked: options.checked || !vulkan,
        })
    }
}

/// Leave to use what wgpu calls experimental, where that is asked for: cooperative matrices.
#[allow(
    unsafe_code,
    reason = "that the kernels keep to what wgpu has right is ours to say"
)]
fn experimental(features: wgpu::Features) -> wgpu::ExperimentalFeatures {
    if !features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: one kernel uses them (`matmul_coop`). It loads and stores whole matrices within arrays of workgroup memory, at offsets that
    // are constants of the permutation, loop counters and the number of the subgroup, whose subgroups fill the arrays exactly
    // (`Cooperative::new`); all threads of a subgroup come there together. Its results are held to the CPU's before it is used.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// Bytes of the blocks that small buffers share natively; larger ones have their own. wgpu's own go up to 256 MiB, so that with as much
/// memory left the next small buffer would find none. Those of staging are half as large: room for the weights on their way.
const BLOCK_BYTES: Range<u64> = 64 << 20..128 << 20;

async fn request(
    adapter: &wgpu::Adapter,
    info: &AdapterInfo,
    features: wgpu::Features,
) -> Result<(wgpu::Device, wgpu::Queue), Error> {
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("wasm-chord"),
        required_features: (features | kept::FEATURES) & adapter.features(),
        // The defaults are small (128 MiB bindings): ask for what the adapter offers.
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::Manual {
            suballocated_device_memory_block_size: BLOCK_BYTES,
        },
        experimental_features: experimental(features),
        ..Default::default()
    };
    let opened = adapter.request_device(&descriptor).await;
    opened.map_err(|e| Error::Open {
        adapter: info.name.clone(),
        why: e.to_string(),
    })
}
