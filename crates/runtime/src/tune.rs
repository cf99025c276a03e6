//! Which variants of the kernels are fastest for this model on this GPU: measured once, on the plan's own buffers before weights arrive,
//! and kept for the next time. What is chosen passes the self-test, or what was there before stays.

mod kept;
mod variant;

use crate::Error;
use crate::load::{LoadProgress, Watch};
use crate::options::EngineOptions;
use crate::place::Model;
use crate::selftest::{self, Choice};
use chord_kernels::PAGE;
use chord_kernels::attention::Attention;
use chord_kernels::device::{Buffers, Device};
use chord_kernels::matmul::MatMul;
use chord_kernels::op::{Kernel, Step};
use chord_kernels::route::Route;
use chord_kernels::sum_routes::SumRoutes;
use chord_model::{GraphOptions, Plan};
use std::any::Any;
use variant::Tiled;
pub(crate) use variant::Variant;
use web_time::{Duration, Instant};

/// No candidate is tried after this.
const BUDGET: Duration = Duration::from_millis(1200);
/// What one measurement shall take: in a browser clocks tick by tenths of a millisecond.
const MEASURED: Duration = Duration::from_millis(10);
/// Weights that are read in turn: more than a GPU's caches hold, so that they come from where a model's come from.
const WEIGHTS: u64 = 128 << 20;
/// Rows of a batch that is measured.
const ROWS: u32 = 64;
/// The last of them lies about here, in a context that long.
const DEPTH: u32 = 1024;
/// What a variant must take of the time of the one that is used unmeasured to be preferred to it.
const WORTH: f64 = 0.95;

/// Where measuring takes place.
pub(crate) struct On<'a, 'w> {
    pub device: &'a Device,
    pub buffers: &'a Buffers,
    pub model: &'a Model<'a>,
    pub opts: &'a EngineOptions,
    pub watch: &'a Watch<'w>,
}

/// What is used, and why.
#[derive(Clone, Debug)]
pub(crate) struct Tuned {
    pub variant: Variant,
    /// In words.
    pub why: String,
    /// What [`EngineOptions::tuned`] takes the next time.
    pub text: Option<String>,
}

/// What an earlier run measured.
pub(crate) struct Known {
    key: String,
    variant: Variant,
}

/// What an earlier run measured for the plan of these options, which are those that the device's capabilities suggest.
pub(crate) fn known(
    device: &Device,
    model: &Model<'_>,
    opts: &EngineOptions,
    graph: &GraphOptions,
) -> Result<Option<Known>, Error> {
    if !wanted(device, opts) {
        return Ok(None);
    }
    let key = kept::key(device.info(), &model.plan(graph)?);
    let variant = kept::find(opts, &key, device.caps());
    Ok(variant.map(|variant| Known { key, variant }))
}

impl Known {
    pub(crate) fn applied(&self, graph: &GraphOptions) -> GraphOptions {
        self.variant.applied(graph)
    }

    /// Whether the self-test left it as it is.
    pub(crate) fn holds(&self, graph: &GraphOptions) -> bool {
        self.variant.same_plan(Variant::of(graph))
    }

    pub(crate) fn tuned(self, opts: &EngineOptions) -> Tuned {
        Tuned::measured(opts, &self.key, self.variant, EARLIER.into())
    }
}

const EARLIER: &str = "measured by an earlier run";

/// Whether variants are measured on this device.
fn wanted(device: &Device, opts: &EngineOptions) -> bool {
    match (opts.tune, device) {
        (Some(wanted), Device::Gpu(_)) => wanted,
        // For software it was measured where this was written: there are two kinds of it, told apart by their capabilities.
        (None, Device::Gpu(_)) => !device.caps().software,
        (_, Device::Cpu(_)) => false,
    }
}

impl Tuned {
    /// Keeps it for the next time.
    fn measured(opts: &EngineOptions, key: &str, variant: Variant, why: String) -> Self {
        tracing::debug!(%variant, why, "tuned");
        let text = format!("{key} {variant}");
        kept::keep(opts, key, &text);
        Self {
            variant,
            why,
            text: Some(text),
        }
    }
}

