//! Loads a model for a subcommand: file, options, progress.

use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::adapters;
use crate::args::{DeviceArg, EngineArgs, ModelArgs, PrecisionArg, SpeculateArg, TuneArg};
use crate::error::Error;
use crate::model_file::{self, Files, cache};
use crate::out::dim;
use chord_model::Config;
use chord_runtime::{
    DeviceChoice, Engine, EngineOptions, KvType, LoadProgress, ModelSource, Precision, Speculate,
};

/// What a subcommand asks of the engine beyond its flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// Precision without `--precision`.
    pub precision: Precision,
    /// Keep every intermediate tensor.
    pub taps: bool,
    /// Tokens per submit; None: by the time they take.
    pub tokens_per_submit: Option<u32>,
}

/// Options from flags. `exact` keeps every operand f32, the cache included, unless `--kv` says otherwise.
pub fn options(args: &EngineArgs, needs: Needs) -> EngineOptions {
    let precision = match args.precision {
        Some(PrecisionArg::Fast) => Precision::Fast,
        Some(PrecisionArg::Exact) => Precision::Exact,
        None => needs.precision,
    };
    let kv = args.kv.unwrap_or(match precision {
        Precision::Fast => KvType::F16,
        Precision::Exact => KvType::F32,
    });
    EngineOptions {
        device: match args.device {
            DeviceArg::Auto => DeviceChoice::Auto,
            DeviceArg::Gpu => DeviceChoice::Gpu,
            DeviceArg::Cpu => DeviceChoice::Cpu,
        },
        adapter: args.adapter.clone(),
        threads: args.threads.map(usize::from),
        context: args.ctx,
        kv,
        precision,
        taps: needs.taps,
        tokens_per_submit: needs.tokens_per_submit,
        speculate: match args.speculate {
            None | Some(SpeculateArg::Auto) => Speculate::Auto,
            Some(SpeculateArg::Off) => Speculate::Off,
            Some(SpeculateArg::Lookup) => Speculate::Lookup,
        },
        tune: match args.tune {
            None | Some(TuneArg::Auto) => None,
            Some(TuneArg::Always) => Some(true),
            Some(TuneArg::Off) => Some(false),
        },
        // Without a cache folder kernels are compiled every time.
        kernel_cache: cache::folder().ok().map(|folder| folder.join("kernels")),
        ..EngineOptions::default()
    }
}

/// Flags that say nothing about the device asked for are a mistake, not to be ignored.
pub fn check(args: &EngineArgs) -> Result<(), Error> {
    match args.device {
        DeviceArg::Cpu if args.adapter.is_some() => Err(Error::usage(
            "--adapter names a GPU, and --device cpu uses none",
            "leave one of them out",
        )),
        DeviceArg::Gpu if args.threads.is_some() => Err(Error::usage(
            "--threads is for the CPU, and --device gpu does not compute there",
            "leave one of them out",
        )),
        _ => Ok(()),
    }
}

/// Gets the model, loads it onto the device and says on standard error what came out.
pub fn load(model: &ModelArgs, args: &EngineArgs, needs: Needs) -> Result<Engine, Error> {
    check(args)?;
    Ok(told(open_file(model, args, needs)?, args))
}

/// The same of a model that is no file; [`check`] has seen the flags.
pub fn load_from(
    source: &impl ModelSource,
    args: &EngineArgs,
    needs: Needs,
) -> Result<Engine, Error> {
    Ok(told(open(source, args, needs, &|| false)?, args))
}

fn told(engine: Engine, args: &EngineArgs) -> Engine {
    dim(&device_line(&engine, engine.device_reason()));
    dim(&context_line(
        engine.context_length(),
        args.ctx,
        engine.config(),
    ));
    for (key, value) in engine.describe() {
        tracing::info!("{key}: {value}");
    }
    engine
}

/// The same model with the same flags after its device was lost; for `cpu`, a reason, on the CPU.
pub fn load_again(
    model: &ModelArgs,
    args: &EngineArgs,
    needs: Needs,
    cpu: Option<&str>,
) -> Result<Engine, Error> {
    let mut args = args.clone();
    if cpu.is_some() {
        (args.device, args.adapter) = (DeviceArg::Cpu, None);
    }
    let engine = open_file(model, &args, needs)?;
    dim(&device_line(&engine, cpu.unwrap_or(engine.device_reason())));
    Ok(engine)
}

/// The device in use, and why.
pub fn device_line(engine: &Engine, reason: &str) -> String {
    format!("device: {}; {reason}", adapters::words(engine.adapter()))
}

fn open_file(model: &ModelArgs, args: &EngineArgs, needs: Needs) -> Result<Engine, Error> {
    settled(model, |files, quiet| open(files, args, needs, quiet))
}

