//! The kernels against their CPU twins on this adapter, before it is trusted with a model: a driver that compiles one wrongly
//! costs speed, or an error, but no wrong answers.
//!
//! Tested are the pipelines that the plan will use, at a small size, so that nearly all of the cost is compiling them, which
//! loading does anyway.

mod cases;
mod small;

use crate::Error;
use crate::load::{LoadProgress, Watch};
use crate::options::{EngineOptions, Fault, Precision};
use crate::place::Model;
use cases::Cases;
use chord_kernels::KvShape;
use chord_kernels::act::{self, ActKind};
use chord_kernels::cpu::CpuMemory;
use chord_kernels::device::{Buffers, Copy, Device};
use chord_kernels::matmul::Layout;
use chord_kernels::op::{BufId, Step};
use chord_model::{GraphOptions, Splits, Tiles};
use std::collections::BTreeSet;
use std::fmt;
use web_time::Instant;

/// Normalised mean squared error allowed for results in f32, and of KV in f16.
const F32_BUDGET: f64 = 1e-6;
/// The same for int8: a value on a rounding boundary may fall to the other step, 7e-7 each at this size.
const Q8_BUDGET: f64 = 1e-5;

/// What testing the kernels gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// Pipelines whose results were right: those in use.
    pub checks: u32,
    /// Variants that were wrong, and what is used instead.
    pub fallbacks: Vec<String>,
}

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fallbacks.as_slice() {
            [] => write!(f, "passed ({} checks)", self.checks),
            fallbacks => f.write_str(&fallbacks.join("; ")),
        }
    }
}

/// The fastest variant that computes what it should.
pub(crate) struct Choice {
    pub layout: Layout,
    pub exact: bool,
    pub splits: Option<Splits>,
    pub tiles: Option<Tiles>,
    pub report: SelfTest,
}

impl Choice {
    /// This, which is used in place of what `before` chose.
    pub(crate) fn after(mut self, before: Self) -> Self {
        self.report.fallbacks.splice(0..0, before.report.fallbacks);
        self
    }

    /// The options with what was chosen.
    pub(crate) fn applied(&self, options: &GraphOptions) -> GraphOptions {
        GraphOptions {
            layout: self.layout,
            exact: self.exact,
            splits: self.splits,
            tiles: self.tiles,
            ..options.clone()
        }
    }
}

/// A kernel to be compared.
struct Check {
    step: Step,
    /// Rows of its batch.
    rows: u32,
    /// Buffers it writes.
    results: Vec<(BufId, Form)>,
    part: Part,
}

/// What has another form to give way to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Matrix products have layouts and forms of operands.
    Product,
    /// Products of a batch need not go by tiles.
    Tile,
    /// Attention need not be split.
    Split,
    /// Nothing.
    Other,
}

/// The first check that failed.
struct Wrong {
    part: Part,
    what: String,
}

/// What a buffer holds.
#[derive(Clone, Copy)]
enum Form {
    F32,
    Blocks(ActKind),
    Kv(KvShape),
    /// So many words of (expert, weight), and others behind them that are the same.
    Routes(usize),
    /// What splits of attention found, a head of so many words each.
    Parts(usize),
}