/// The fastest variant and its plan. `graph` and `plan` are those of what the device's capabilities suggest, as `choice` has it.
pub(crate) async fn tune(
    on: &On<'_, '_>,
    graph: GraphOptions,
    plan: Plan,
    choice: Choice,
) -> Result<(Plan, Choice, Tuned), Error> {
    let suggested = Variant::of(&graph);
    if !wanted(on.device, on.opts) {
        let tuned = Tuned {
            variant: suggested,
            why: "not measured here".into(),
            text: None,
        };
        return Ok((plan, choice, tuned));
    }
    let key = kept::key(on.device.info(), &plan);
    let (found, why) = match kept::find(on.opts, &key, on.device.caps()) {
        Some(found) => (found, EARLIER.to_owned()),
        None => fastest(on, &graph, &plan).await?,
    };
    let (plan, choice, variant, why) = if found == suggested {
        (plan, choice, found, why)
    } else {
        let other = found.applied(&graph);
        let tested = selftest::choose(on.device, on.model, &other, on.opts, on.watch).await;
        match tested {
            Ok(tested) if found.same_plan(Variant::of(&tested.applied(&other))) => {
                (on.model.plan(&other)?, tested.after(choice), found, why)
            }
            Ok(_) | Err(Error::SelfTest { .. }) => {
                let why = format!("{found} fails the self-test ({why})");
                (plan, choice, suggested, why)
            }
            Err(e) => return Err(e),
        }
    };
    let tuned = Tuned::measured(on.opts, &key, variant, why);
    Ok((plan, choice, tuned))
}

/// Products of a plan's layers, with the sums behind those of experts, up to so many bytes of weights. They do the same work in each variant.
fn products(steps: &[Step], most: u64) -> Vec<&Step> {
    let product =
        |step: &&Step| kernel::<MatMul>(step).is_some() || kernel::<SumRoutes>(step).is_some();
    let mut weights = 0;
    let steps = steps.iter().filter(product).take_while(|step| {
        let before = weights;
        weights += step.kernel.weight_bytes();
        before < most
    });
    steps.collect()
}

/// Products of the first layer, for a batch: how fast they are is not up to where weights come from.
fn first_layer(steps: &[Step]) -> Vec<&Step> {
    let mut products = products(steps, u64::MAX);
    products.retain(|step| step.name.starts_with("layer0."));
    products
}

fn kernel<K: Kernel>(step: &Step) -> Option<&K> {
    let any: &dyn Any = step.kernel.as_ref();
    any.downcast_ref()
}

/// Measures variants one after another while there is time.
async fn fastest(
    on: &On<'_, '_>,
    graph: &GraphOptions,
    plan: &Plan,
) -> Result<(Variant, String), Error> {
    let mut race = Race {
        on,
        started: Instant::now(),
        report: Vec::new(),
    };
    let mut best = Variant::of(graph);
    let mut timed = Vec::new();
    for layout in Variant::layouts(on.opts, on.device.caps(), best.layout) {
        let variant = Variant { layout, ..best };
        let plan = on.model.plan(&variant.applied(graph))?;
        let steps = products(&plan.decode, WEIGHTS).into_iter();
        let steps: Vec<_> = steps.chain(&plan.head).collect();
        let took = race.time(&layout.to_string(), &steps, 1).await?;
        timed.extend(took.map(|took| (variant, took)));
    }
    best = fastest_of(best, &timed);
    let rows = ROWS.min(plan.chunk);
    if let Some(suggested) = best.tiles {
        let what = |by: &str| format!("{rows} rows by {by}");
        // What is chosen for single tokens, small batches have as well.
        let plan = on.model.plan(&best.applied(graph))?;
        on.write_routes(&plan, rows);
        let columns = first_layer(&plan.prefill);
        let columns = race.time(&what("columns"), &columns, rows).await?;
        let mut timed = Vec::new();
        for int8 in Variant::tilings(on.device.caps()) {
            let tiles = Some(Tiled { int8, ..suggested });
            let variant = Variant { tiles, ..best };
            let plan = on.model.plan(&variant.applied(graph))?;
            let steps = first_layer(plan.tiled.as_deref().unwrap_or_default());
            let took = race.time(&what(&int8.to_string()), &steps, rows).await?;
            timed.extend(took.map(|took| (variant, took)));
        }
        best = fastest_of(best, &timed);
        let least = timed.iter().find(|(variant, _)| *variant == best);
        if let (Some(columns), Some((variant, tiles))) = (columns, least) {
            let from = Variant::tiles_from(rows, columns, *tiles);
            best.tiles = variant.tiles.zip(from).map(|(t, from)| Tiled { from, ..t });
        }
    }
    on.write_rows(plan, rows, graph.seq_pages * PAGE);
    let mut timed = Vec::new();
    for attention_cols in Variant::attention_cols(on.opts, best.attention_cols) {
        let variant = Variant {
            attention_cols,
            ..best
        };
        let plan = on.model.plan(&variant.applied(graph))?;
        let attention = |step: &&Step| kernel::<Attention>(step).is_some();
        let steps: Vec<_> = plan.prefill.iter().filter(attention).take(1).collect();
        let what = format!("attention of {attention_cols} rows a workgroup");
        let took = race.time(&what, &steps, rows).await?;
        timed.extend(took.map(|took| (variant, took)));
    }
    best = fastest_of(best, &timed);
    let took = race.started.elapsed().as_millis();
    let report = race.report.join(", ");
    Ok((best, format!("measured in {took} ms: {report}")))
}

