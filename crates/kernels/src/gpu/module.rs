//! Shader modules, natively without the checks that wgpu writes into shaders by default.

use super::Gpu;

impl Gpu {
    /// A module of a text out of `shaders/`.
    #[allow(
        unsafe_code,
        reason = "that our own kernels stay within bounds is ours to say"
    )]
    pub(super) fn module(&self, name: &str, text: String) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        };
        if self.checked {
            return self.device.create_shader_module(descriptor);
        }
        // SAFETY: only Vulkan comes here (`open`), where wgpu has the device itself guard buffers (robustBufferAccess, or its successor):
        // an index beyond a buffer touches nothing else, with or without these checks. They are about three other things.
        //
        // Arrays in workgroup memory. Indices are made of thread numbers, loop counters below constants of the permutation, and what
        // these arrays hold themselves: in `sample` digits masked to 8 bits, places in the lists of chunks and tokens compared with
        // their length or clamped to it, and a thread and a group out of 256 and 16; in `route` experts, each below the length of `score` because `chosen` is filled with 0 before ranks are
        // written (of logits that are NaN, which a file's weights can give, no rank is certain to be written); in `matmul_tile` and
        // `matmul_coop` threads, subgroups, and rows and tokens below 64, in arrays made for the sizes of the permutation. Nothing read
        // from a buffer is such an index.
        //
        // Loops. Every one counts towards a bound that does not change meanwhile. Bounds that come from buffers are positions, which
        // are cut at the pages of a sequence, a parameter.
        //
        // Divisors. All are constants of the permutation but `seq_pages - sink_pages`, which `Engine::load` keeps above 0
        // (`E_SINK_PAGES`), and 8ths and 256ths of lengths.
        //
        // What the device's guard would hide stays bounded all the same, by those who write it: tokens are clamped to the table
        // (`embed`), experts compared with those bound (`matmul`), page numbers and table bases come from `KvPages`, positions from the
        // session, which reserves pages before it submits. Rows that fill up a group of `PREFILL_COLS` or `TILE_COLS` lie within a batch's buffers.
        //
        // Tests of each kernel run with and without checks.
        unsafe {
            self.device
                .create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
        }
    }
}
