//! Values of flags: what passes here is not refused once the model is loaded.

use chord_model::config::SamplingRange;
use chord_runtime::KvType;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Rows of the engine's largest batch.
pub const MAX_CHUNK: u32 = 32;

/// A number in `range`.
fn in_range(range: SamplingRange, s: &str) -> Result<f32, String> {
    match s.parse::<f32>() {
        Ok(v) if range.contains(v) => Ok(v),
        Ok(_) => Err(format!("must be a number from {range}")),
        Err(e) => Err(e.to_string()),
    }
}

/// Storage of keys and values, by name.
pub fn kv_type() -> impl TypedValueParser<Value = KvType> {
    PossibleValuesParser::new(KvType::ALL.map(KvType::name))
        .try_map(|name| KvType::named(&name).ok_or("no such storage"))
}

pub fn temperature(s: &str) -> Result<f32, String> {
    in_range(SamplingRange::TEMPERATURE, s)
}

pub fn top_p(s: &str) -> Result<f32, String> {
    in_range(SamplingRange::TOP_P, s)
}

pub fn min_p(s: &str) -> Result<f32, String> {
    in_range(SamplingRange::MIN_P, s)
}

pub fn repeat_penalty(s: &str) -> Result<f32, String> {
    in_range(SamplingRange::REPEAT_PENALTY, s)
}

pub fn presence_penalty(s: &str) -> Result<f32, String> {
    in_range(SamplingRange::PRESENCE_PENALTY, s)
}

pub fn frequency_penalty(s: &str) -> Result<f32, String> {
    in_range(SamplingRange::FREQUENCY_PENALTY, s)
}

/// -1 is everything, as in model files.
pub fn last_n(s: &str) -> Result<u32, String> {
    match s {
        "-1" => Ok(u32::MAX),
        n => n.parse().map_err(|e| format!("{e}; -1 is all tokens")),
    }
}

pub fn chunk(s: &str) -> Result<u32, String> {
    match s.parse::<u32>() {
        Ok(n) if (1..=MAX_CHUNK).contains(&n) => Ok(n),
        Ok(_) => Err(format!(
            "must be 1 to {MAX_CHUNK}: the engine computes at most {MAX_CHUNK} tokens at a time"
        )),
        Err(e) => Err(e.to_string()),
    }
}
