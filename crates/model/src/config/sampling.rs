//! Sampling settings that a file recommends.

use chord_gguf::{Directory, Value};

use crate::error::Result;

/// The `general.sampling.*` keys of a file, as far as this engine samples that way; `None` where the file says
/// nothing. Named as the keys are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingDefaults {
    /// Temperature, at least 0.
    pub temp: Option<f32>,
    /// Candidates kept; 0 is all of them.
    pub top_k: Option<u32>,
    /// Probability mass kept, 0 to 1.
    pub top_p: Option<f32>,
    /// Least probability kept, as a share of the best candidate's, 0 to 1.
    pub min_p: Option<f32>,
    /// Factor on tokens that occurred, above 0.
    pub penalty_repeat: Option<f32>,
    /// How many last tokens penalties look at; 0 is none, -1 the whole context.
    pub penalty_last_n: Option<i32>,
}

impl SamplingDefaults {
    pub(super) fn read(d: &Directory) -> Result<Self> {
        let share = |value: f32| (0.0..=1.0).contains(&value);
        let top_k = d.opt_i32("general.sampling.top_k")?;
        let last_n = d.opt_i32("general.sampling.penalty_last_n")?;
        if let Some(found) = last_n
            && found < -1
        {
            return Err(d
                .range_error("general.sampling.penalty_last_n", &found, "at least -1")
                .into());
        }
        Ok(Self {
            temp: number(d, "general.sampling.temp", "at least 0", |value| {
                value >= 0.0
            })?,
            // llama.cpp takes everything below 1 as "all".
            top_k: top_k.map(|k| u32::try_from(k).unwrap_or(0)),
            top_p: number(d, "general.sampling.top_p", "0 to 1", share)?,
            min_p: number(d, "general.sampling.min_p", "0 to 1", share)?,
            penalty_repeat: number(d, "general.sampling.penalty_repeat", "above 0", |value| {
                value > 0.0
            })?,
            penalty_last_n: last_n,
        })
    }
}

/// A finite number that `fits`; whole numbers are found in files too, as llama.cpp reads these keys as text.
fn number(d: &Directory, key: &str, want: &str, fits: impl Fn(f32) -> bool) -> Result<Option<f32>> {
    let value = match d.get(key).as_ref().and_then(Value::as_int) {
        Some(int) => i16::try_from(int).ok().map(f32::from).or(Some(f32::NAN)),
        None => d.opt_f32(key)?,
    };
    match value {
        Some(value) if !(value.is_finite() && fits(value)) => {
            Err(d.range_error(key, &value, want).into())
        }
        value => Ok(value),
    }
}
