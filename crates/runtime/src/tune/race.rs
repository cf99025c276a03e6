//! The measuring: candidates for one thing are timed in turn, so that a clock that rises meanwhile favours none.

use super::variant::{Tiled, Variant};
use super::{On, WORTH, fastest_of};
use crate::Error;
use crate::load::LoadProgress;
use chord_kernels::PAGE;
use chord_kernels::attention::Attention;
use chord_kernels::device::BoundStep;
use chord_kernels::matmul::MatMul;
use chord_kernels::op::{Kernel, Step};
use chord_kernels::route::Route;
use chord_kernels::sum_routes::SumRoutes;
use chord_model::{GraphOptions, Plan, Reach};
use std::any::Any;
use web_time::{Duration, Instant};

/// Nothing is begun after this, compiling included.
const BUDGET: Duration = Duration::from_millis(1200);
/// What one measurement shall take: in a browser clocks tick by tenths of a millisecond.
const MEASURED: Duration = Duration::from_millis(10);
/// A GPU that has had nothing to do takes about so long to reach the clock it keeps.
const WARM_UP: Duration = Duration::from_millis(50);
/// Times that candidates take turns.
const TURNS: usize = 3;
/// Weights that are read in turn: more than a GPU's caches hold, so that they come from where a model's come from.
const WEIGHTS: u64 = 128 << 20;
/// Rows of a batch that is measured.
const ROWS: u32 = 64;
/// A batch that would take longer is not measured: its time follows from a smaller one's, as a GPU that is so slow is busy with that.
const LONG: f64 = 200.0;
/// The last of them lies about here, in a context that long.
const DEPTH: u32 = 1024;

/// What was measured.
pub(super) struct Measured {
    pub variant: Variant,
    /// The times, in words.
    pub report: String,
    /// Nothing was left out for want of time.
    pub finished: bool,
}

/// A candidate: its name and what it would run.
struct Entry<'a> {
    name: String,
    steps: Vec<&'a Step>,
}

/// Measures what there is to choose from, one thing after another while there is time. `plan` is that of `graph`.
pub(super) async fn race(
    on: &On<'_, '_>,
    graph: &GraphOptions,
    plan: &Plan,
) -> Result<Measured, Error> {
    let mut race = Race {
        on,
        started: Instant::now(),
        budget: on.opts.tune_budget.unwrap_or(BUDGET),
        warm: on.device.caps().software,
        finished: true,
        report: Vec::new(),
    };
    let mut best = Variant::of(graph);
    best = race.layouts(graph, best).await?;
    if let Some(suggested) = best.tiles {
        best = race.tiles(graph, best, suggested).await?;
    }
    best = race.attention(graph, plan, best).await?;
    best.split_from = race.splits(plan, best.split_from).await?;
    let took = race.started.elapsed().as_millis();
    Ok(Measured {
        variant: best,
        report: format!("measured in {took} ms: {}", race.report.join(", ")),
        finished: race.finished,
    })
}

struct Race<'a, 'w> {
    on: &'a On<'a, 'w>,
    started: Instant,
    budget: Duration,
    /// The GPU is at its clock.
    warm: bool,
    finished: bool,
    report: Vec<String>,
}

impl Race<'_, '_> {
    /// Thread layouts of a token's products.
    async fn layouts(&mut self, graph: &GraphOptions, best: Variant) -> Result<Variant, Error> {
        let layouts = Variant::layouts(self.on.opts, self.on.device.caps(), best.layout);
        let variants = layouts.into_iter().map(|layout| Variant { layout, ..best });
        let plans = self.plans(graph, variants)?;
        let entries = plans.iter().map(|(variant, plan)| Entry {
            name: variant.layout.to_string(),
            steps: products(&plan.decode, WEIGHTS)
                .into_iter()
                .chain(&plan.head)
                .collect(),
        });
        let times = self.time(entries.collect(), 1).await?;
        Ok(fastest_of(best, &of_variants(&plans, times)))
    }

