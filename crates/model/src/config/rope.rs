//! Rotary position embedding: what the file asks for, and the angles that follow.

use super::Keys;
use super::family::Family;
use crate::error::Result;

/// Rotary position embedding of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Which two values of a head turn together.
    pub pairing: RopePairing,
    /// Values of a head that are turned, even; the whole head for llama.
    pub dim: u32,
    /// Base of the geometric row of frequencies, finite and above 0.
    pub freq_base: f32,
    /// How positions beyond the trained context are brought into range.
    pub scaling: RopeScaling,
    /// Every so-manieth layer does not rotate; 0: all do.
    pub no_rope_step: u32,
}

/// Which two values of a head form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RopePairing {
    /// `(0, 1), (2, 3), …`: llama.cpp's NORM.
    Interleaved,
    /// `(0, dim/2), (1, dim/2 + 1), …`: llama.cpp's NEOX.
    Neox,
}

/// Context extension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// None.
    None,
    /// Every angle divided by `factor`.
    Linear {
        /// Above 0.
        factor: f32,
    },
    /// YaRN: slow pairs are divided by `factor`, fast ones are left, those between are mixed.
    Yarn {
        /// Above 0.
        factor: f32,
        /// Positions of the original training.
        original_context: u32,
        /// Weight of the unscaled angles, 1 unless the file says otherwise.
        ext_factor: f32,
        /// Factor on the attention magnitude beside YaRN's own.
        attn_factor: f32,
        /// Turns over the original context above which a pair is left as it is.
        beta_fast: f32,
        /// Turns below which a pair is divided by the whole factor.
        beta_slow: f32,
    },
    /// Phi's: a factor per pair from one of two tensors, chosen once by the context that is planned for.
    LongRope {
        /// Every angle is also divided by this; above 0.
        factor: f32,
        /// The largest context that takes the short factors.
        original_context: u32,
        /// Factor on cosine and sine.
        attn_factor: f32,
    },
}

const PLAIN: &str = "rope_freqs.weight";
const LONG: &str = "rope_factors_long.weight";
const SHORT: &str = "rope_factors_short.weight";

impl Rope {
    pub(super) fn read(
        keys: &Keys<'_>,
        family: &Family,
        head_dim: u32,
        trained_context: u32,
    ) -> Result<Self> {
        let dim = keys
            .d
            .opt_u32(&keys.key("rope.dimension_count"))?
            .unwrap_or(head_dim);
        // llama.cpp too refuses a llama model that turns part of a head.
        let fits = if family.partial_rope {
            (2..=head_dim).contains(&dim)
        } else {
            dim == head_dim
        };
        if !fits || dim.checked_rem(2) != Some(0) {
            let most = if family.partial_rope { "at most " } else { "" };
            let want = format!("{most}the head's width, {head_dim}, and even");
            return Err(keys.range_error("rope.dimension_count", &dim, want));
        }
        let positive = "a finite number above 0";
        let freq_base = keys
            .opt_f32("rope.freq_base", positive, |base| base > 0.0)?
            .unwrap_or(10_000.0);
        let scaling = RopeScaling::read(keys, trained_context)?;
        if matches!(scaling, RopeScaling::Yarn { .. }) && freq_base == 1.0 {
            return Err(keys.range_error(
                "rope.freq_base",
                &freq_base,
                "not 1: YaRN divides by its logarithm",
            ));
        }
        Ok(Self {
            pairing: family.pairing,
            dim,
            freq_base,
            scaling,
            no_rope_step: family.no_rope_step,
        })
    }

