//! Sampling settings of a request, and the CPU sampler: llama.cpp's penalties, then the sampling kernel's own twin.
//!
//! Order: penalties over the last [`Sampling::repeat_last_n`] tokens, top-k, top-p (untempered), min-p, temperature, draw.

use std::collections::HashMap;

use crate::session::Logprobs;
use chord_kernels::sample::{self, SampleError, SampleParams};
use chord_model::config::{SamplingDefaults, SamplingRange};
use web_time::{SystemTime, UNIX_EPOCH};

/// How the next token is chosen. The default is llama.cpp's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 = always the most likely token (lowest id on a tie); 1 = the model's own distribution.
    pub temperature: f32,
    /// Keep this many of the most likely tokens (and all tied with the last); 0 = off.
    pub top_k: u32,
    /// Keep the most likely tokens that together hold this share of the probability; 1 = off.
    pub top_p: f32,
    /// Keep tokens at least this fraction as likely as the most likely one; 0 = off.
    pub min_p: f32,
    /// Tokens of history that the penalties look at, prompt included; 0 = none, `u32::MAX` = all.
    pub repeat_last_n: u32,
    /// Divides positive and multiplies negative logits of tokens seen lately; 1 = off.
    pub repeat_penalty: f32,
    /// Subtracted from the logit of every token seen lately; 0 = off.
    pub presence_penalty: f32,
    /// Subtracted from the logit once per recent occurrence; 0 = off.
    pub frequency_penalty: f32,
    /// Draws are a function of (seed, position) alone.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repeat_last_n: 64,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: 0,
        }
    }
}

/// Settings of a request; what is absent comes from the model file, else from the default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overrides {
    /// [`Sampling::temperature`].
    pub temperature: Option<f32>,
    /// [`Sampling::top_k`].
    pub top_k: Option<u32>,
    /// [`Sampling::top_p`].
    pub top_p: Option<f32>,
    /// [`Sampling::min_p`].
    pub min_p: Option<f32>,
    /// [`Sampling::repeat_last_n`].
    pub repeat_last_n: Option<u32>,
    /// [`Sampling::repeat_penalty`].
    pub repeat_penalty: Option<f32>,
    /// [`Sampling::presence_penalty`].
    pub presence_penalty: Option<f32>,
    /// [`Sampling::frequency_penalty`].
    pub frequency_penalty: Option<f32>,
    /// [`Sampling::seed`]; without it every request differs.
    pub seed: Option<u64>,
}

impl Overrides {
    /// The request before the model before the default.
    #[must_use]
    pub fn over(&self, model: &SamplingDefaults) -> Sampling {
        let default = Sampling::default();
        let pick = |own: Option<f32>, model: Option<f32>, default| own.or(model).unwrap_or(default);
        Sampling {
            temperature: pick(self.temperature, model.temp, default.temperature),
            top_k: self.top_k.or(model.top_k).unwrap_or(default.top_k),
            top_p: pick(self.top_p, model.top_p, default.top_p),
            min_p: pick(self.min_p, model.min_p, default.min_p),
            repeat_last_n: self
                .repeat_last_n
                .or(model.penalty_last_n)
                .unwrap_or(default.repeat_last_n),
            repeat_penalty: pick(
                self.repeat_penalty,
                model.penalty_repeat,
                default.repeat_penalty,
            ),
            presence_penalty: pick(self.presence_penalty, None, default.presence_penalty),
            frequency_penalty: pick(self.frequency_penalty, None, default.frequency_penalty),
            seed: self.seed.unwrap_or_else(random_seed),
        }
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The clock tells two runs apart; in one process, and where the standard library's hasher keys are random, those do.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u128(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos()),
    );
    hasher.finish()
}

/// A setting outside its range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {value}; it must be from {min} to {max}")]
pub struct InvalidSampling {
    /// The setting.
    pub name: &'static str,
    /// What was asked for.
    pub value: f32,
    /// Least value allowed.
    pub min: f32,
    /// Greatest value allowed.
    pub max: f32,
}

impl InvalidSampling {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        "E_SAMPLING"
    }

    /// What to do.
    pub fn help(&self) -> String {
        format!(
            "choose a {} from {} to {}, or leave it out",
            self.name, self.min, self.max
        )
    }
}

