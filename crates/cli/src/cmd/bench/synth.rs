//! `synth:NAME`: a model of a real shape that is made up instead of read.

use chord_model::synth::{Synth, names};
use chord_model::{Config, FitPlan};
use chord_runtime::{Engine, read_header};

use super::host;
use crate::args::{BenchArgs, DeviceArg, ModelArgs};
use crate::cmd::engine::{self, Needs};
use crate::cmd::figures::bytes;
use crate::error::Error;

const PREFIX: &str = "synth:";

/// The model that MODEL makes up; None where it names a file.
pub fn named(model: &ModelArgs) -> Result<Option<Synth>, Error> {
    let Some(name) = model.model.to_str().and_then(|m| m.strip_prefix(PREFIX)) else {
        return Ok(None);
    };
    if model.sha256.is_some() {
        return Err(Error::usage(
            "--sha256 with a model that is made up",
            "leave it out",
        ));
    }
    let unknown = || {
        let known: Vec<_> = names().map(|name| format!("{PREFIX}{name}")).collect();
        Error::usage(
            format!("there is no {PREFIX}{name}"),
            format!("choose one of {}", known.join(", ")),
        )
    };
    Synth::new(name).map(Some).ok_or_else(unknown)
}

/// Loads it with as much context as the measurement needs, unless `--ctx` asks for another.
pub fn load(model: &Synth, args: &BenchArgs, needs: Needs) -> Result<Engine, Error> {
    let mut flags = args.engine.clone();
    engine::check(&flags)?;
    let directory = pollster::block_on(read_header(model))?;
    let config = Config::from_directory(&directory)?;
    let tokens = [args.depth, args.prompt, args.generate];
    let tokens = tokens.into_iter().fold(0, u32::saturating_add);
    // More than the model has is refused as it is for a file.
    let context = *flags.ctx.get_or_insert(tokens.min(config.context_length));
    let kv = engine::options(&flags, needs).kv;
    let fit = FitPlan::from_header(&directory, &config, kv, Some(context), None)?;
    let available = match computes_on_host(&flags.device) {
        true => host::available_bytes(),
        false => None,
    };
    if let Some(reason) = too_large(&fit, available) {
        return Err(does_not_fit(reason));
    }
    match engine::load_from(model, &flags, needs) {
        Err(Error::Engine(chord_runtime::Error::Gpu(
            full @ chord_kernels::Error::OutOfMemory { .. },
        ))) => Err(does_not_fit(format!("{}: {full}", needed(&fit)))),
        loaded => loaded,
    }
}

fn does_not_fit(reason: String) -> Error {
    let reasons = vec![reason];
    Error::Engine(chord_model::Error::Fit { reasons }.into())
}

fn needed(fit: &FitPlan) -> String {
    format!(
        "the model needs {} (weights {}, KV cache for {} tokens {}, scratch {})",
        bytes(fit.total_bytes),
        bytes(fit.weights_bytes),
        fit.context,
        bytes(fit.kv_bytes),
        bytes(fit.scratch_bytes)
    )
}

/// Why it does not fit. A system gives out memory that it does not have, and ends the process that uses it: so this is asked first.
fn too_large(fit: &FitPlan, available: Option<u64>) -> Option<String> {
    let available = available.filter(|a| fit.total_bytes > *a)?;
    Some(format!(
        "{}, this machine has {} of memory free",
        needed(fit),
        bytes(available)
    ))
}

/// Whether the device's memory is the host's: on the CPU, and on a GPU in software.
fn computes_on_host(device: &DeviceArg) -> bool {
    let adapters = || pollster::block_on(chord_kernels::gpu::list_adapters());
    *device == DeviceArg::Cpu || adapters().iter().all(|a| a.kind == "cpu")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> Result<Option<Synth>, Error> {
        named(&ModelArgs {
            model: name.into(),
            sha256: None,
        })
    }

    #[test]
    fn only_synth_is_made_up_and_an_unknown_name_lists_the_known() {
        assert!(model("synth.gguf").expect("a path").is_none());
        assert!(model("synth:tiny-q8_0").expect("a name").is_some());
        let error = model("synth:llama-7b").expect_err("no such shape");
        assert_eq!(error.code(), "E_USAGE");
        assert!(error.help().contains("synth:llama-8b-q4_k_m"));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_the_plan_before_it_is_made() {
        let model = Synth::new("llama-8b-q4_k_m").expect("a name");
        let directory = pollster::block_on(read_header(&model)).expect("a header");
        let config = Config::from_directory(&directory).expect("a model");
        let kv = chord_runtime::KvType::F16;
        let fit = FitPlan::from_header(&directory, &config, kv, Some(8192), None).expect("a plan");
        assert_eq!(too_large(&fit, Some(16 << 30)), None);
        assert_eq!(too_large(&fit, None), None);
        let reason = too_large(&fit, Some(4 << 30)).expect("too large");
        assert!(
            reason.contains("KV cache for 8192 tokens 1.00 GiB"),
            "{reason}"
        );
        let error = does_not_fit(reason);
        assert_eq!((error.code(), error.exit_code()), ("E_FIT", 5));
    }
}