/// What `open` makes of a model whose download may go on meanwhile: of the right bytes, and no sooner than they are all there.
fn settled(
    model: &ModelArgs,
    open: impl Fn(&Files, &dyn Fn() -> bool) -> Result<Engine, Error>,
) -> Result<Engine, Error> {
    let files = model_file::open(model)?;
    let opened = open(&files, &|| files.are_arriving());
    match files.settle(opened.is_ok())? {
        None => opened,
        Some(paths) => {
            drop(opened);
            open(&Files::open(&paths)?, &|| false)
        }
    }
}

/// `quiet`: whether the terminal belongs to somebody else just now.
fn open(
    source: &impl ModelSource,
    args: &EngineArgs,
    needs: Needs,
    quiet: &dyn Fn() -> bool,
) -> Result<Engine, Error> {
    let mut engine = open_one(source, &options(args, needs), quiet)?;
    if let Some(model) = &args.draft_model {
        let model = ModelArgs {
            model: model.clone(),
            sha256: None,
        };
        let smaller = EngineOptions {
            // As much as it has, where that is less: beyond it nothing is drafted.
            context: None,
            speculate: Speculate::Off,
            tokens_per_submit: None,
            ..options(args, needs)
        };
        let smaller = settled(&model, |files, quiet| open_one(files, &smaller, quiet))?;
        pollster::block_on(engine.draft_with(smaller))?;
    }
    Ok(engine)
}

fn open_one(
    source: &impl ModelSource,
    options: &EngineOptions,
    quiet: &dyn Fn() -> bool,
) -> Result<Engine, Error> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let mut report = |progress: LoadProgress| {
        if !quiet() {
            show(&bar, &progress);
        }
    };
    // Ctrl-C ends the program while a model loads.
    let never = AtomicBool::new(false);
    let engine = pollster::block_on(Engine::load(source, options, &never, &mut report));
    bar.finish_and_clear();
    Ok(engine?)
}

/// The context in tokens and where the figure comes from.
fn context_line(context: u32, asked: Option<u32>, model: &Config) -> String {
    let Config {
        context_length: usable,
        trained_context: trained,
        ..
    } = *model;
    let why = match asked {
        Some(asked) if asked == context => "as asked with --ctx".to_owned(),
        Some(asked) => format!("{asked} asked with --ctx, the rest does not fit"),
        None if context < usable => {
            format!("the model has {trained}, the device has room for this much")
        }
        None if usable < trained => {
            format!("the engine's limit; the model was trained for {trained}")
        }
        None => "the model's own".to_owned(),
    };
    format!("context: {context} tokens ({why})")
}

fn show(bar: &ProgressBar, progress: &LoadProgress) {
    let style = |template: &str| {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    };
    match progress {
        LoadProgress::Header => {
            style("{msg}");
            bar.set_message("reading the header");
        }
        LoadProgress::Device => bar.set_message("opening the device"),
        LoadProgress::Weights { done, total } => {
            if bar.length() != Some(*total) || bar.message() != "weights" {
                style("{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}");
                bar.set_length(*total);
                bar.set_message("weights");
            }
            bar.set_position(*done);
        }
        LoadProgress::Pipelines { done, total } => {
            if bar.message() != "kernels" {
                style("{msg} {wide_bar} {pos}/{len}");
                bar.set_position(u64::from(*done));
                bar.set_length(u64::from(*total));
                bar.set_message("kernels");
            }
            bar.set_position(u64::from(*done));
        }
        LoadProgress::Ready => bar.finish_and_clear(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(precision: Option<PrecisionArg>, kv: Option<KvType>) -> EngineArgs {
        EngineArgs {
            kv,
            precision,
            ..EngineArgs::default()
        }
    }

    #[test]
    fn the_cache_follows_the_precision_unless_told_otherwise() {
        let needs = Needs::default();
        let kv = |p, k| options(&flags(p, k), needs).kv;
        assert_eq!(kv(None, None), KvType::F16);
        assert_eq!(kv(Some(PrecisionArg::Exact), None), KvType::F32);
        assert_eq!(
            kv(Some(PrecisionArg::Exact), Some(KvType::F16)),
            KvType::F16
        );
        assert_eq!(kv(Some(PrecisionArg::Fast), Some(KvType::F32)), KvType::F32);
    }

    #[test]
    fn the_context_figure_says_where_it_comes_from() {
        use chord_gguf::write::{WriteValue, tiny_llama};
        let line = |context, asked, trained| {
            let mut spec = tiny_llama();
            spec.set("llama.context_length", WriteValue::U32(trained));
            let directory =
                chord_gguf::Directory::parse_file(&spec.to_bytes()).expect("a written file");
            let model = Config::from_directory(&directory).expect("a written model");
            context_line(context, asked, &model)
        };
        assert_eq!(
            line(64, Some(64), 1024),
            "context: 64 tokens (as asked with --ctx)"
        );
        assert_eq!(
            line(1024, None, 1024),
            "context: 1024 tokens (the model's own)"
        );
        assert!(line(512, None, 1024).contains("the model has 1024, the device has room"));
        assert_eq!(
            line(1 << 20, None, 10_000_000),
            "context: 1048576 tokens (the engine's limit; the model was trained for 10000000)"
        );
    }
}
