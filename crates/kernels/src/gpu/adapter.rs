//! Adapters and what they can do.

use crate::Error;
use crate::matmul::Cooperative;

/// An adapter, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// The driver's name for it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `webgpu`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub kind: String,
    /// Driver name and version.
    pub driver: String,
}

impl AdapterInfo {
    fn of(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "cpu",
            wgpu::DeviceType::Other => "other",
        };
        let backend = match info.backend {
            wgpu::Backend::BrowserWebGpu => "webgpu".to_string(),
            other => other.to_string(),
        };
        Self {
            name: info.name,
            backend,
            kind: kind.into(),
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .into(),
        }
    }

    /// Preference: lower is better.
    fn rank(&self) -> usize {
        ["discrete", "integrated", "virtual", "other", "cpu"]
            .iter()
            .position(|k| *k == self.kind)
            .unwrap_or(5)
    }
}

/// What the kernels may use. Tier 0 (everything here absent) needs no f16, no subgroups, 8 storage buffers and 256
/// invocations; faster variants are chosen by these bits only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Smallest and largest subgroup, where subgroup operations exist.
    pub subgroups: Option<(u32, u32)>,
    /// Runs on the host's processor: barriers are dear, packed integer dots cheap.
    pub software: bool,
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Workgroup memory in bytes.
    pub workgroup_bytes: u32,
    /// Threads per workgroup.
    pub invocations: u32,
    /// Storage buffers per shader.
    pub storage_buffers: u32,
    /// Cooperative matrices, where there are kernels for them: natively, with f16 and subgroups of one size.
    pub cooperative: Option<Cooperative>,
    /// Steps can be timed: timestamps at the ends of passes, or on the CPU the host's clock.
    pub timestamps: bool,
}

/// Storage buffers the widest kernel binds.
const STORAGE_BUFFERS: u32 = 8;
/// Threads of the widest workgroup.
const INVOCATIONS: u32 = 256;
/// Workgroup memory of the widest kernel: the WebGPU default.
const WORKGROUP_BYTES: u32 = 16 << 10;

/// Natively only: browsers round timestamps to 0.1 ms, longer than most steps take.
const TIMESTAMPS: wgpu::Features = if cfg!(target_arch = "wasm32") {
    wgpu::Features::empty()
} else {
    wgpu::Features::TIMESTAMP_QUERY
};

const COOPERATIVE: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

/// The cooperative matrices of an adapter that fit its subgroups and its workgroup memory.
fn cooperative(adapter: &wgpu::Adapter, subgroups: Option<(u32, u32)>) -> Option<Cooperative> {
    let (min, max) = subgroups?;
    let memory = adapter.limits().max_compute_workgroup_storage_size;
    if min != max || memory < Cooperative::WORKGROUP_BYTES {
        return None;
    }
    if !adapter.features().contains(COOPERATIVE) {
        return None;
    }
    let there = adapter.cooperative_matrix_properties();
    let has = |size: u32| {
        there.iter().any(|p| {
            [p.m_size, p.n_size, p.k_size] == [size; 3]
                && p.ab_type == wgpu::CooperativeScalarType::F16
                && p.cr_type == wgpu::CooperativeScalarType::F32
        })
    };
    let size = Cooperative::SIZES.into_iter().find(|size| has(*size))?;
    Cooperative::new(size, min)
}

impl Caps {
    /// `subgroups`: they are there, whatever wgpu knows.
    pub(super) fn of(adapter: &wgpu::Adapter, info: &AdapterInfo, subgroups: bool) -> Self {
        let limits = adapter.limits();
        let raw = adapter.get_info();
        let known = adapter.features().contains(wgpu::Features::SUBGROUP);
        let subgroups =
            (known || subgroups).then_some((raw.subgroup_min_size, raw.subgroup_max_size));
        Self {
            subgroups,
            cooperative: cooperative(adapter, subgroups),
            software: info.kind == "cpu",
            max_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            invocations: limits.max_compute_invocations_per_workgroup,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
            timestamps: adapter.features().intersects(TIMESTAMPS),
        }
    }

    pub(super) fn features(&self) -> wgpu::Features {
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::SUBGROUP, self.subgroups.is_some());
        features.set(TIMESTAMPS, self.timestamps);
        features.set(COOPERATIVE, self.cooperative.is_some());
        features
    }

    pub(super) fn check(&self, info: &AdapterInfo) -> Result<(), Error> {
        let limits = [
            (
                "maxStorageBuffersPerShaderStage",
                self.storage_buffers,
                STORAGE_BUFFERS,
            ),
            (
                "maxComputeInvocationsPerWorkgroup",
                self.invocations,
                INVOCATIONS,
            ),
            (
                "maxComputeWorkgroupStorageSize",
                self.workgroup_bytes,
                WORKGROUP_BYTES,
            ),
        ];
        match limits.into_iter().find(|(_, have, need)| have < need) {
            Some((what, have, need)) => Err(Error::Limit {
                adapter: info.name.clone(),
                what,
                have: have.into(),
                need: need.into(),
            }),
            None => Ok(()),
        }
    }
}

// trap: wgpu's `memory_budget_thresholds` would refuse a write, too, where little of the window into device memory is free that the host can
// write to (256 MiB without resizable BAR), although the driver has other memory for it; and a refused write loses the device.
fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle())
}

/// Every adapter, best first.
#[derive(Debug)]
pub struct Adapters(Vec<(wgpu::Adapter, AdapterInfo)>);

impl Adapters {
    /// Looks for them. On Vulkan this loads every driver.
    pub async fn find() -> Self {
        let found = instance().enumerate_adapters(wgpu::Backends::PRIMARY).await;
        let mut found: Vec<_> = found
            .into_iter()
            .map(|a| (AdapterInfo::of(&a), a))
            .map(|(i, a)| (a, i))
            .collect();
        found.sort_by_key(|(_, info)| info.rank());
        Self(found)
    }

    /// What they are.
    pub fn iter(&self) -> impl Iterator<Item = &AdapterInfo> {
        self.0.iter().map(|(_, info)| info)
    }

    pub(super) fn choose(
        self,
        wanted: Option<&str>,
    ) -> Result<(wgpu::Adapter, AdapterInfo), Error> {
        let names = self.iter().map(|info| info.name.clone()).collect();
        // A number is a place in the list and nothing else: "1" is not part of "GTX 1080".
        let at = match wanted.map(|w| (w, w.parse::<usize>())) {
            None => Some(0),
            Some((_, Ok(at))) => Some(at),
            Some((name, Err(_))) => self
                .iter()
                .position(|info| info.name.to_lowercase().contains(&name.to_lowercase())),
        };
        match at.and_then(|at| self.0.into_iter().nth(at)) {
            Some(chosen) => Ok(chosen),
            None => Err(Error::NoAdapter {
                wanted: wanted.map(String::from),
                found: names,
            }),
        }
    }
}

/// Every adapter, best first.
pub async fn list_adapters() -> Vec<AdapterInfo> {
    Adapters::find().await.iter().cloned().collect()
}
