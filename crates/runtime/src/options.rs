//! How an engine is set up.

pub use chord_kernels::KvType;
use chord_kernels::PAGE;
use chord_kernels::device::Device;
use chord_kernels::matmul::Layout;
use chord_kernels::shaders::Weights;
use chord_kernels::variants::{PREFILL_COLS, TILE_COLS};
use chord_model::{CHUNK, FitPlan, GraphOptions, Splits, Tiles};
use std::path::PathBuf;
use std::time::Duration;

/// Numeric mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// Activations may be int8, with a scale per 16 values.
    #[default]
    Fast,
    /// Every operand f32.
    Exact,
}

/// What happens when a sequence has used its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// It ends with `length`.
    #[default]
    Stop,
    /// It goes on: the oldest page of 32 tokens after the first `sink_pages` is forgotten.
    Ring {
        /// Pages at the beginning that are kept.
        sink_pages: u32,
    },
}

/// Guessing tokens ahead from what followed when the text last went like this, and computing several in one pass. Each token is
/// chosen as it would have been alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Speculate {
    /// On the CPU, where it is measured to pay while decoding: there the answer is the same bits. Not with a fixed
    /// `tokens_per_submit`.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Wherever the text repeats itself. On a GPU, kernels for several rows may round unlike those for one.
    Lookup,
}

/// Where the model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// On a hardware GPU; where there is none that works and has room for the model, on the CPU.
    #[default]
    Auto,
    /// On a GPU, even one in software.
    Gpu,
    /// On the CPU.
    Cpu,
}

/// Engine set-up.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineOptions {
    /// Where the model runs.
    pub device: DeviceChoice,
    /// GPU adapter by name or number; None: the best.
    pub adapter: Option<String>,
    /// Threads of the CPU; None: as many as it runs at once.
    pub threads: Option<usize>,
    /// Context in tokens, with memory for all of them; None: the most that model and device allow, and on a GPU memory for K and V is
    /// taken as they come.
    pub context: Option<u32>,
    /// KV storage.
    pub kv: KvType,
    /// Numeric mode.
    pub precision: Precision,
    /// Conversations that may be open at once.
    pub max_sequences: u32,
    /// Keep what trace shows (slower, more memory).
    pub taps: bool,
    /// At the end of the context.
    pub overflow: Overflow,
    /// Thread layout of matrix products; None: by the device's capabilities.
    pub layout: Option<Layout>,
    /// Tokens per submit while decoding; None: as many as keep the answer flowing.
    pub tokens_per_submit: Option<u32>,
    /// Guess tokens ahead.
    pub speculate: Speculate,
    /// Folder of the user's own where a GPU's compiled kernels are kept between runs; None: nowhere. Only where the driver hands them
    /// out (Vulkan), and never in a browser, which keeps its own.
    pub kernel_cache: Option<PathBuf>,
    /// Measure at load which variants of the kernels are fastest for this model, once for a GPU and its driver; None: on GPUs that are no
    /// software.
    pub tune: Option<bool>,
    /// Lines of what [`crate::Engine::tuned`] said when models were loaded before; a folder of kernels holds them too.
    pub tuned: Option<String>,
    /// Have a GPU's kernels check their indices, loops and divisors as they run, which they do in a browser whatever this says.
    pub checked_kernels: bool,
    /// A browser's device has subgroups, which wgpu does not know there: whoever says so has seen to it that it is asked for them.
    pub browser_subgroups: bool,
    /// How a GPU has weights; None: in panels where it is software.
    #[doc(hidden)]
    pub weights: Option<Weights>,
    /// Bytes of a storage binding to keep within, where the device allows more.
    #[doc(hidden)]
    pub max_binding: u64,
    /// Tokens that memory for K and V is taken for at load, in place of what suits context and device.
    #[doc(hidden)]
    pub first_tokens: Option<u32>,
    /// Most rows of a batch that share a workgroup of attention, in place of what suits the device; 1, 2, 4 or 8.
    #[doc(hidden)]
    pub attention_cols: Option<u32>,
    /// Rows of the largest batch by tiles, in place of what suits the device; 0: nothing goes by tiles. The CPU has none.
    #[doc(hidden)]
    pub tiled_rows: Option<u32>,
    /// Time for measuring variants, in place of what nobody minds waiting.
    #[doc(hidden)]
    pub tune_budget: Option<Duration>,
    /// How attention is split in place of what suits the device; one workgroup: never.
    #[doc(hidden)]
    pub splits: Option<Splits>,
    /// What shall go wrong, to try out what follows.
    #[doc(hidden)]
    pub faults: Vec<Fault>,
}

/// What can be made to go wrong.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The self-test reads the products of a variant wrong, on a GPU.
    Products(Layout, Precision),
    /// The same of attention that is split.
    Splits,
    /// The same of products by tiles.
    Tiles,
    /// There is no memory for a larger store of K and V.
    Memory,
    /// A GPU has no memory for the plan's buffers.
    Buffers,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            adapter: None,
            threads: None,
            context: None,
            kv: KvType::F16,
            precision: Precision::Fast,
            max_sequences: 1,
            taps: false,
            overflow: Overflow::Stop,
            layout: None,
            tokens_per_submit: None,
            speculate: Speculate::Auto,
            kernel_cache: None,
            tune: None,
            tuned: None,
            checked_kernels: false,
            browser_subgroups: false,
            weights: None,
            max_binding: u64::MAX,
            first_tokens: None,
            attention_cols: None,
            tiled_rows: None,
            tune_budget: None,
            splits: None,
            faults: Vec::new(),
        }
    }
}

