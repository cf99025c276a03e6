//! Steps timed one by one.

/// Whose clock times a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Timestamps that the GPU writes.
    Gpu,
    /// The host's, around each step: on the CPU device, which runs steps where they are submitted.
    Host,
}

/// When a step ran, in nanoseconds of the clock; its zero is anywhere, the same for all runs of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    /// Its beginning.
    pub start_ns: u64,
    /// Its end; not before the beginning.
    pub end_ns: u64,
}
