//! Work counted, not timed: the same on every machine. Only nanoseconds are the machine's.

use super::Engine;
use std::sync::atomic::{AtomicU64, Ordering};

/// Work done since the device was opened; [`Counters::since`] gives what was done between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dispatches.
    pub dispatches: u64,
    /// Submits.
    pub submits: u64,
    /// Bytes of weight matrices read by the dispatches.
    pub weight_bytes: u64,
    /// Bytes of K and V read.
    pub kv_bytes: u64,
    /// Bytes read back to the host.
    pub readback_bytes: u64,
    /// Nanoseconds of the host spent on recording commands; 0 on the CPU, which records none.
    pub encode_ns: u64,
    /// Nanoseconds of the host spent on handing them to the driver, which may start on them before it returns, or end what it has (lavapipe);
    /// 0 on the CPU.
    pub submit_ns: u64,
    /// Bytes of the device's buffers alive now.
    pub gpu_bytes: u64,
    /// The most that ever was.
    pub gpu_peak_bytes: u64,
    /// Bytes of the file that loading read as weights.
    pub loader_bytes: u64,
    /// Nanoseconds from the first of these reads until the device had them all, kernels that compiled meanwhile included.
    pub loader_ns: u64,
    /// Most host bytes held at once while loading weights.
    pub loader_peak_host_bytes: u64,
    /// Pipelines created.
    pub pipelines: u64,
    /// Of these, those that an earlier run had kept.
    pub pipelines_kept: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Buffers created.
    pub buffers: u64,
    /// Tokens computed by prefill.
    pub prefilled_tokens: u64,
    /// Chains that were recorded while the device was at work on the one before; 0 on the CPU.
    pub recorded_ahead: u64,
    /// Of these, those that it was given before it was done.
    pub submitted_ahead: u64,
    /// Tokens guessed by speculation.
    pub drafted_tokens: u64,
    /// Of these, the ones that were what was chosen.
    pub accepted_tokens: u64,
}

impl Counters {
    /// The work since an earlier reading; levels and peaks stay as they are now.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            dispatches: self.dispatches.saturating_sub(before.dispatches),
            submits: self.submits.saturating_sub(before.submits),
            weight_bytes: self.weight_bytes.saturating_sub(before.weight_bytes),
            kv_bytes: self.kv_bytes.saturating_sub(before.kv_bytes),
            readback_bytes: self.readback_bytes.saturating_sub(before.readback_bytes),
            encode_ns: self.encode_ns.saturating_sub(before.encode_ns),
            submit_ns: self.submit_ns.saturating_sub(before.submit_ns),
            pipelines: self.pipelines.saturating_sub(before.pipelines),
            pipelines_kept: self.pipelines_kept.saturating_sub(before.pipelines_kept),
            bind_groups: self.bind_groups.saturating_sub(before.bind_groups),
            buffers: self.buffers.saturating_sub(before.buffers),
            prefilled_tokens: self
                .prefilled_tokens
                .saturating_sub(before.prefilled_tokens),
            recorded_ahead: self.recorded_ahead.saturating_sub(before.recorded_ahead),
            submitted_ahead: self.submitted_ahead.saturating_sub(before.submitted_ahead),
            drafted_tokens: self.drafted_tokens.saturating_sub(before.drafted_tokens),
            accepted_tokens: self.accepted_tokens.saturating_sub(before.accepted_tokens),
            ..*self
        }
    }
}

impl Engine {
    /// Counter readings.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let c = self.p.device.counters();
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Counters {
            dispatches: read(&c.dispatches),
            submits: read(&c.submits),
            weight_bytes: read(&c.weight_bytes),
            kv_bytes: read(&c.kv_bytes),
            readback_bytes: read(&c.readback_bytes),
            encode_ns: read(&c.encode_ns),
            submit_ns: read(&c.submit_ns),
            gpu_bytes: read(&c.gpu_bytes),
            gpu_peak_bytes: read(&c.gpu_peak_bytes),
            loader_bytes: self.p.uploading.bytes,
            loader_ns: self.p.uploading.ns,
            loader_peak_host_bytes: self.p.uploading.peak_host_bytes,
            pipelines: read(&c.pipelines),
            pipelines_kept: read(&c.pipelines_kept),
            bind_groups: read(&c.bind_groups),
            buffers: read(&c.buffers),
            prefilled_tokens: self.prefilled_tokens,
            recorded_ahead: self.recorded_ahead,
            submitted_ahead: self.submitted_ahead,
            drafted_tokens: self.drafted_tokens,
            accepted_tokens: self.accepted_tokens,
        }
    }
}
