//! From a file to a running engine: header, checks, device, weights in bounded slices, pipelines.

use crate::engine::{Engine, Parts};
use crate::options::{EngineOptions, Overflow};
use crate::{Error, options};
use chord_gguf::{Directory, Limits, Parser, Progress};
use chord_kernels::gpu::{BoundStep, Gpu, GpuPlan};
use chord_kernels::op::Step;
use chord_kernels::{PAGE, rope_table};
use chord_model::{Config, DeviceLimits, FitPlan, KvPages, Plan, plan};
use chord_text::{ChatTemplate, Tokenizer};
use std::time::Instant;

/// Random access to the bytes of a model file.
pub trait ModelSource {
    /// Bytes in the file.
    fn len(&self) -> u64;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()>;
}

/// Stages of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadProgress {
    /// Reading and checking the header.
    Header,
    /// Opening the device.
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

/// Bytes of the file read and repacked at once.
const SLICE_BYTES: usize = 4 << 20;
/// Bytes handed to the device before waiting for it to take them.
const FLUSH_BYTES: usize = 32 << 20;
/// Bytes of header read at once.
const HEADER_STEP: usize = 256 << 10;

/// Reads and checks the header: nothing else is touched before this says yes.
///
/// # Errors
/// `chord_gguf`'s, or reading.
pub(crate) fn read_header(source: &dyn ModelSource) -> Result<Box<Directory>, Error> {
    let mut parser = Parser::new(Limits::default()).with_file_len(source.len());
    let mut offset = 0;
    let gguf = |e| Error::Model(chord_model::Error::Gguf(e));
    loop {
        let left = usize::try_from(source.len() - offset).unwrap_or(usize::MAX);
        let mut bytes = vec![0; HEADER_STEP.min(left)];
        if bytes.is_empty() {
            return parser.finish().map_err(gguf);
        }
        source
            .read_at(offset, &mut bytes)
            .map_err(|source| Error::Read { offset, source })?;
        offset += bytes.len() as u64;
        if let Progress::Ready(directory) = parser.feed(&bytes).map_err(gguf)? {
            directory.check_file_len(source.len()).map_err(gguf)?;
            return Ok(directory);
        }
    }
}

impl Engine {
    /// Loads a model. Everything that can be known from the header is checked before a device is opened.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn load(
        source: &dyn ModelSource,
        opts: &EngineOptions,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, Error> {
        let started = Instant::now();
        progress(LoadProgress::Header);
        let directory = read_header(source)?;
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
        let gpu = Gpu::open(opts.adapter.as_deref()).await?;
        let limits = DeviceLimits {
            max_binding: gpu.caps().max_binding,
            max_buffer: gpu.caps().max_buffer,
        };
        let mut wanted = opts.context;
        let (fit, plan, buffers) = loop {
            let fit = FitPlan::from_header(&directory, &config, opts.kv, wanted, Some(&limits))?;
            if !fit.verdict.fits {
                return Err(chord_model::Error::Fit {
                    reasons: fit.verdict.reasons,
                }
                .into());
            }
            let graph = opts.graph(gpu.caps(), &fit, tokenizer.eog().len());
            let plan = plan(&directory, &config, &graph)?;
            match GpuPlan::allocate(&gpu, &plan.buffers).await {
                Ok(buffers) => break (fit, plan, buffers),
                // Nobody asked for this much context: take less rather than nothing. The figure is reported.
                Err(chord_kernels::Error::OutOfMemory { .. })
                    if opts.context.is_none() && fit.context > 1024 =>
                {
                    wanted = Some(fit.context / 2);
                }
                Err(e) => return Err(e.into()),
            }
        };
        let loader_peak_host_bytes = upload(source, &directory, &gpu, &plan, &buffers, progress)?;
        write_tables(
            source, &directory, &config, opts, &fit, &gpu, &plan, &buffers, &tokenizer,
        )?;

        let total = (plan.prefill.len() + plan.decode.len() + 2) as u32;
        let mut done = 0;
        let mut bind = async |steps: &[Step]| -> Result<Vec<BoundStep>, Error> {
            let mut bound = Vec::with_capacity(steps.len());
            for step in steps {
                bound.push(buffers.bind(&gpu, step).await?);
                done += 1;
                progress(LoadProgress::Pipelines { done, total });
            }
            Ok(bound)
        };
        let prefill = bind(&plan.prefill).await?;
        let decode = bind(&plan.decode).await?;
        let head = bind(std::slice::from_ref(&plan.head)).await?.remove(0);
        let sample = bind(std::slice::from_ref(&plan.sample)).await?.remove(0);
        gpu.flush()?;
        gpu.check()?;
        let staging_words = plan
            .ids
            .logits_words
            .max(chord_kernels::sample::ctl::WORDS as u64);
        let staging = gpu.staging(staging_words).await?;
        progress(LoadProgress::Ready);
        let ring = matches!(opts.overflow, Overflow::Ring { .. });
        let kv = KvPages::new(
            plan.pages,
            fit.context,
            opts.max_sequences,
            opts.sink_pages(),
            ring,
        );
        Ok(Self::new(Parts {
            gpu,
            buffers,
            plan,
            prefill,
            decode,
            head,
            sample,
            staging,
            kv,
            config,
            tokenizer,
            template,
            fit,
            options: opts.clone(),
            load_ms: started.elapsed().as_secs_f64() * 1e3,
            loader_peak_host_bytes,
        }))
    }
}

