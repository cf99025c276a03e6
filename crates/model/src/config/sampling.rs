//! Sampling settings that a file recommends, and the ranges of such settings wherever they come from.

use chord_gguf::{Directory, Value};

use crate::error::Result;

/// The least and the greatest value of a sampling setting: the same for a file, a flag and a request, so that what is
/// accepted in one place is not refused in the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingRange {
    /// The setting, as requests call it.
    pub name: &'static str,
    /// Least value.
    pub min: f32,
    /// Greatest value.
    pub max: f32,
}

impl SamplingRange {
    /// 0 is the most likely token always.
    pub const TEMPERATURE: Self = Self::new("temperature", 0.0, 100.0);
    /// A share of the probability.
    pub const TOP_P: Self = Self::new("top_p", 0.0, 1.0);
    /// A share of the best candidate's probability.
    pub const MIN_P: Self = Self::new("min_p", 0.0, 1.0);
    /// A divisor, so never 0.
    pub const REPEAT_PENALTY: Self = Self::new("repeat_penalty", 0.01, 100.0);
    /// Subtracted from logits.
    pub const PRESENCE_PENALTY: Self = Self::new("presence_penalty", -100.0, 100.0);
    /// Subtracted from logits.
    pub const FREQUENCY_PENALTY: Self = Self::new("frequency_penalty", -100.0, 100.0);

    const fn new(name: &'static str, min: f32, max: f32) -> Self {
        Self { name, min, max }
    }

    /// Whether `value` is in the range. A NaN is in none.
    pub fn contains(&self, value: f32) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

impl std::fmt::Display for SamplingRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// The `general.sampling.*` keys of a file, as far as this engine samples that way; `None` where the file says
/// nothing. Named as the keys are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Temperature, in [`SamplingRange::TEMPERATURE`].
    pub temp: Option<f32>,
    /// Candidates kept; 0 is all of them.
    pub top_k: Option<u32>,
    /// Probability mass kept, in [`SamplingRange::TOP_P`].
    pub top_p: Option<f32>,
    /// Least probability kept, as a share of the best candidate's, in [`SamplingRange::MIN_P`].
    pub min_p: Option<f32>,
    /// Divisor for the logits of tokens that occurred, in [`SamplingRange::REPEAT_PENALTY`].
    pub penalty_repeat: Option<f32>,
    /// How many last tokens penalties look at; 0 is none, `u32::MAX` (-1 in the file) the whole context.
    pub penalty_last_n: Option<u32>,
}

impl SamplingDefaults {
    pub(super) fn read(d: &Directory) -> Result<Self> {
        let top_k = d.opt_i32("general.sampling.top_k")?;
        Ok(Self {
            temp: number(d, "general.sampling.temp", SamplingRange::TEMPERATURE)?,
            // llama.cpp takes everything below 1 as "all".
            top_k: top_k.map(|k| u32::try_from(k).unwrap_or(0)),
            top_p: number(d, "general.sampling.top_p", SamplingRange::TOP_P)?,
            min_p: number(d, "general.sampling.min_p", SamplingRange::MIN_P)?,
            penalty_repeat: number(
                d,
                "general.sampling.penalty_repeat",
                SamplingRange::REPEAT_PENALTY,
            )?,
            penalty_last_n: last_n(d)?,
        })
    }
}

fn last_n(d: &Directory) -> Result<Option<u32>> {
    let key = "general.sampling.penalty_last_n";
    match d.opt_i32(key)? {
        None => Ok(None),
        Some(-1) => Ok(Some(u32::MAX)),
        Some(n) => match u32::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(d.range_error(key, &n, "at least -1").into()),
        },
    }
}

/// A number in `range`; whole numbers are found in files too, as llama.cpp reads these keys as text.
fn number(d: &Directory, key: &str, range: SamplingRange) -> Result<Option<f32>> {
    let refuse =
        |found: &dyn std::fmt::Display| Err(d.range_error(key, found, format!("{range}")).into());
    let whole = d.get(key).filter(|value| !matches!(value, Value::Bool(_)));
    if let Some(int) = whole.as_ref().and_then(Value::as_int) {
        return match i16::try_from(int).map(f32::from) {
            Ok(value) if range.contains(value) => Ok(Some(value)),
            _ => refuse(&int),
        };
    }
    match d.opt_f32(key)? {
        Some(value) if !range.contains(value) => refuse(&value),
        value => Ok(value),
    }
}