    /// Whether a batch goes by tiles, by which, and from how many tokens on. `best` has the layout of small batches.
    async fn tiles(
        &mut self,
        graph: &GraphOptions,
        best: Variant,
        suggested: Tiled,
    ) -> Result<Variant, Error> {
        let plan = self.on.model.plan(&best.applied(graph))?;
        let rows = ROWS.min(plan.chunk);
        self.on.write_routes(&plan, rows);
        let what = |by: &str, rows: u32| format!("{rows} rows by {by}");
        let columns = Entry {
            name: what("columns", rows),
            steps: first_layer(&plan.prefill),
        };
        let columns = self.time(vec![columns], rows).await?.remove(0);
        let tilings = Variant::tilings(self.on.device.caps()).into_iter();
        let plans = self.plans(
            graph,
            tilings.map(|int8| Variant {
                tiles: Some(Tiled { int8, ..suggested }),
                ..best
            }),
        )?;
        let entries = |rows: u32| {
            let entries = plans.iter().map(|(variant, plan)| Entry {
                name: what(&variant.tiled(), rows),
                steps: first_layer(plan.tiled.as_deref().unwrap_or_default()),
            });
            entries.collect::<Vec<_>>()
        };
        let few = self.time(entries(rows), rows).await?;
        // A large GPU has little to do for so few rows; how it takes prompts shows in whole batches.
        let larger = f64::from(plan.chunk) / f64::from(rows);
        let slowest = few.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
        let many = match plan.chunk > rows && slowest * larger < LONG {
            true => {
                self.on.write_routes(&plan, plan.chunk);
                self.time(entries(plan.chunk), plan.chunk).await?
            }
            false => few.iter().map(|t| t.map(|t| t * larger)).collect(),
        };
        let timed = of_variants(&plans, many);
        let mut best = fastest_of(best, &timed);
        let at = |times: &[(Variant, f64)]| times.iter().find(|(v, _)| *v == best).map(|(_, t)| *t);
        let (few, many) = (at(&of_variants(&plans, few)), at(&timed));
        if let (Some(columns), Some(few), Some(many)) = (columns, few, many) {
            let from = Variant::tiles_from((rows, plan.chunk), columns, (few, many));
            best.tiles = best.tiles.zip(from).map(|(t, from)| Tiled { from, ..t });
        }
        Ok(best)
    }

    /// How many rows of a batch share a workgroup of attention.
    async fn attention(
        &mut self,
        graph: &GraphOptions,
        plan: &Plan,
        best: Variant,
    ) -> Result<Variant, Error> {
        let rows = ROWS.min(plan.chunk);
        self.on
            .write_rows(plan, rows, (graph.seq_pages * PAGE).min(DEPTH));
        let cols = Variant::attention_cols(self.on.opts, best.attention_cols);
        let variants = cols.into_iter().map(|attention_cols| Variant {
            attention_cols,
            ..best
        });
        let plans = self.plans(graph, variants)?;
        let attention = |step: &&Step| kernel::<Attention>(step).is_some();
        let entries = plans.iter().map(|(variant, plan)| Entry {
            name: format!("attention of {} rows a workgroup", variant.attention_cols),
            steps: plan.prefill.iter().filter(attention).take(1).collect(),
        });
        let times = self.time(entries.collect(), rows).await?;
        Ok(fastest_of(best, &of_variants(&plans, times)))
    }

    /// From how many tokens on a token's attention is split, where it can be: by what it takes behind half as many again as the fewest.
    async fn splits(&mut self, plan: &Plan, suggested: Option<u32>) -> Result<Option<u32>, Error> {
        let Some((splits, suggested)) = plan.splits.zip(suggested) else {
            return Ok(None);
        };
        let (fewest, most) = Variant::split_from(splits);
        let tokens = fewest + fewest / 2;
        self.on.write_rows(plan, 1, tokens);
        let of = |reach: Reach| {
            let steps = plan.decode.iter().zip(&plan.reach);
            let mut steps = steps.filter(|(_, r)| **r == reach).map(|(step, _)| step);
            let first = steps.next();
            let layer = |step: &Step| step.name.split('.').next().map(str::to_owned);
            let same = |step: &&Step| first.is_some_and(|first| layer(first) == layer(step));
            first.into_iter().chain(steps.take_while(same)).collect()
        };
        let entry = |how: &str, reach| Entry {
            name: format!("attention behind {tokens} tokens {how}"),
            steps: of(reach),
        };
        let entries = vec![entry("whole", Reach::Short), entry("split", Reach::Long)];
        let times = self.time(entries, 1).await?;
        Ok(Some(match times[..] {
            [Some(whole), Some(split)] if whole < WORTH * split => most,
            [Some(_), Some(_)] => fewest,
            _ => suggested,
        }))
    }

