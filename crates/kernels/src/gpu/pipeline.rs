//! Pipelines, made once per shader permutation.

use super::{Counters, Gpu};
use crate::Error;
use crate::op::Access;
#[cfg(not(target_arch = "wasm32"))]
use crate::op::Step;
use crate::shaders::{Shader, Target};
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
#[cfg(not(target_arch = "wasm32"))]
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, available_parallelism},
};

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

impl Gpu {
    /// The pipeline of a permutation, compiled on first use.
    pub(crate) async fn pipeline(
        &self,
        shader: &Shader,
        slots: &[(u32, Access)],
    ) -> Result<Arc<Pipeline>, Error> {
        if let Some(found) = self.pipelines().get(shader) {
            return Ok(found.clone());
        }
        let made = Arc::new(self.compile(shader, slots).await?);
        self.pipelines().insert(shader.clone(), made.clone());
        Ok(made)
    }

    fn pipelines(&self) -> MutexGuard<'_, HashMap<Shader, Arc<Pipeline>>> {
        let pipelines = self.pipelines.lock();
        pipelines.unwrap_or_else(PoisonError::into_inner)
    }

    /// Compiles what these steps need and is not there, on as many threads as there are processors, until `stop` is set. What the
    /// device refuses is said when it is bound.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn compile_all<'a>(&self, steps: impl Iterator<Item = &'a Step>, stop: &AtomicBool) {
        let there = self.pipelines().keys().cloned().collect::<BTreeSet<_>>();
        let wanted = steps.map(|step| (step.kernel.shader(), step));
        let wanted: BTreeMap<_, _> = wanted.filter(|(s, _)| !there.contains(s)).collect();
        let left = Mutex::new(wanted.into_iter());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let compile = || {
            while let Some((shader, step)) = next().filter(|_| !stop.load(Ordering::Relaxed)) {
                // Natively nothing here waits.
                drop(pollster::block_on(self.pipeline(&shader, &step.slots())));
            }
        };
        let others = available_parallelism().map_or(0, |n| n.get() - 1);
        thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(compile)).collect();
            compile();
            // trap: joined one by one. The scope's own waiting parks this thread, which takes the wake-up of a future that is being
            // waited for here: of weights that arrive meanwhile.
            others.into_iter().for_each(|other| drop(other.join()));
        });
    }

    async fn compile(&self, shader: &Shader, slots: &[(u32, Access)]) -> Result<Pipeline, Error> {
        let name = shader.name();
        let target = if cfg!(target_arch = "wasm32") {
            Target::Browser
        } else {
            Target::Native
        };
        let text = shader.expand(target, self.weights)?;
        let cache = self.kept(&text);
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = self.module(&name, text);
        let entries: Vec<_> = slots
            .iter()
            .map(|(binding, access)| layout_entry(*binding, *access))
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&name),
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&name),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let raw = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                // Every kernel writes workgroup memory before it reads it.
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache,
            });
        Counters::add(&self.counters.pipelines, 1);
        match scope.pop().await {
            Some(error) => Err(Error::Refused {
                what: format!("pipeline {name}"),
                why: error.to_string(),
            }),
            None => Ok(Pipeline { raw, layout }),
        }
    }
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let ty = match access {
        Access::Uniform => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}
