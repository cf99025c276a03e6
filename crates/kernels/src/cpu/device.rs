//! The host's processor as a device: runs the plan's steps where they are submitted.

use super::pace::Pace;
use super::{Cores, CpuBindings, CpuBuffer};
use crate::Error;
use crate::gpu::{AdapterInfo, Caps, Counters};
use crate::op::{BufDesc, Grid, Kernel, Step};
use crate::profile::StepTime;
use chord_simd::Level;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use web_time::Instant;

/// The processor, open.
#[derive(Debug)]
pub struct Cpu {
    info: AdapterInfo,
    caps: Caps,
    counters: Arc<Counters>,
    lost: Arc<OnceLock<String>>,
    cores: Cores,
    paces: [Mutex<Pace>; 2],
    opened: Instant,
    #[cfg(target_arch = "wasm32")]
    last_turn: Mutex<Instant>,
}

/// A buffer; its bytes leave the live count when it is dropped.
#[derive(Debug)]
pub struct Buffer {
    inner: Arc<CpuBuffer>,
    counters: Arc<Counters>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = self.inner.bytes();
        self.counters.gpu_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Buffer {
    pub(crate) fn copy_from(&self, at: u64, from: &Self, from_word: u64, words: u64) {
        let mut copied = vec![0; usize::try_from(words).unwrap_or(usize::MAX)];
        from.inner.read(from_word, &mut copied);
        self.inner.write(at, &copied);
    }
}

/// A step with its buffers.
#[derive(Debug)]
pub struct BoundStep {
    name: String,
    kernel: Arc<dyn Kernel>,
    bind: Vec<(u32, Arc<CpuBuffer>)>,
    weight_bytes: u64,
    all_weight_bytes: u64,
}

impl BoundStep {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Weights are read once for a whole batch, but for those that each row has its own of (embeddings, experts): of experts at most
    /// all, since rows share what is read of one.
    pub(crate) fn weight_bytes(&self, rows: u32) -> u64 {
        match self.kernel.grid().rows_per_group {
            1 | Grid::ALL => (self.weight_bytes * u64::from(rows)).min(self.all_weight_bytes),
            _ => self.weight_bytes,
        }
    }
}

impl Cpu {
    /// Opens the processor with so many threads, or as many as it has.
    ///
    /// # Errors
    /// `E_THREADS` where the system gives none.
    pub fn open(threads: Option<usize>) -> Result<Self, Error> {
        Self::open_at(Level::best(), threads)
    }

    /// The same with these instructions.
    ///
    /// # Errors
    /// `E_THREADS`.
    pub fn open_at(level: Level, threads: Option<usize>) -> Result<Self, Error> {
        let cores = Cores::new(level, threads)?;
        let most = isize::MAX as u64;
        Ok(Self {
            info: AdapterInfo {
                name: format!("CPU, {}", cores.describe()),
                backend: "cpu".into(),
                kind: "cpu".into(),
                driver: cores.level().name().into(),
            },
            caps: Caps {
                subgroups: None,
                cooperative: None,
                software: true,
                max_binding: most,
                max_buffer: most,
                workgroup_bytes: u32::MAX,
                invocations: u32::MAX,
                storage_buffers: u32::MAX,
                timestamps: true,
            },
            counters: Arc::default(),
            lost: Arc::default(),
            cores,
            paces: Default::default(),
            opened: Instant::now(),
            #[cfg(target_arch = "wasm32")]
            last_turn: Mutex::new(Instant::now()),
        })
    }

    pub(crate) fn info(&self) -> &AdapterInfo {
        &self.info
    }

    pub(crate) fn threads(&self) -> usize {
        self.cores.threads()
    }

    pub(crate) fn caps(&self) -> &Caps {
        &self.caps
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn destroyer(&self) -> impl Fn() + use<> {
        let lost = self.lost.clone();
        move || {
            let _ = lost.set("it was destroyed".into());
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.lost.get() {
            Some(why) => Err(Error::Lost(why.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn buffers(&self, descriptions: &[BufDesc]) -> Result<Vec<Buffer>, Error> {
        let buffers = CpuBuffer::zeroed(descriptions)?.into_iter().map(|buffer| {
            self.counters.allocated(buffer.bytes());
            Buffer {
                inner: Arc::new(buffer),
                counters: self.counters.clone(),
            }
        });
        Ok(buffers.collect())
    }

    pub(crate) fn write(&self, buffer: &Buffer, at: u64, words: &[u32]) {
        buffer.inner.write_shared(at, words, &self.cores);
    }

    pub(crate) fn bind<'a>(
        &self,
        step: &Step,
        bind: impl Iterator<Item = (u32, &'a Buffer)>,
    ) -> BoundStep {
        BoundStep {
            name: step.name.clone(),
            kernel: step.kernel.clone(),
            bind: bind.map(|(slot, b)| (slot, b.inner.clone())).collect(),
            weight_bytes: step.kernel.weight_bytes(),
            all_weight_bytes: step.kernel.all_weight_bytes(),
        }
    }

    pub(crate) fn run<'a>(&self, steps: impl Iterator<Item = &'a BoundStep>, rows: u32) {
        self.run_each(steps, rows, |_| ());
    }

    /// The same, saying of each step when it ran.
    pub(crate) fn run_each<'a>(
        &self,
        steps: impl Iterator<Item = &'a BoundStep>,
        rows: u32,
        mut ran: impl FnMut(StepTime),
    ) {
        Counters::add(&self.counters.submits, 1);
        if self.lost.get().is_some() {
            return;
        }
        let steps: Vec<&BoundStep> = steps.collect();
        // One row and a batch have speeds of their own.
        let pace = &self.paces[usize::from(rows > 1)];
        let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
        for step in steps {
            let began = Instant::now();
            self.cores.keep(&pace);
            let bindings = CpuBindings::new(&step.bind);
            step.kernel.fast(rows, &bindings, &self.cores);
            let ended = Instant::now();
            pace.took(ended - began, step.weight_bytes);
            ran(StepTime {
                start_ns: (began - self.opened).as_nanos() as u64,
                end_ns: (ended - self.opened).as_nanos() as u64,
            });
            Counters::add(&self.counters.dispatches, 1);
            Counters::add(&self.counters.weight_bytes, step.weight_bytes(rows));
        }
    }

    /// Everything submitted is done; in a browser, other work of the worker (an abort, say) has its turn now and then.
    pub(crate) async fn wait(&self) -> Result<(), Error> {
        #[cfg(target_arch = "wasm32")]
        if self.turn_is_due() {
            gloo_timers::future::TimeoutFuture::new(0).await;
        }
        self.check()
    }

    /// Whether others have waited long enough: giving way takes a browser some milliseconds each time.
    #[cfg(target_arch = "wasm32")]
    fn turn_is_due(&self) -> bool {
        const EVERY: web_time::Duration = web_time::Duration::from_millis(50);
        let mut last = self
            .last_turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = last.elapsed() >= EVERY;
        if due {
            *last = Instant::now();
        }
        due
    }

    pub(crate) async fn read(&self, staging: &Buffer, words: u64) -> Result<Vec<u32>, Error> {
        self.wait().await?;
        let mut out = vec![0; usize::try_from(words).unwrap_or(usize::MAX)];
        staging.inner.read(0, &mut out);
        Counters::add(&self.counters.readback_bytes, words * 4);
        Ok(out)
    }
}
