//! Where a model goes: the device, the variants of the kernels, the plan and its buffers, before any weight is read.

use crate::Error;
use crate::device;
use crate::load::Watch;
use crate::options::{EngineOptions, Fault};
use crate::selftest::{self, Choice};
use crate::tune::{self, Tuned};
use chord_gguf::Directory;
use chord_kernels::device::{Buffers, Device};
use chord_model::{CHUNK, Config, DeviceLimits, FitPlan, GraphOptions, Plan, plan};

/// What is known of a model from its header.
pub(crate) struct Model<'a> {
    pub directory: &'a Directory,
    pub config: &'a Config,
    /// End-of-generation ids.
    pub eog: usize,
}

impl Model<'_> {
    /// Its plan.
    pub(crate) fn plan(&self, graph: &GraphOptions) -> Result<Plan, Error> {
        Ok(plan(self.directory, self.config, graph)?)
    }
}

/// A model's place.
pub(crate) struct Placed {
    pub device: Device,
    /// Why this device.
    pub device_reason: String,
    pub fit: FitPlan,
    pub plan: Plan,
    /// Pages of K and V that the plan's store may grow to.
    pub most_pages: u32,
    pub buffers: Buffers,
    pub choice: Choice,
    pub tuned: Tuned,
}

/// Finds the model a place: where the choice is free and a GPU computes wrongly or has no room, on the CPU.
pub(crate) async fn place(
    model: &Model<'_>,
    opts: &EngineOptions,
    watch: &Watch<'_>,
) -> Result<Placed, Error> {
    let opened = device::open(opts).await?;
    let on_gpu = matches!(opened, (Device::Gpu(_), _));
    match place_on(opened, model, opts, watch).await {
        Err(why) if on_gpu && is_unfit(&why) => {
            place_on(device::instead(opts, why)?, model, opts, watch).await
        }
        placed => placed,
    }
}

/// Whether it is the device that cannot have this model, and another may.
fn is_unfit(e: &Error) -> bool {
    matches!(
        e,
        Error::SelfTest { .. }
            | Error::Gpu(chord_kernels::Error::OutOfMemory { .. })
            | Error::Model(chord_model::Error::Fit { .. })
    )
}

/// Tests the kernels on the device, and allocates what the plan asks for: with less context or smaller batches where the device has no
/// room for more and nobody asked for it.
async fn place_on(
    (device, device_reason): (Device, String),
    model: &Model<'_>,
    opts: &EngineOptions,
    watch: &Watch<'_>,
) -> Result<Placed, Error> {
    let mut wanted = opts.context;
    let mut tested = None;
    // Whether what an earlier run measured has passed no self-test here.
    let mut distrusted = false;
    let mut chunk = opts.chunk(&device);
    loop {
        let limits = DeviceLimits {
            max_binding: device.caps().max_binding.min(opts.max_binding),
            max_buffer: device.caps().max_buffer,
            chunk,
        };
        let fit = FitPlan::from_header(
            model.directory,
            model.config,
            opts.kv,
            wanted,
            Some(&limits),
        )?;
        if !fit.verdict.fits && chunk > CHUNK {
            chunk = CHUNK;
            continue;
        }
        if !fit.verdict.fits {
            return Err(chord_model::Error::Fit {
                reasons: fit.verdict.reasons,
            }
            .into());
        }
        let graph = opts.graph(&device, chunk, &fit, model.eog);
        // Tested in place of what is suggested, so that no kernel is compiled for nothing.
        let known = match &tested {
            None if !distrusted => tune::known(&device, model, opts, &graph)?,
            _ => None,
        };
        let graph = match &known {
            Some(known) => known.applied(&graph),
            None => graph,
        };
        let choice = match tested.take() {
            Some(choice) => choice,
            None => selftest::choose(&device, model, &graph, opts, watch).await?,
        };
        let chosen = choice.applied(&graph);
        if known.as_ref().is_some_and(|known| !known.holds(&chosen)) {
            distrusted = true;
            continue;
        }
        if chosen.tiles.is_none() && graph.tiles.is_some() {
            (chunk, tested) = (CHUNK, Some(choice));
            continue;
        }
        let plan = model.plan(&chosen)?;
        match allocate(&device, &plan, opts).await {
            Ok(buffers) => {
                let on = tune::On {
                    device: &device,
                    buffers: &buffers,
                    model,
                    opts,
                    watch,
                };
                let (plan, choice, tuned) = match known {
                    Some(known) => (plan, choice, known.tuned(opts)),
                    None => tune::tune(&on, chosen, plan, choice).await?,
                };
                return Ok(Placed {
                    most_pages: opts.most_pages(&device, &fit),
                    device,
                    device_reason,
                    fit,
                    plan,
                    buffers,
                    choice,
                    tuned,
                });
            }
            // Nobody asked for this much context: take less rather than nothing. The figure is reported.
            Err(chord_kernels::Error::OutOfMemory { .. })
                if opts.context.is_none() && fit.context > 1024 =>
            {
                let held = opts.first_tokens(&device).unwrap_or(u32::MAX);
                wanted = Some(fit.context.min(held) / 2);
                tested = Some(choice);
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// The plan's buffers.
async fn allocate(
    device: &Device,
    plan: &Plan,
    opts: &EngineOptions,
) -> Result<Buffers, chord_kernels::Error> {
    if matches!(device, Device::Gpu(_)) && opts.faults.contains(&Fault::Buffers) {
        return Err(chord_kernels::Error::OutOfMemory {
            what: "the model".into(),
            bytes: 0,
        });
    }
    Buffers::allocate(device, &plan.buffers).await
}
