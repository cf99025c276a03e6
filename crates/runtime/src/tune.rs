//! Which variants of the kernels are fastest for this model on this GPU: measured once, on the plan's own buffers before weights arrive,
//! and kept for the next time. What is chosen passes the self-test, or what was there before stays.

mod kept;
mod race;
mod variant;

use crate::Error;
use crate::load::Watch;
use crate::options::EngineOptions;
use crate::place::Model;
use crate::selftest::{self, Choice};
use chord_kernels::device::{Buffers, Device};
use chord_model::{GraphOptions, Plan};
use kept::Kept;
use race::{Measured, race};
pub(crate) use variant::Variant;

/// Loads that measure what the one before had no time for: by then the kernels it compiled are kept.
const LOADS: u32 = 3;
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
    let kept = kept::find(opts, &key, device.caps()).filter(Kept::is_final);
    Ok(kept.map(|kept| Known {
        key,
        variant: kept.variant,
    }))
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
        Tuned::measured(opts, &self.key, self.variant.into(), EARLIER.into())
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
    fn measured(opts: &EngineOptions, key: &str, kept: Kept, why: String) -> Self {
        tracing::debug!(%kept, why, "tuned");
        let text = format!("{key} {kept}");
        kept::keep(opts, key, &text);
        Self {
            variant: kept.variant,
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
    let before = kept::find(on.opts, &key, on.device.caps());
    let (found, unfinished, why) = match before {
        Some(kept) if kept.is_final() => (kept.variant, kept.unfinished, EARLIER.to_owned()),
        before => {
            let Measured {
                variant,
                report,
                finished,
            } = race(on, &graph, &plan).await?;
            let loads = 1 + before.and_then(|kept| kept.unfinished).unwrap_or(0);
            (variant, (!finished).then_some(loads), report)
        }
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
    let kept = Kept {
        variant,
        unfinished,
    };
    let tuned = Tuned::measured(on.opts, &key, kept, why);
    Ok((plan, choice, tuned))
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
            split_from: None,
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