impl Sampling {
    /// Always the most likely token.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            ..Self::default()
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// The first setting that is outside its range or no number.
    pub fn validate(&self) -> Result<(), InvalidSampling> {
        let ranges = [
            (SamplingRange::TEMPERATURE, self.temperature),
            (SamplingRange::TOP_P, self.top_p),
            (SamplingRange::MIN_P, self.min_p),
            (SamplingRange::REPEAT_PENALTY, self.repeat_penalty),
            (SamplingRange::PRESENCE_PENALTY, self.presence_penalty),
            (SamplingRange::FREQUENCY_PENALTY, self.frequency_penalty),
        ];
        for (range, value) in ranges {
            if !range.contains(value) {
                let SamplingRange { name, min, max } = range;
                return Err(InvalidSampling {
                    name,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    /// Whether the CPU has to sample: penalties need the history, which the GPU's sampler does not see.
    pub fn needs_cpu(&self) -> bool {
        let neutral = self.repeat_penalty == 1.0
            && self.presence_penalty == 0.0
            && self.frequency_penalty == 0.0;
        !neutral && self.repeat_last_n > 0
    }

    /// The sampling kernel's parameters for a vocabulary and a list of end-of-generation ids of these lengths.
    pub fn params(&self, n_vocab: u32, n_eog: u32) -> SampleParams {
        SampleParams::new(
            n_vocab,
            n_eog,
            self.temperature,
            self.top_k,
            self.top_p,
            self.min_p,
        )
    }
}

/// Applies the penalties to the logits, `[n_vocab]`, for the last [`Sampling::repeat_last_n`] tokens of
/// `history`. Ids beyond the logits are passed over.
pub fn penalize(logits: &mut [f32], history: &[u32], s: &Sampling) {
    let looked_at = usize::try_from(s.repeat_last_n).unwrap_or(usize::MAX);
    let first = history.len().saturating_sub(looked_at);
    let recent = history.get(first..).unwrap_or_default();
    let mut counts: HashMap<u32, f32> = HashMap::new();
    for id in recent {
        *counts.entry(*id).or_default() += 1.0;
    }
    for (id, count) in counts {
        let Some(logit) = usize::try_from(id).ok().and_then(|id| logits.get_mut(id)) else {
            continue;
        };
        // Dividing a negative logit would make its token more likely.
        if *logit <= 0.0 {
            *logit *= s.repeat_penalty;
        } else {
            *logit /= s.repeat_penalty;
        }
        *logit -= count * s.frequency_penalty + s.presence_penalty;
    }
}

/// The token for `position` (the position it will have), on the CPU. `logits`, `[n_vocab]`, are changed by the penalties;
/// `history` is all tokens so far, prompt included.
///
/// # Errors
/// `E_NONFINITE` if a logit is NaN or infinite, `E_NO_LOGITS` if there are none.
pub fn sample(
    logits: &mut [f32],
    history: &[u32],
    s: &Sampling,
    position: u32,
) -> Result<u32, SampleError> {
    if s.needs_cpu() {
        penalize(logits, history, s);
    }
    let n_vocab = u32::try_from(logits.len()).unwrap_or(u32::MAX);
    sample::choose(&s.params(n_vocab, 0), logits, s.seed, position)
}

/// The model's own probabilities of `token` and of the `n` likeliest tokens (lower ids first among equals).
pub(crate) fn logprobs(logits: &[f32], token: u32, n: u32) -> Logprobs {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
    let of = |id: u32| (f64::from(logits[id as usize] - max) - sum.ln()) as f32;
    let likelier = |a: &u32, b: &u32| {
        let [x, y] = [a, b].map(|id| logits[*id as usize]);
        y.total_cmp(&x).then(a.cmp(b))
    };
    let mut ids: Vec<u32> = (0..).take(logits.len()).collect();
    let n = (n as usize).min(ids.len());
    if 0 < n && n < ids.len() {
        ids.select_nth_unstable_by(n - 1, likelier);
    }
    ids.truncate(n);
    ids.sort_unstable_by(likelier);
    Logprobs {
        logprob: of(token),
        top: ids.into_iter().map(|id| (id, of(id))).collect(),
    }
}
