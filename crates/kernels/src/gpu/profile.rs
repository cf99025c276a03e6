//! Steps timed by the GPU itself.
//!
//! Each step has a pass of its own, with a timestamp at either end: timestamps inside a pass are not to be had everywhere (Apple's
//! GPUs have none), and the end of a pass waits for its work, so that a step's time is its own and not its neighbours'. The price is
//! that steps no longer follow each other as closely as in one pass: a profile's total is above that of a run which is not profiled.

use super::execute::{BoundStep, Recorded};
use super::{Buffer, Gpu};
use crate::Error;
use crate::profile::StepTime;

/// Steps of a submit: a query set holds 4096 timestamps.
const MOST: usize = 2048;

impl Gpu {
    /// Runs the steps in order and says when each ran.
    ///
    /// # Errors
    /// `E_NO_TIMESTAMPS`, and the device's.
    pub(crate) async fn run_timed(
        &self,
        steps: &[&BoundStep],
        rows: u32,
    ) -> Result<Vec<StepTime>, Error> {
        if !self.caps().timestamps {
            return Err(Error::NoTimestamps {
                adapter: self.info().name.clone(),
            });
        }
        let mut times = Vec::with_capacity(steps.len());
        for steps in steps.chunks(MOST) {
            times.extend(self.submit_timed(steps, rows).await?);
        }
        Ok(times)
    }

    async fn submit_timed(&self, steps: &[&BoundStep], rows: u32) -> Result<Vec<StepTime>, Error> {
        let count = 2 * steps.len() as u32;
        let words = 2 * u64::from(count);
        let set = self.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("step times"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved: Buffer = self.allocate("step times", 4 * words, usage).await?;
        let staging = self.staging(words).await?;
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (step, first) in steps.iter().zip((0..).step_by(2)) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(&step.name),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &set,
                    beginning_of_pass_write_index: Some(first),
                    end_of_pass_write_index: Some(first + 1),
                }),
            });
            step.encode(&mut pass, rows);
        }
        encoder.resolve_query_set(&set, 0..count, &resolved.raw, 0);
        encoder.copy_buffer_to_buffer(&resolved.raw, 0, staging.raw(), 0, 4 * words);
        self.submit(Recorded {
            commands: encoder.finish(),
            dispatches: steps.len() as u64,
            weight_bytes: steps.iter().map(|step| step.weight_bytes(rows)).sum(),
        });
        let read = self.map(&staging, words, None).await?;
        let period = f64::from(self.queue.get_timestamp_period());
        let ticks = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let times = read.as_chunks::<4>().0.iter().map(|[a, b, c, d]| {
            let zero = *self.first_tick.get_or_init(|| ticks(*a, *b));
            let start_ns = nanoseconds(ticks(*a, *b), zero, period);
            StepTime {
                start_ns,
                end_ns: nanoseconds(ticks(*c, *d), zero, period).max(start_ns),
            }
        });
        Ok(times.collect())
    }
}

/// Nanoseconds since `zero`. Of ticks themselves, which may count since 1970, an f64 would keep steps of 256 ns.
fn nanoseconds(ticks: u64, zero: u64, period: f64) -> u64 {
    (ticks.saturating_sub(zero) as f64 * period) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_since_1970_are_told_apart() {
        let zero = 1_700_000_000_123_456_789;
        let since = |ticks, period| nanoseconds(zero + ticks, zero, period);
        assert_eq!(
            [0, 1, 100, 1_000_001].map(|t| since(t, 1.0)),
            [0, 1, 100, 1_000_001]
        );
        assert_eq!(since(3, 52.5), 157);
        assert_eq!(nanoseconds(zero - 1, zero, 1.0), 0);
    }
}