    fn plans(
        &self,
        graph: &GraphOptions,
        variants: impl Iterator<Item = Variant>,
    ) -> Result<Vec<(Variant, Plan)>, Error> {
        let plan = |v: Variant| Ok((v, self.on.model.plan(&v.applied(graph))?));
        variants.map(plan).collect()
    }

    /// Milliseconds of a pass over each entry's steps; None where there is no time left, or the device refuses one.
    async fn time(
        &mut self,
        entries: Vec<Entry<'_>>,
        rows: u32,
    ) -> Result<Vec<Option<f64>>, Error> {
        let mut times = vec![None; entries.len()];
        let mut ready = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            if self.started.elapsed() > self.budget {
                self.finished = false;
                break;
            }
            if let Some(steps) = self.bind(&entry.steps).await? {
                // It clears the buffers, too.
                let once = self.run(&steps, rows, 1).await?;
                ready.push((i, steps, once));
            }
        }
        for _ in 0..TURNS {
            for (i, steps, once) in &mut ready {
                // Of what takes long, one more says enough.
                if *once > 5 * MEASURED && times[*i].is_some() {
                    continue;
                }
                let passes = (MEASURED.as_nanos() / once.as_nanos().max(1)).clamp(1, 64) as u32;
                let took = self.run(steps, rows, passes).await? / passes;
                *once = took.clamp(Duration::from_micros(1), *once);
                times[*i] = Some(1e3 * once.as_secs_f64());
            }
        }
        for (entry, took) in entries.iter().zip(&times) {
            let say = |took: &f64| format!("{} {took:.2} ms", entry.name);
            self.report.extend(took.as_ref().map(say));
        }
        Ok(times)
    }

    /// None where the device refuses a step.
    async fn bind(&mut self, steps: &[&Step]) -> Result<Option<Vec<BoundStep>>, Error> {
        let On {
            device,
            buffers,
            watch,
            ..
        } = self.on;
        device.compile(steps.iter().copied(), watch.cancel);
        let mut bound = Vec::with_capacity(steps.len());
        for step in steps {
            watch.say(LoadProgress::Device)?;
            match buffers.bind(device, step).await {
                Ok(step) => bound.push(step),
                Err(chord_kernels::Error::Refused { .. }) => return Ok(None),
                Err(e) => return Err(e.into()),
            }
        }
        if !self.warm {
            self.warm = true;
            let began = Instant::now();
            while began.elapsed() < WARM_UP {
                self.run(&bound, 1, 1).await?;
            }
        }
        Ok(Some(bound))
    }

    /// What so many passes take the device, and the way there and back.
    async fn run(&self, steps: &[BoundStep], rows: u32, passes: u32) -> Result<Duration, Error> {
        let steps = std::iter::repeat_n(steps, passes as usize).flatten();
        let recorded = self.on.device.record(steps, rows, &[]);
        let began = Instant::now();
        if let Some(recorded) = recorded {
            self.on.device.submit(recorded);
        }
        self.on.device.wait().await?;
        Ok(began.elapsed())
    }
}

/// The times there are.
fn of_variants(plans: &[(Variant, Plan)], times: Vec<Option<f64>>) -> Vec<(Variant, f64)> {
    let timed = plans.iter().zip(times);
    timed
        .filter_map(|((variant, _), took)| Some((*variant, took?)))
        .collect()
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

    /// Rows that end a context of so many tokens, for attention to look back from. The page table is empty: every page is the first.
    fn write_rows(&self, plan: &Plan, rows: u32, tokens: u32) {
        let position = |i: u32| (tokens + i).saturating_sub(rows);
        let words: Vec<u32> = (0..rows).flat_map(|i| [0, position(i), 0, 1]).collect();
        self.device
            .write(self.buffers.buffer(plan.ids.rows), 0, &words);
    }
}