/// The fastest, where it takes clearly less than the first, which is what capabilities suggest.
fn fastest_of(unmeasured: Variant, timed: &[(Variant, f64)]) -> Variant {
    let least = timed.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    match (timed.first(), least) {
        (Some(first), Some(least)) if least.1 < WORTH * first.1 => least.0,
        (Some(first), _) => first.0,
        _ => unmeasured,
    }
}

struct Race<'a, 'w> {
    on: &'a On<'a, 'w>,
    started: Instant,
    report: Vec<String>,
}

impl Race<'_, '_> {
    /// Milliseconds of a pass over the steps; None where there is no time left, or the device refuses one.
    async fn time(&mut self, what: &str, steps: &[&Step], rows: u32) -> Result<Option<f64>, Error> {
        if self.started.elapsed() > BUDGET {
            return Ok(None);
        }
        let On {
            device,
            buffers,
            watch,
            ..
        } = self.on;
        let mut bound = Vec::new();
        for step in steps {
            watch.say(LoadProgress::Device)?;
            match buffers.bind(device, step).await {
                Ok(step) => bound.push(step),
                Err(chord_kernels::Error::Refused { .. }) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
        let run = async |passes: u32| -> Result<Duration, Error> {
            let began = Instant::now();
            let steps = std::iter::repeat_n(&bound, passes as usize).flatten();
            device.run(steps, rows, &[]);
            device.wait().await?;
            Ok(began.elapsed())
        };
        // The first also clears the buffers.
        let mut least = run(1).await?;
        if least < BUDGET / 4 {
            least = run(1).await?.max(Duration::from_micros(1));
        }
        if least < 5 * MEASURED {
            let passes = (MEASURED.as_nanos() / least.as_nanos()).clamp(1, 64) as u32;
            for _ in 0..3 {
                least = least.min(run(passes).await? / passes);
            }
        }
        let least = 1e3 * least.as_secs_f64();
        self.report.push(format!("{what} {least:.2} ms"));
        Ok(Some(least))
    }
}

impl On<'_, '_> {
    /// Routes of a batch to all experts of the first layer in turn, where it has any.
    fn write_routes(&self, plan: &Plan, rows: u32) {
        let mut steps = plan.tiled.iter().flatten();
        let Some((route, step)) = steps.find_map(|step| Some((kernel::<Route>(step)?, step)))
        else {
            return;
        };
        let of = |i: u32| [i % route.n_experts, 1f32.to_bits()];
        let words: Vec<u32> = (0..rows * route.used).flat_map(of).collect();
        for (_, buffer) in step.bind.iter().filter(|(slot, _)| *slot == 2) {
            let buffer = self.buffers.buffer(*buffer);
            self.device.write(buffer, 0, &words);
            if let Some(at) = route.rows_at {
                self.device.write(buffer, at.into(), &[rows]);
            }
        }
    }

    /// Rows at the end of a context, for attention to look back from. The page table is empty: every page is the first.
    fn write_rows(&self, plan: &Plan, rows: u32, positions: u32) {
        let end = positions.min(DEPTH);
        let position = |i: u32| (end + i).saturating_sub(rows);
        let words: Vec<u32> = (0..rows).flat_map(|i| [0, position(i), 0, 1]).collect();
        self.device
            .write(self.buffers.buffer(plan.ids.rows), 0, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_kernels::matmul::Layout;

    #[test]
    fn only_what_is_clearly_faster_takes_the_place_of_what_is_suggested() {
        let variant = |attention_cols| Variant {
            layout: Layout::Lanes,
            tiles: None,
            attention_cols,
        };
        let [first, second, third] = [1, 4, 8].map(variant);
        assert_eq!(fastest_of(third, &[]), third);
        assert_eq!(fastest_of(first, &[(first, 1.0), (second, 0.97)]), first);
        let timed = [(first, 1.0), (second, 0.9), (third, 0.8)];
        assert_eq!(fastest_of(first, &timed), third);
        assert_eq!(
            fastest_of(first, &[(first, 1.0), (second, f64::NAN)]),
            first
        );
    }
}