/// Rows of the largest batch by tiles: eight of them share what is read of a matrix's rows in a GPU's caches.
const TILED_CHUNK: u32 = 512;

impl EngineOptions {
    pub(crate) fn sink_pages(&self) -> u32 {
        match self.overflow {
            Overflow::Stop => 0,
            Overflow::Ring { sink_pages } => sink_pages,
        }
    }

    /// Rows of the largest batch on a device.
    pub(crate) fn chunk(&self, device: &Device) -> u32 {
        // In software a tile's barriers cost more than reading weights again.
        let most = match self.tiled_rows {
            Some(rows) => rows,
            None if device.caps().software => 0,
            None => TILED_CHUNK,
        };
        let most = most - most % TILE_COLS;
        if self.taps || most == 0 || matches!(device, Device::Cpu(_)) {
            CHUNK
        } else {
            most
        }
    }

    /// The plan's options on a device, with `chunk` rows in the largest batch.
    pub(crate) fn graph(
        &self,
        device: &Device,
        chunk: u32,
        fit: &FitPlan,
        eog: usize,
    ) -> GraphOptions {
        let caps = device.caps();
        let software_gpu = caps.software && matches!(device, Device::Gpu(_));
        let layout = self.layout.unwrap_or(match caps.subgroups {
            Some((_, max)) if caps.software && max <= 4 => Layout::RowPerThread4,
            _ if caps.software => Layout::RowPerThread,
            Some((min, _)) if min >= 8 => Layout::LanesSubgroup { split: 8 },
            Some((min, _)) if min >= 4 => Layout::LanesSubgroup { split: 4 },
            _ => Layout::Lanes,
        });
        GraphOptions {
            kv: self.kv,
            exact: self.precision == Precision::Exact,
            seq_pages: fit.context.div_ceil(PAGE),
            sink_pages: self.sink_pages(),
            pages: self.first_pages(device, fit),
            sequences: self.max_sequences,
            chunk,
            cols: PREFILL_COLS,
            layout,
            tiles: (chunk > CHUNK).then_some(Tiles {
                cols: TILE_COLS,
                int8: Layout::Tile,
            }),
            attention_threads: if caps.software { 32 } else { 64 },
            // Measured in software only, where it wins. The CPU's own form shares among rows by itself.
            attention_cols: (self.attention_cols)
                .unwrap_or(if software_gpu { 8 } else { 1 })
                .clamp(1, 8),
            // In software there are no more threads to give work to.
            splits: self.splits.or((!caps.software).then_some(Splits::GPU)),
            eog: u32::try_from(eog).unwrap_or(u32::MAX),
            positions: match self.overflow {
                Overflow::Stop => fit.context,
                Overflow::Ring { .. } => RING_POSITIONS.max(fit.context),
            },
            taps: self.taps,
            max_binding: self.max_binding(device),
        }
    }

    fn max_binding(&self, device: &Device) -> u64 {
        let caps = device.caps();
        caps.max_binding.min(caps.max_buffer).min(self.max_binding)
    }

    /// Most pages of K and V: those of all sequences, as far as one binding holds them. Sequences that find none get an error of their own.
    pub(crate) fn most_pages(&self, device: &Device, fit: &FitPlan) -> u32 {
        let seq_pages = fit.context.div_ceil(PAGE);
        let bound = self.max_binding(device) / fit.kv_page_bytes.max(1);
        let all = u64::from(seq_pages) * u64::from(self.max_sequences);
        u32::try_from(bound.min(all))
            .unwrap_or(u32::MAX)
            .max(seq_pages)
    }

    /// Tokens that memory for K and V is taken for at load, where that is not all of them: unless somebody asked for so much context, or
    /// memory that nobody touches costs nothing.
    pub(crate) fn first_tokens(&self, device: &Device) -> Option<u32> {
        let untouched_is_free =
            matches!(device, Device::Cpu(_)) && cfg!(not(target_arch = "wasm32"));
        let grows = self.context.is_none() && !untouched_is_free;
        self.first_tokens.or(grows.then_some(FIRST_TOKENS))
    }

    fn first_pages(&self, device: &Device, fit: &FitPlan) -> u32 {
        let most = self.most_pages(device, fit);
        (self.first_tokens(device)).map_or(most, |tokens| tokens.div_ceil(PAGE).clamp(1, most))
    }
}

/// Tokens that memory for K and V is taken for at load on a GPU and in WebAssembly, where nobody asked for a context. Full, the store doubles.
pub const FIRST_TOKENS: u32 = 4096;

/// Positions a ring may reach: the RoPE table is made for them.
pub(crate) const RING_POSITIONS: u32 = 1 << 20;
