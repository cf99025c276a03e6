//! What shapes scores, residuals and logits: multipliers, caps, windows; and the experts of feed-forward layers.

use chord_gguf::Value;
use chord_kernels::route::{MAX_EXPERTS, MAX_USED};

use super::family::{Experts as Rule, Family};
use super::{Keys, MAX_WIDTH, Rope, RopeScaling};
use crate::error::{Error, Result};

/// Factors: Granite's own, Gemma's on embeddings; 1 elsewhere, but for the attention's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipliers {
    /// On token embeddings.
    pub embedding: f32,
    /// On what attention and feed-forward add to the residual.
    pub residual: f32,
    /// On q·k: 1 / √head_dim where the file does not say.
    pub attention: f32,
    /// On logits: one over the file's `logit_scale`.
    pub logit: f32,
}

impl Multipliers {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    pub(super) fn read(
        keys: &Keys<'_>,
        family: &Family,
        n_layers: u32,
        widths: [u32; 3],
    ) -> Result<Self> {
        let [d_model, n_heads, head_dim] = widths;
        let wide = family.wide_scale_layers == n_layers;
        let per_head = if wide {
            d_model.checked_div(n_heads).unwrap_or(head_dim)
        } else {
            head_dim
        };
        let usual = 1.0 / (per_head as f32).sqrt();
        let read = |name| {
            if family.multipliers {
                // llama.cpp takes 0 as "not set".
                let value = keys.opt_f32(name, "a finite number, at least 0", |v| v >= 0.0)?;
                return Ok(value.filter(|v| *v != 0.0));
            }
            Ok::<_, Error>(None)
        };
        let embedding = if family.scaled_embedding {
            (d_model as f32).sqrt()
        } else {
            1.0
        };
        Ok(Self {
            embedding: read("embedding_scale")?.unwrap_or(embedding),
            residual: read("residual_scale")?.unwrap_or(1.0),
            attention: read("attention.scale")?.unwrap_or(usual),
            logit: 1.0 / read("logit_scale")?.unwrap_or(1.0),
        })
    }
}

/// Caps: a value `v` becomes `cap * tanh(v / cap)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoftCaps {
    /// On attention scores.
    pub attention: Option<f32>,
    /// On logits.
    pub logits: Option<f32>,
}

impl SoftCaps {
    pub(super) fn read(keys: &Keys<'_>, family: &Family) -> Result<Self> {
        let Some(rule) = &family.soft_caps else {
            return Ok(Self::default());
        };
        let read = |name: &str, default: Option<f32>| {
            let found = keys.opt_f32(name, "a finite number, at least 0", |cap| cap >= 0.0)?;
            Ok::<_, Error>(found.or(default).filter(|cap| *cap != 0.0))
        };
        Ok(Self {
            attention: match rule.attention {
                Some(_) => read("attn_logit_softcapping", rule.attention)?,
                None => None,
            },
            logits: read("final_logit_softcapping", rule.logits)?,
        })
    }
}

/// Layers that see the last positions only.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Positions such a layer sees, the row's own included; at least 1.
    pub size: u32,
    /// Which layers: one flag each.
    pub layers: Vec<bool>,
    /// Their rotation, where it differs from the others'.
    pub rope: Option<Rope>,
}

impl Windows {
    pub(super) fn read(
        keys: &Keys<'_>,
        family: &Family,
        n_layers: u32,
        rope: &Rope,
    ) -> Result<Option<Self>> {
        let Some(rule) = &family.windows else {
            return Ok(None);
        };
        let name = "attention.sliding_window";
        let least = u32::from(rule.required || rule.size.is_some());
        let found = keys.opt_int(name, least, u32::MAX)?;
        let Some(size) = found.or(rule.size).filter(|size| *size > 0) else {
            if rule.required {
                let key = keys.key(name);
                return Err(chord_gguf::Error::MetaMissing { key }.into());
            }
            return Ok(None);
        };
        let base = keys
            .opt_f32("rope.freq_base_swa", "a finite number above 0", |base| {
                base > 0.0
            })?
            .or(rule.local_base);
        let local = Rope {
            freq_base: base.unwrap_or(rope.freq_base),
            scaling: if rule.local_base.is_some() {
                RopeScaling::None
            } else {
                rope.scaling
            },
            ..rope.clone()
        };
        Ok(Some(Self {
            size,
            layers: pattern(keys, rule.every, n_layers)?,
            rope: (local != *rope).then_some(local),
        }))
    }

    /// The window of layer `n`.
    pub fn of_layer(&self, n: u32) -> Option<u32> {
        let windowed = usize::try_from(n).ok().and_then(|n| self.layers.get(n));
        windowed.copied().unwrap_or(false).then_some(self.size)
    }
}

/// A flag per layer: from the file, as a list or as a step, or by the family's step.
fn pattern(keys: &Keys<'_>, every: u32, n_layers: u32) -> Result<Vec<bool>> {
    let name = "attention.sliding_window_pattern";
    let every = match keys.d.get(&keys.key(name)) {
        Some(Value::Array(flags)) => {
            let flag = |value: Value<'_>| match value {
                Value::Bool(flag) => Some(flag),
                other => other.as_int().map(|flag| flag != 0),
            };
            let flags: Option<Vec<bool>> = flags.iter().map(flag).collect();
            return flags
                .filter(|flags| u32::try_from(flags.len()) == Ok(n_layers))
                .ok_or_else(|| {
                    let want = format!("a number, or a flag for each of {n_layers} layers");
                    keys.range_error(name, &"another list", want)
                });
        }
        _ => keys.opt_int(name, 0, u32::MAX)?.unwrap_or(every),
    };
    // 0: every layer has the window.
    let last = |n: u32| n.wrapping_add(1).checked_rem(every) == Some(0);
    Ok((0..n_layers).map(|n| !last(n)).collect())
}

/// Mixtures of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// Experts of a layer.
    pub count: u32,
    /// How many each token goes to.
    pub used: u32,
}

/// The experts, if there are any, and the width of the (or an expert's) feed-forward layer.
pub(super) fn feed_forward(keys: &Keys<'_>, family: &Family) -> Result<(Option<Experts>, u32)> {
    let width = "feed_forward_length";
    let dense = || keys.int(width, 1, MAX_WIDTH);
    let count = keys.d.opt_u32(&keys.key("expert_count"))?.unwrap_or(0);
    match family.experts {
        Rule::Never if count > 0 => {
            let want = "0: mixtures of experts are not run for this architecture";
            return Err(keys.range_error("expert_count", &count, want));
        }
        Rule::Never | Rule::Optional if count == 0 => return Ok((None, dense()?)),
        _ => {}
    }
    let count = keys.int("expert_count", 1, MAX_EXPERTS)?;
    let experts = Experts {
        count,
        used: keys.int("expert_used_count", 1, count.min(MAX_USED))?,
    };
    let of_expert = match family.experts {
        Rule::Always => keys.opt_int("expert_feed_forward_length", 1, MAX_WIDTH)?,
        _ => Some(dense()?),
    };
    let width = match of_expert {
        Some(width) => width,
        // As llama.cpp: the width of all that a token uses.
        None => dense()?.checked_div(experts.used).unwrap_or(0).max(1),
    };
    Ok((Some(experts), width))
}