    /// The tensor of factors that divide the angles, if the file has it, for a planned context.
    pub fn factors_tensor(&self, context: u32) -> &'static str {
        match self.scaling {
            RopeScaling::LongRope {
                original_context, ..
            } if context > original_context => LONG,
            RopeScaling::LongRope { .. } => SHORT,
            _ => PLAIN,
        }
    }

    /// Every tensor of factors that the file may have.
    pub fn factors_tensors(&self) -> &'static [&'static str] {
        match self.scaling {
            RopeScaling::LongRope { .. } => &[LONG, SHORT],
            _ => &[PLAIN],
        }
    }

    /// Values of a head that layer `n` turns.
    pub fn dim_of_layer(&self, n: u32) -> u32 {
        match n.wrapping_add(1).checked_rem(self.no_rope_step) {
            Some(0) => 0,
            _ => self.dim,
        }
    }

    /// Angle per position for each of the `dim / 2` pairs, in radians, and the factor on both cosine and sine.
    ///
    /// Pair `i` at position `p` turns by `p * angles[i]`. `freq_factors` is the content of `rope_freqs.weight`
    /// (llama-3 scaling), `dim / 2` values that divide the angles; missing values count as 1. Equals llama.cpp's
    /// angles up to the rounding of its f32 products.
    pub fn inv_freq(&self, freq_factors: Option<&[f32]>) -> (Vec<f64>, f32) {
        let dim = f64::from(self.dim);
        let angles = (0..self.dim.div_euclid(2)).zip(0..).map(|(pair, index)| {
            let divisor = freq_factors
                .and_then(|factors| factors.get::<usize>(index))
                .copied()
                .unwrap_or(1.0);
            let plain =
                f64::from(self.freq_base).powf(-2.0 * f64::from(pair) / dim) / f64::from(divisor);
            match self.scaling {
                RopeScaling::None => plain,
                RopeScaling::Linear { factor } | RopeScaling::LongRope { factor, .. } => {
                    plain / f64::from(factor)
                }
                RopeScaling::Yarn {
                    factor,
                    original_context,
                    ext_factor,
                    beta_fast,
                    beta_slow,
                    ..
                } => {
                    let scaled = plain / f64::from(factor);
                    let (low, high) = self.yarn_range(original_context, beta_fast, beta_slow);
                    let ramp = (f64::from(pair) - low) / (high - low).max(0.001);
                    let mix = (1.0 - ramp.clamp(0.0, 1.0)) * f64::from(ext_factor);
                    scaled * (1.0 - mix) + plain * mix
                }
            }
        });
        (angles.collect(), self.magnitude())
    }

    /// The pairs between which YaRN mixes. In f32 like llama.cpp, so that rounding to whole pairs falls the same way.
    fn yarn_range(&self, original_context: u32, beta_fast: f32, beta_slow: f32) -> (f64, f64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "as llama.cpp computes it; contexts and widths are below 2^24"
        )]
        let (dim, context) = (self.dim as f32, original_context as f32);
        let pair_of = |turns: f32| {
            dim * (context / (turns * 2.0 * std::f32::consts::PI)).ln()
                / (2.0 * self.freq_base.ln())
        };
        let low = pair_of(beta_fast).floor().max(0.0);
        let high = pair_of(beta_slow).ceil().min(dim - 1.0);
        (f64::from(low), f64::from(high))
    }

    fn magnitude(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn {
                factor,
                ext_factor,
                attn_factor,
                ..
            } if ext_factor != 0.0 && factor > 1.0 => attn_factor * (1.0 + 0.1 * factor.ln()),
            RopeScaling::Yarn { attn_factor, .. } | RopeScaling::LongRope { attn_factor, .. } => {
                attn_factor
            }
            RopeScaling::None | RopeScaling::Linear { .. } => 1.0,
        }
    }
}

impl RopeScaling {
    fn read(keys: &Keys<'_>, trained_context: u32) -> Result<Self> {
        let positive = "a finite number above 0";
        let above_zero = |value: f32| value > 0.0;
        let factor = match keys.opt_f32("rope.scaling.factor", positive, above_zero)? {
            Some(factor) => factor,
            // The key of files from 2023.
            None => keys
                .opt_f32("rope.scale_linear", positive, above_zero)?
                .unwrap_or(1.0),
        };
        let attn_factor = keys
            .opt_f32("rope.scaling.attn_factor", positive, above_zero)?
            .unwrap_or(1.0);
        let type_key = keys.key("rope.scaling.type");
        let original = keys.opt_int("rope.scaling.original_context_length", 1, u32::MAX)?;
        let original_context = original.unwrap_or(trained_context);
        // Converted Phi files have the factors, but no type.
        let long = [LONG, SHORT]
            .iter()
            .any(|name| keys.d.tensor(name).is_some());
        let scaling = match keys.d.opt_str(&type_key)? {
            None | Some("longrope") if long => Self::LongRope {
                factor,
                original_context,
                attn_factor,
            },
            Some("longrope") => {
                let want = format!("another: there is no {LONG}");
                return Err(keys.range_error("rope.scaling.type", &"longrope", want));
            }
            Some("none") => Self::None,
            // Like llama.cpp: without a type a factor is linear.
            None | Some("linear") if factor == 1.0 => Self::None,
            None | Some("linear") => Self::Linear { factor },
            Some("yarn") => {
                // llama.cpp's negative value means "not set".
                let ext_factor =
                    keys.opt_f32("rope.scaling.yarn_ext_factor", "a finite number", |_| true)?;
                let beta = |name, default| {
                    keys.opt_f32(name, positive, above_zero)
                        .map(|beta| beta.unwrap_or(default))
                };
                let log_multiplier = keys.opt_f32(
                    "rope.scaling.yarn_log_multiplier",
                    "a finite number",
                    |_| true,
                )?;
                if let Some(found) = log_multiplier
                    && found != 0.0
                {
                    let want = "0: the magnitude rule of DeepSeek models is not run";
                    return Err(keys.range_error("rope.scaling.yarn_log_multiplier", &found, want));
                }
                Self::Yarn {
                    factor,
                    original_context,
                    ext_factor: ext_factor.filter(|factor| *factor >= 0.0).unwrap_or(1.0),
                    attn_factor,
                    beta_fast: beta("rope.scaling.yarn_beta_fast", 32.0)?,
                    beta_slow: beta("rope.scaling.yarn_beta_slow", 1.0)?,
                }
            }
            Some(other) => {
                let found: String = other.chars().take(80).collect();
                return Err(keys.range_error(
                    "rope.scaling.type",
                    &format!("{found:?}"),
                    "none, linear, yarn or longrope",
                ));
            }
        };
        if !matches!(scaling, Self::Yarn { .. } | Self::LongRope { .. }) && attn_factor != 1.0 {
            let want = "1, as the scaling is neither yarn nor longrope";
            return Err(keys.range_error("rope.scaling.attn_factor", &attn_factor, want));
        }
        Ok(scaling)
    }
}