/// Tests what the options ask for; on a mismatch attention that is whole, no tiles, or the safer layouts, then f32 operands in place of int8.
///
/// # Errors
/// `E_SELF_TEST` when every variant is wrong, `E_ABORTED`, and the device's.
pub(crate) async fn choose(
    device: &Device,
    model: &Model<'_>,
    options: &GraphOptions,
    opts: &EngineOptions,
    watch: &Watch<'_>,
) -> Result<Choice, Error> {
    let faults: &[Fault] = match device {
        Device::Gpu(_) => &opts.faults,
        Device::Cpu(_) => &[],
    };
    let started = Instant::now();
    let mut wrong: Vec<String> = Vec::new();
    let mut fallbacks = Vec::new();
    let mut variants = variants(options.layout, options.exact)
        .into_iter()
        .peekable();
    let (mut splits, mut tiles) = (options.splits, options.tiles);
    while let Some((layout, exact)) = variants.peek().copied() {
        let options = GraphOptions {
            layout,
            exact,
            splits,
            tiles,
            ..options.clone()
        };
        let plan = model.plan(&options)?;
        let cases = Cases::of(&plan, &options).map_err(|e| chord_model::Error::ModelData {
            what: format!("the self-test's matrices: {e}"),
        })?;
        let precision = if exact {
            Precision::Exact
        } else {
            Precision::Fast
        };
        let spoilt = |part| match part {
            Part::Product => faults.contains(&Fault::Products(layout, precision)),
            Part::Split => faults.contains(&Fault::Splits),
            Part::Tile => faults.contains(&Fault::Tiles),
            Part::Other => false,
        };
        let failed = match run(device, cases, &spoilt, watch).await? {
            Ok(checks) => {
                tracing::debug!(checks, elapsed = ?started.elapsed(), "self-test");
                let report = SelfTest { checks, fallbacks };
                return Ok(Choice {
                    layout,
                    exact,
                    splits,
                    tiles,
                    report,
                });
            }
            Err(failed) => failed,
        };
        let what = format!("{} {}", name(layout, exact), failed.what);
        tracing::warn!("self-test: {what}");
        match failed.part {
            Part::Split => {
                splits = None;
                fallbacks.push(format!("{what}: using attention that is not split"));
            }
            Part::Tile => {
                tiles = None;
                fallbacks.push(format!("{what}: using no tiles"));
            }
            Part::Product | Part::Other => {
                variants.next();
                if let Some((layout, exact)) = variants.peek() {
                    fallbacks.push(format!("{what}: using {}", name(*layout, *exact)));
                }
                wrong.push(what);
            }
        }
    }
    Err(Error::SelfTest {
        adapter: device.info().name.clone(),
        what: wrong.join("; "),
    })
}

/// (layout, f32 operands) in the order to try: speed is given up before int8 is, because a layout is more often what is wrong.
fn variants(first: Layout, exact: bool) -> Vec<(Layout, bool)> {
    let safer = [Layout::Lanes, Layout::RowPerThread];
    let layouts = || std::iter::once(first).chain(safer.into_iter().filter(move |l| *l != first));
    let f32_too = (!exact).then(|| layouts().map(|l| (l, true)));
    layouts()
        .map(|l| (l, exact))
        .chain(f32_too.into_iter().flatten())
        .collect()
}

fn name(layout: Layout, exact: bool) -> String {
    format!("{layout} {}", if exact { "exact" } else { "fast" })
}

/// Runs every check, in a submit for each size of batch, with one readback: how many were right, or what was wrong with the first that was not.
/// What is `spoilt` is read wrong.
async fn run(
    device: &Device,
    cases: Cases,
    spoilt: &dyn Fn(Part) -> bool,
    watch: &Watch<'_>,
) -> Result<Result<u32, Wrong>, Error> {
    let buffers = Buffers::allocate(device, &cases.buffers).await?;
    let memory = CpuMemory::new(&cases.buffers);
    for (id, words) in cases.contents.into_iter().enumerate() {
        device.write(buffers.buffer(id), 0, &words);
        memory.words_mut(id).copy_from_slice(&words);
    }
    device.compile(cases.checks.iter().map(|check| &check.step), watch.cancel);
    let mut bound = Vec::new();
    for check in &cases.checks {
        watch.say(LoadProgress::Device)?;
        match buffers.bind(device, &check.step).await {
            Ok(step) => bound.push(step),
            Err(chord_kernels::Error::Refused { why, .. }) => {
                let what = format!("refused for {}: {why}", check.step.name);
                let part = check.part;
                return Ok(Err(Wrong { part, what }));
            }
            Err(e) => return Err(e.into()),
        }
    }
    let results: Vec<(&Check, BufId, Form)> = cases
        .checks
        .iter()
        .flat_map(|check| {
            check
                .results
                .iter()
                .map(move |(id, form)| (check, *id, *form))
        })
        .collect();
    let words = |id: BufId| cases.buffers.get(id).map_or(0, |b| b.words);
    let total = results.iter().map(|(_, id, _)| words(*id)).sum();
    let staging = device.staging(total).await?;
    let mut at = 0;
    let copies: Vec<Copy<'_>> = results
        .iter()
        .map(|(_, id, _)| {
            let copy = Copy::stage(&staging, at, buffers.buffer(*id), 0, words(*id));
            at += words(*id);
            copy
        })
        .collect();
    let batches: BTreeSet<u32> = cases.checks.iter().map(|check| check.rows).collect();
    for rows in batches {
        let steps = cases.checks.iter().zip(&bound);
        let steps = steps.filter(|(check, _)| check.rows == rows);
        device.run(steps.map(|(_, step)| step), rows, &[]);
    }
    let by = device.run(std::iter::empty(), 0, &copies);
    for check in &cases.checks {
        memory.run(&check.step, check.rows);
    }
    let read = device.map(&staging, total, by).await?;
    let mut rest = read.as_slice();
    for (check, id, form) in results {
        let want = memory.words(id);
        let (got, after) = rest.split_at(want.len());
        rest = after;
        let mut got = got.to_vec();
        if spoilt(check.part) {
            got.reverse();
        }
        let (error, budget) = (form.error(&got, &want), form.budget());
        if error > budget {
            let what = format!("wrong by {error:.0e} on {}", check.step.name);
            let part = check.part;
            return Ok(Err(Wrong { part, what }));
        }
    }
    Ok(Ok(u32::try_from(bound.len()).unwrap_or(u32::MAX)))
}