/// Streams every weight through a bounded slice to the device. Returns the most host bytes held at once.
fn upload(
    source: &dyn ModelSource,
    d: &Directory,
    gpu: &Gpu,
    plan: &Plan,
    buffers: &GpuPlan,
    progress: &mut dyn FnMut(LoadProgress),
) -> Result<u64, Error> {
    let total = d.tensors().iter().map(|t| t.bytes).sum();
    let (mut done, mut pending, mut peak) = (0u64, 0usize, 0usize);
    let (mut bytes, mut quants, mut scales) = (Vec::new(), Vec::new(), Vec::new());
    for segment in &plan.segments {
        for slice in segment.slices(SLICE_BYTES)? {
            bytes.resize(slice.bytes, 0);
            quants.resize(slice.quants.1, 0);
            scales.resize(slice.scales.1, 0);
            source
                .read_at(slice.offset, &mut bytes)
                .map_err(|source| Error::Read {
                    offset: slice.offset,
                    source,
                })?;
            segment.repack(&bytes, &mut quants, &mut scales)?;
            gpu.write(buffers.buffer(segment.quants), slice.quants.0, &quants);
            gpu.write(buffers.buffer(segment.scales), slice.scales.0, &scales);
            let repacked = 4 * (quants.len() + scales.len());
            pending += repacked;
            peak = peak.max(bytes.len() + repacked + pending);
            if pending >= FLUSH_BYTES {
                gpu.flush()?;
                pending = 0;
            }
            done += slice.bytes as u64;
            progress(LoadProgress::Weights { done, total });
        }
    }
    for vector in &plan.vectors {
        let values = read_floats(source, vector.offset, vector.len)?;
        gpu.write(buffers.buffer(vector.buffer), 0, &values);
        done += 4 * vector.len as u64;
    }
    gpu.flush()?;
    progress(LoadProgress::Weights { done, total });
    Ok(peak as u64)
}

/// `n` little-endian f32 as words.
fn read_floats(source: &dyn ModelSource, offset: u64, n: usize) -> Result<Vec<u32>, Error> {
    let mut bytes = vec![0; n * 4];
    source
        .read_at(offset, &mut bytes)
        .map_err(|source| Error::Read { offset, source })?;
    Ok(bytes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect())
}

#[expect(
    clippy::too_many_arguments,
    reason = "called once, with everything that loading has gathered"
)]
fn write_tables(
    source: &dyn ModelSource,
    d: &Directory,
    config: &Config,
    opts: &EngineOptions,
    fit: &FitPlan,
    gpu: &Gpu,
    plan: &Plan,
    buffers: &GpuPlan,
    tokenizer: &Tokenizer,
) -> Result<(), Error> {
    let factors = match d.tensor("rope_freqs.weight") {
        None => None,
        Some(t) => {
            let n = usize::try_from(t.elements()).unwrap_or(0);
            Some(
                read_floats(source, t.offset, n)?
                    .into_iter()
                    .map(f32::from_bits)
                    .collect::<Vec<_>>(),
            )
        }
    };
    let (angles, magnitude) = config.rope.inv_freq(factors.as_deref());
    let positions = match opts.overflow {
        Overflow::Stop => fit.context,
        Overflow::Ring { .. } => options::RING_POSITIONS.max(fit.context),
    };
    let (table, _) = rope_table(&angles, magnitude, positions);
    gpu.write(
        buffers.buffer(plan.ids.rope),
        0,
        bytemuck::cast_slice(&table),
    );
    gpu.write(buffers.buffer(plan.ids.sampler[2]), 0, tokenizer.eog());
    Ok(())
}
