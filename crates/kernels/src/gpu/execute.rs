//! Binds steps to a device once, then encodes them without creating anything.

use super::pipeline::Pipeline;
use super::{Buffer, Counters, Gpu};
use crate::Error;
use crate::op::{Grid, Role, Step};
use std::sync::Arc;
use web_time::Instant;

/// A step ready to dispatch.
#[derive(Debug)]
pub struct BoundStep {
    /// The step's name.
    pub name: String,
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    grid: Grid,
    weight_bytes: u64,
    all_weight_bytes: u64,
    // Keeps the uniform alive.
    _params: Option<Buffer>,
}

impl BoundStep {
    /// Bytes of weights that one dispatch over `rows` rows reads.
    #[must_use]
    pub fn weight_bytes(&self, rows: u32) -> u64 {
        match self.grid.rows_per_group {
            Grid::ALL => (self.weight_bytes * u64::from(rows)).min(self.all_weight_bytes),
            some => self.weight_bytes * u64::from(rows.div_ceil(some)),
        }
    }

    /// Encodes the step.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, rows: u32) {
        let [x, y, z] = self.grid.dispatch(rows);
        pass.set_pipeline(&self.pipeline.raw);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// Commands of a run, ready to be submitted: what they do depends on what the buffers hold then. Their work counts when they are.
#[derive(Debug)]
pub struct Recorded {
    pub(super) commands: wgpu::CommandBuffer,
    pub(super) dispatches: u64,
    pub(super) weight_bytes: u64,
}

impl Gpu {
    /// Compiles and binds a step.
    ///
    /// # Errors
    /// `E_SHADER`, `E_GPU_REFUSED`, `E_GPU_OOM`.
    pub(crate) async fn bind(
        &self,
        step: &Step,
        bound: &[(u32, &Buffer)],
    ) -> Result<BoundStep, Error> {
        let params = step.kernel.params();
        let uniform = if params.is_empty() {
            None
        } else {
            let buffer = self
                .buffer(&step.name, (params.len() / 4) as u64, Role::Uniform)
                .await?;
            self.queue.write_buffer(&buffer.raw, 0, &params);
            Some(buffer)
        };
        let pipeline = self.pipeline(&step.kernel.shader(), &step.slots()).await?;
        let own = uniform.iter().map(|b| (0, b));
        let entries: Vec<_> = own
            .chain(bound.iter().copied())
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.raw.as_entire_binding(),
            })
            .collect();
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&step.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Counters::add(&self.counters().bind_groups, 1);
        if let Some(error) = scope.pop().await {
            return Err(Error::Refused {
                what: format!("bindings of {}", step.name),
                why: error.to_string(),
            });
        }
        Ok(BoundStep {
            name: step.name.clone(),
            pipeline,
            group,
            grid: step.kernel.grid(),
            weight_bytes: step.kernel.weight_bytes(),
            all_weight_bytes: step.kernel.all_weight_bytes(),
            _params: uniform,
        })
    }

    /// Encodes the steps in order, in one compute pass, then the copies `after` it.
    pub(crate) fn record<'a>(
        &self,
        steps: impl Iterator<Item = &'a BoundStep>,
        rows: u32,
        after: &[Copy<'_>],
    ) -> Recorded {
        let began = Instant::now();
        let (mut dispatches, mut weight_bytes) = (0, 0);
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in steps {
                step.encode(&mut pass, rows);
                dispatches += 1;
                weight_bytes += step.weight_bytes(rows);
            }
        }
        for c in after {
            encoder.copy_buffer_to_buffer(
                &c.from.raw,
                c.from_word * 4,
                c.to,
                c.to_word * 4,
                c.words * 4,
            );
        }
        // wgpu tells the driver of a pass only here.
        let commands = encoder.finish();
        let took = began.elapsed().as_nanos() as u64;
        Counters::add(&self.counters().encode_ns, took);
        Recorded {
            commands,
            dispatches,
            weight_bytes,
        }
    }
}

/// A copy after a pass.
#[derive(Debug)]
pub(crate) struct Copy<'a> {
    /// Source.
    pub from: &'a Buffer,
    /// First word.
    pub from_word: u64,
    /// Destination; another buffer than the source.
    pub to: &'a wgpu::Buffer,
    /// First word.
    pub to_word: u64,
    /// Words.
    pub words: u64,
}
