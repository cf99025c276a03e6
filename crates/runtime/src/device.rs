//! Which device a model runs on: a hardware GPU before the CPU, and a GPU in software only where asked for.

use crate::Error;
use crate::options::{DeviceChoice, EngineOptions};
use chord_kernels::cpu::Cpu;
use chord_kernels::device::Device;
use chord_kernels::gpu::{Adapters, Gpu, GpuOptions};

/// The device, and why it is that.
pub(crate) async fn open(opts: &EngineOptions) -> Result<(Device, String), Error> {
    match (opts.device, &opts.adapter) {
        (DeviceChoice::Cpu, _) => cpu(opts, "the CPU, as asked".into()),
        (DeviceChoice::Gpu, _) => gpu(opts, Adapters::find().await, "a GPU, as asked").await,
        (DeviceChoice::Auto, Some(_)) => {
            gpu(opts, Adapters::find().await, "this adapter, as asked").await
        }
        (DeviceChoice::Auto, None) => {
            let adapters = Adapters::find().await;
            if adapters.iter().all(|a| a.kind == "cpu") {
                let why = match adapters.iter().next() {
                    None => "the CPU: there is no GPU adapter".to_owned(),
                    Some(a) => format!("the CPU: the only GPU adapter, {}, is software", a.name),
                };
                return cpu(opts, why);
            }
            match gpu(opts, adapters, "the best GPU").await {
                Err(why) => cpu(opts, format!("the CPU: {why}")),
                opened => opened,
            }
        }
    }
}

/// The device that takes over from a GPU whose kernels compute wrongly, or which has no room.
///
/// # Errors
/// `why` where the choice leaves nothing else.
pub(crate) fn instead(opts: &EngineOptions, why: Error) -> Result<(Device, String), Error> {
    match opts.device {
        DeviceChoice::Auto => cpu(opts, format!("the CPU: {why}")),
        DeviceChoice::Gpu | DeviceChoice::Cpu => Err(why),
    }
}

async fn gpu(
    opts: &EngineOptions,
    adapters: Adapters,
    why: &str,
) -> Result<(Device, String), Error> {
    let options = GpuOptions {
        adapter: opts.adapter.clone(),
        kernel_cache: opts.kernel_cache.clone(),
        checked: opts.checked_kernels,
        subgroups: opts.browser_subgroups,
        weights: opts.weights,
    };
    Ok((
        Device::Gpu(Gpu::open_among(adapters, &options).await?),
        why.into(),
    ))
}

fn cpu(opts: &EngineOptions, why: String) -> Result<(Device, String), Error> {
    tracing::info!("{why}");
    Ok((Device::Cpu(Cpu::open(opts.threads)?), why))
}