impl Form {
    fn budget(self) -> f64 {
        match self {
            Self::Blocks(ActKind::Q8) => Q8_BUDGET,
            _ => F32_BUDGET,
        }
    }

    /// Normalised mean squared error; of activation blocks also of their sums of squares and of what their sums miss.
    fn error(self, got: &[u32], want: &[u32]) -> f64 {
        let floats = |words: &[u32]| words.iter().map(|w| f32::from_bits(*w)).collect::<Vec<_>>();
        match self {
            Self::F32 => nmse(&floats(got), &floats(want)),
            Self::Routes(words) => {
                let every_other = |all: &[u32], first: usize| -> Vec<u32> {
                    all.iter().skip(first).step_by(2).copied().collect()
                };
                let ((got, behind), (want, same)) = (got.split_at(words), want.split_at(words));
                let weights = |routes: &[u32]| floats(&every_other(routes, 1));
                if every_other(got, 0) == every_other(want, 0) && behind == same {
                    nmse(&weights(got), &weights(want))
                } else {
                    f64::INFINITY
                }
            }
            // Maxima of splits that found nothing would drown all others, so everything is compared by itself.
            Self::Parts(words) => {
                let found = |all: &[u32], of: std::ops::Range<usize>| -> Vec<f32> {
                    let heads = all.chunks_exact(words);
                    let seen = heads.filter(|head| f32::from_bits(head[1]) > 0.0);
                    seen.flat_map(|head| floats(&head[of.clone()])).collect()
                };
                let parts = [0..1, 1..2, 4..words];
                let parts = parts.map(|of| (found(got, of.clone()), found(want, of)));
                parts.iter().fold(0.0, |error, (got, want)| {
                    worse(error, same_length_nmse(got, want))
                })
            }
            Self::Kv(shape) => {
                let values = |words| shape.values(words).collect::<Vec<_>>();
                nmse(&values(got), &values(want))
            }
            Self::Blocks(kind) => {
                let blocks = |words: &[u32]| {
                    let decoded = words
                        .chunks_exact(kind.words())
                        .map(|b| act::decode(kind, b));
                    let (values, ssq): (Vec<_>, Vec<_>) = decoded.unzip();
                    (values.as_flattened().to_vec(), ssq)
                };
                let ((got_values, got_ssq), (want_values, want_ssq)) = (blocks(got), blocks(want));
                let sums = got
                    .chunks_exact(kind.words())
                    .map(|b| f64::from(act::sums_error(kind, b)).powi(2));
                let errors = [nmse(&got_values, &want_values), nmse(&got_ssq, &want_ssq)];
                sums.chain(errors).fold(0.0, worse)
            }
        }
    }
}

/// The larger; what is no number is the worst.
fn worse(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

/// [`nmse`], infinite where there is more or less than there should be.
fn same_length_nmse(got: &[f32], want: &[f32]) -> f64 {
    if got.len() == want.len() {
        nmse(got, want)
    } else {
        f64::INFINITY
    }
}

/// Sum of (got - want)² over sum of want².
fn nmse(got: &[f32], want: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let error = got
        .iter()
        .zip(want)
        .map(|(g, w)| square(f64::from(*g) - f64::from(*w)));
    let power: f64 = want.iter().map(|w| square(f64::from(*w))).sum();
    worse(0.0, error.sum::<f64>() / power.max(f64::MIN_POSITIVE))
}
