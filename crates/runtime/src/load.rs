//! From a file to a running engine: header, checks, device, weights in bounded slices, pipelines.

use crate::engine::{Engine, Parts, Steps};
use crate::options::{EngineOptions, Overflow, Precision};
use crate::place::{Model, Placed, place};
use crate::source::{ModelSource, read_header};
use crate::upload::upload;
use crate::{Error, options};
use chord_kernels::device::{BoundStep, Buffers, Device};
use chord_kernels::op::{BufId, Step};
use chord_kernels::{PAGE, rope_table};
use chord_model::{Config, FitPlan, Ids, KvPages, Plan};
use chord_text::{ChatTemplate, Tokenizer};
use futures_lite::future::try_zip;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use web_time::Instant;

/// Stages of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadProgress {
    /// Reading and checking the header.
    Header,
    /// Opening the device, then testing its kernels: said again before each.
    Device,
    /// Uploading weights.
    Weights {
        /// Bytes of the file done.
        done: u64,
        /// Bytes to do.
        total: u64,
    },
    /// Compiling kernels.
    Pipelines {
        /// Steps ready.
        done: u32,
        /// Steps in all.
        total: u32,
    },
    /// Done.
    Ready,
}

/// The caller, while several things go on at once.
pub(crate) struct Watch<'a> {
    pub(crate) cancel: &'a AtomicBool,
    progress: RefCell<&'a mut dyn FnMut(LoadProgress)>,
}

impl Watch<'_> {
    /// Reports; fails once the caller has cancelled.
    pub(crate) fn say(&self, progress: LoadProgress) -> Result<(), Error> {
        (*self.progress.borrow_mut())(progress);
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}

impl Engine {
    /// Loads a model. Everything that can be known from the header is checked before a device is opened. Once `cancel` is
    /// set, it ends with `E_ABORTED` at the next slice of weights or kernel.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn load(
        source: &impl ModelSource,
        opts: &EngineOptions,
        cancel: &AtomicBool,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, Error> {
        let started = Instant::now();
        progress(LoadProgress::Header);
        let directory = read_header(source).await?;
        let config = Config::from_directory(&directory)?;
        let tokenizer = Tokenizer::from_directory(&directory)?;
        let template = ChatTemplate::from_directory(&directory)?;
        // Everything the header can say, before a device is opened.
        let fit = FitPlan::from_header(&directory, &config, opts.kv, opts.context, None)?;
        let pages = fit.context.div_ceil(PAGE);
        if opts.sink_pages() >= pages {
            let sink_pages = opts.sink_pages();
            return Err(Error::SinkPages { sink_pages, pages });
        }
        progress(LoadProgress::Device);
        let watch = Watch {
            cancel,
            progress: RefCell::new(progress),
        };
        let model = Model {
            directory: &directory,
            config: &config,
            eog: tokenizer.eog().len(),
        };
        let Placed {
            device,
            device_reason,
            fit,
            plan,
            most_pages,
            buffers,
            choice,
            tuned,
        } = place(&model, opts, &watch).await?;
        // The other kernels compile while the weights arrive.
        let factors = config.rope.factors_tensor(fit.context);
        let file = (&*directory, factors);
        let uploading = upload(source, file, &device, &plan, &buffers, &watch);
        let (uploaded, steps) =
            try_zip(uploading, bind_all(&device, &plan, &buffers, &watch)).await?;
        write_tables(
            &config,
            opts,
            &fit,
            uploaded.rope_factors.as_deref(),
            |id, words| device.write(buffers.buffer(id), 0, words),
            &plan.ids,
            tokenizer.eog(),
        );
        device.flush().await?;
        device.check()?;
        device.keep_pipelines();
        let control_words = chord_kernels::sample::ctl::WORDS as u64;
        let staging_words = plan.ids.logits_words.max(control_words);
        let staging = device.staging(staging_words).await?;
        let chained = [
            device.staging(control_words).await?,
            device.staging(control_words).await?,
        ];
        let ring = matches!(opts.overflow, Overflow::Ring { .. });
        let kv = KvPages::new(
            plan.pages,
            fit.context,
            opts.max_sequences,
            opts.sink_pages(),
            ring,
        );
        let mut options = opts.clone();
        if choice.exact {
            options.precision = Precision::Exact;
        }
        let mut engine = Self::new(Parts {
            device,
            device_reason,
            buffers,
            plan,
            steps,
            staging,
            chained,
            most_pages,
            kv,
            config,
            tokenizer,
            template,
            fit,
            options,
            self_test: choice.report,
            tuned,
            load_ms: started.elapsed().as_secs_f64() * 1e3,
            uploading: uploaded.work,
        });
        engine.make_speculation().await?;
        watch.say(LoadProgress::Ready)?;
        Ok(engine)
    }
}

/// Compiles and binds every step of a plan.
async fn bind_all(
    device: &Device,
    plan: &Plan,
    buffers: &Buffers,
    watch: &Watch<'_>,
) -> Result<Steps, Error> {
    let tiled = plan.tiled.as_deref().unwrap_or_default();
    let lists = [
        &plan.prefill,
        tiled,
        &plan.decode,
        &plan.head,
        &plan.sample[..],
    ];
    let all = lists.iter().flat_map(|steps| steps.iter());
    device.compile(all, watch.cancel);
    let total = lists.iter().map(|steps| steps.len()).sum::<usize>() as u32;
    let mut done = 0;
    let mut bind = async |step: &Step| -> Result<BoundStep, Error> {
        let bound = buffers.bind(device, step).await?;
        done += 1;
        watch.say(LoadProgress::Pipelines { done, total })?;
        Ok(bound)
    };
    let mut bound = [const { Vec::new() }; 5];
    for (bound, steps) in bound.iter_mut().zip(lists) {
        for step in steps {
            bound.push(bind(step).await?);
        }
    }
    let [prefill, tiled, decode, head, sample] = bound;
    Ok(Steps {
        prefill,
        tiled,
        decode,
        head,
        sample,
    })
}

/// Writes what the host computes once: the RoPE tables and the end-of-generation ids.
fn write_tables(
    config: &Config,
    opts: &EngineOptions,
    fit: &FitPlan,
    rope_factors: Option<&[f32]>,
    write: impl Fn(BufId, &[u32]),
    ids: &Ids,
    eog: &[u32],
) {
    let positions = match opts.overflow {
        Overflow::Stop => fit.context,
        Overflow::Ring { .. } => options::RING_POSITIONS.max(fit.context),
    };
    let local = config.windows.as_ref().and_then(|w| w.rope.as_ref());
    let mut tables = Vec::new();
    for rope in [Some(&config.rope), local].into_iter().flatten() {
        let (angles, magnitude) = rope.inv_freq(rope_factors);
        tables.extend(rope_table(&angles, magnitude, positions).0);
    }
    write(ids.rope, bytemuck::cast_slice(&tables));
    write(ids.sampler[2], eog);
}
