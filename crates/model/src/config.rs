//! Model facts read from a GGUF directory: every check that needs no weights happens here, before any is fetched.
//!
//! In: a [`Directory`]. Out: a [`Config`] that the engine may rely on without checking again: every tensor it needs
//! is there with the right shape and a type that can be decoded, and nothing is there that would have to be ignored.

mod family;
mod rope;
mod sampling;
mod shaping;
mod tensors;

use chord_gguf::{Directory, Value};

use crate::error::{Error, Result};

pub use family::Arch;
pub use rope::{Rope, RopePairing, RopeScaling};
pub use sampling::{SamplingDefaults, SamplingRange};
pub use shaping::{Experts, Multipliers, SoftCaps, Windows};
pub use tensors::{MATRIX_TYPES, VECTOR_TYPES};

/// Immutable facts of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Architecture.
    pub arch: Arch,
    /// `general.name`.
    pub name: Option<String>,
    /// Transformer layers, at least 1.
    pub n_layers: u32,
    /// Width of the residual stream.
    pub d_model: u32,
    /// Query heads, a multiple of `n_kv_heads`.
    pub n_heads: u32,
    /// Key and value heads.
    pub n_kv_heads: u32,
    /// Width of one head, for queries, keys and values alike; a multiple of 4. All heads together are at most 2^20 wide.
    pub head_dim: u32,
    /// Width of the feed-forward layer, or of one expert's.
    pub d_ff: u32,
    /// Tokens in the vocabulary.
    pub n_vocab: u32,
    /// Positions that can be used: those the model was trained for, cut at the reader's limit.
    pub context_length: u32,
    /// Positions the model was trained for.
    pub trained_context: u32,
    /// Epsilon of the RMS norms, finite and not negative.
    pub rms_eps: f32,
    /// Rotary position embedding.
    pub rope: Rope,
    /// q, k and v have biases.
    pub qkv_bias: bool,
    /// The attention's output has a bias.
    pub attn_out_bias: bool,
    /// q, k and v are one tensor, `attn_qkv`.
    pub fused_qkv: bool,
    /// Each head of q and of k has an RMS norm before it is rotated.
    pub qk_norm: bool,
    /// Factors on embeddings, residuals, attention scores and logits.
    pub multipliers: Multipliers,
    /// Caps on attention scores and logits.
    pub soft_caps: SoftCaps,
    /// Layers that see the last positions only.
    pub windows: Option<Windows>,
    /// Feed-forward layers are mixtures of experts.
    pub experts: Option<Experts>,
    /// Whether the head uses the token embedding (`output.weight` is absent).
    pub tied: bool,
    /// Sampling settings that the file recommends.
    pub sampling: SamplingDefaults,
}

/// Reads keys of one architecture: `head_count` of `llama` is `llama.head_count`.
pub(crate) struct Keys<'a> {
    pub d: &'a Directory,
    prefix: &'static str,
}

impl Keys<'_> {
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// An integer from `min` to `max`.
    fn int(&self, name: &str, min: u32, max: u32) -> Result<u32> {
        let key = self.key(name);
        self.in_range(&key, self.d.u32(&key)?, min, max)
    }

    fn opt_int(&self, name: &str, min: u32, max: u32) -> Result<Option<u32>> {
        let key = self.key(name);
        self.d
            .opt_u32(&key)?
            .map(|value| self.in_range(&key, value, min, max))
            .transpose()
    }

    fn in_range(&self, key: &str, value: u32, min: u32, max: u32) -> Result<u32> {
        if (min..=max).contains(&value) {
            return Ok(value);
        }
        Err(self
            .d
            .range_error(key, &value, format!("{min} to {max}"))
            .into())
    }

    pub fn range_error(
        &self,
        name: &str,
        found: &dyn std::fmt::Display,
        want: impl Into<String>,
    ) -> Error {
        self.d.range_error(&self.key(name), found, want).into()
    }

    /// A finite f32 that `fits`.
    pub fn opt_f32(
        &self,
        name: &str,
        want: &str,
        fits: impl Fn(f32) -> bool,
    ) -> Result<Option<f32>> {
        let Some(value) = self.d.opt_f32(&self.key(name))? else {
            return Ok(None);
        };
        if value.is_finite() && fits(value) {
            return Ok(Some(value));
        }
        Err(self.range_error(name, &value, want))
    }
}

/// Largest width taken, of all heads together too: far above any model, and small enough that the kernels' offsets, a few
/// such rows or 32 of them, fit 32 bits.
const MAX_WIDTH: u32 = 1 << 20;

impl Config {
    /// Reads and checks everything about the model that is in the header.
    ///
    /// # Errors
    /// A missing, mistyped or impossible key, an unknown architecture, a part of a split model, and any tensor that is
    /// missing, unexpected, misshapen or of a type that cannot be decoded.
    pub fn from_directory(d: &Directory) -> Result<Self> {
        // Before the keys that parts behind the first do not have.
        check_split(d)?;
        check_kind(d)?;
        let arch = Arch::read(d)?;
        let keys = Keys {
            d,
            prefix: arch.name(),
        };
        let limits = d.limits();

        let n_layers = keys.int("block_count", 1, limits.layers)?;
        let trained_context = keys.int("context_length", 1, u32::MAX)?;
        let context_length = clamp_context(trained_context, limits.context);
        let d_model = keys.int("embedding_length", 1, MAX_WIDTH)?;
        let (experts, d_ff) = shaping::feed_forward(&keys, arch.family())?;
        let n_heads = keys.int("attention.head_count", 1, MAX_WIDTH)?;
        let n_kv_heads = keys
            .opt_int("attention.head_count_kv", 1, n_heads)?
            .unwrap_or(n_heads);
        if n_heads.checked_rem(n_kv_heads) != Some(0) {
            let want = format!("a divisor of attention.head_count, {n_heads}");
            return Err(keys.range_error("attention.head_count_kv", &n_kv_heads, want));
        }
        let head_dim = head_dim(&keys, d_model, n_heads)?;
        let eps_want = "a finite number, at least 0";
        let rms_eps = keys.opt_f32("attention.layer_norm_rms_epsilon", eps_want, |eps| {
            eps >= 0.0
        })?;
        let rms_eps = rms_eps.ok_or_else(|| chord_gguf::Error::MetaMissing {
            key: keys.key("attention.layer_norm_rms_epsilon"),
        })?;
        refuse_other_graphs(&keys)?;
        let family = arch.family();
        let rope = Rope::read(&keys, family, head_dim, trained_context)?;
        let windows = Windows::read(&keys, family, n_layers, &rope)?;

        let tokens = d.str_array("tokenizer.ggml.tokens")?.len();
        let n_vocab = u32::try_from(tokens)
            .ok()
            .filter(|n| (1..=limits.vocab).contains(n))
            .ok_or_else(|| {
                d.range_error(
                    "tokenizer.ggml.tokens",
                    &format!("{tokens} tokens"),
                    format!("1 to {}", limits.vocab),
                )
            })?;

        let mut config = Self {
            arch,
            name: d.opt_str("general.name").ok().flatten().map(str::to_owned),
            n_layers,
            d_model,
            n_heads,
            n_kv_heads,
            head_dim,
            d_ff,
            n_vocab,
            context_length,
            trained_context,
            rms_eps,
            rope,
            qkv_bias: family.qkv_bias || tensors::has(d, &["attn_q.bias", "attn_qkv.bias"]),
            attn_out_bias: family.sinks
                || family.plain_residual() && tensors::has(d, &["attn_output.bias"]),
            fused_qkv: tensors::has(d, &["attn_qkv.weight"]),
            qk_norm: family.qk_norm,
            multipliers: Multipliers::read(&keys, family, n_layers, [d_model, n_heads, head_dim])?,
            soft_caps: SoftCaps::read(&keys, family)?,
            windows,
            experts,
            tied: false,
            sampling: SamplingDefaults::read(d)?,
        };
        config.tied = tensors::check(&config, d)?;
        Ok(config)
    }
}

fn clamp_context(trained: u32, limit: u32) -> u32 {
    if trained > limit {
        tracing::warn!(
            trained,
            limit,
            "the model's context length is above the limit and is cut to it"
        );
    }
    trained.min(limit)
}

/// `attention.key_length`, or the width shared evenly. Values must be as wide as keys. KV heads are at most as many as
/// heads, so one bound on the width of all heads holds for queries, keys and values.
fn head_dim(keys: &Keys<'_>, d_model: u32, n_heads: u32) -> Result<u32> {
    let shared = (d_model.checked_rem(n_heads) == Some(0))
        .then(|| d_model.checked_div(n_heads))
        .flatten();
    let head_dim = match keys.opt_int("attention.key_length", 1, MAX_WIDTH)? {
        Some(key_length) => key_length,
        None => shared.ok_or_else(|| {
            let want = format!(
                "a divisor of embedding_length, {d_model}, as attention.key_length is absent"
            );
            keys.range_error("attention.head_count", &n_heads, want)
        })?,
    };
    // The key that decides the width: an error has to point at something that is in the file.
    let (name, found) = match keys.d.get(&keys.key("attention.key_length")) {
        Some(_) => ("attention.key_length", head_dim),
        None => ("attention.head_count", n_heads),
    };
    if head_dim.checked_rem(4) != Some(0) {
        let want = format!(
            "such that a head's width, {head_dim}, is a multiple of 4, as the kernels need"
        );
        return Err(keys.range_error(name, &found, want));
    }
    if n_heads
        .checked_mul(head_dim)
        .is_none_or(|width| width > MAX_WIDTH)
    {
        let want = format!(
            "such that {n_heads} heads of {head_dim} are at most {MAX_WIDTH} wide together"
        );
        return Err(keys.range_error(name, &found, want));
    }
    let value_name = "attention.value_length";
    match (keys.opt_int(value_name, 1, MAX_WIDTH)?, shared) {
        (Some(found), _) if found != head_dim => Err(keys.range_error(
            value_name,
            &found,
            format!("the length of keys, {head_dim}"),
        )),
        // Absent, the value length is the even share, not the key length.
        (None, shared) if shared != Some(head_dim) => {
            let want = format!("embedding_length / head_count, as {value_name} is absent");
            Err(keys.range_error("attention.key_length", &head_dim, want))
        }
        _ => Ok(head_dim),
    }
}

/// Keys that ask for a graph other than the one run. Ignoring them would give wrong answers without a word.
fn refuse_other_graphs(keys: &Keys<'_>) -> Result<()> {
    if keys.d.opt_bool(&keys.key("rope.scaling.finetuned"))? == Some(false)
        && keys.prefix == Arch::Granite.name()
    {
        let want = "true: Granite models without rotation are not run";
        return Err(keys.range_error("rope.scaling.finetuned", &false, want));
    }
    if keys.d.opt_bool(&keys.key("attention.causal"))? == Some(false) {
        return Err(keys.range_error(
            "attention.causal",
            &false,
            "true: only causal attention is run",
        ));
    }
    Ok(())
}

/// Adapters, projectors and importance matrices share the format, and name an architecture too.
fn check_kind(d: &Directory) -> Result<()> {
    match d.opt_str("general.type")? {
        None | Some("model") => Ok(()),
        Some(other) => Err(Error::Kind {
            found: other.chars().take(80).collect(),
            at: d.value_offset("general.type").unwrap_or(0),
        }),
    }
}

/// A split model's first part alone reads like a whole file with tensors missing; say so first.
fn check_split(d: &Directory) -> Result<()> {
    let read = |key: &'static str| -> Result<Option<(i128, u64)>> {
        let Some(value) = d.get(key) else {
            return Ok(None);
        };
        let at = d.value_offset(key).unwrap_or(0);
        let int = value.as_int().filter(|_| !matches!(value, Value::Bool(_)));
        let int = int.ok_or_else(|| Error::Split {
            key,
            at,
            reason: format!("is {}", value.describe()),
        })?;
        Ok(Some((int, at)))
    };
    let count = read("split.count")?;
    if let Some((count, at)) = count
        && count != i128::from(d.parts())
    {
        let reason = match d.parts() {
            1 => format!("is {count}, this is one file"),
            parts => format!("is {count}, these are {parts} files"),
        };
        return Err(Error::Split {
            key: "split.count",
            at,
            reason,
        });
    }
    if let Some((no, at)) = read("split.no")?
        && no != 0
    {
        let reason = format!("is {no}, but this is the first part");
        return Err(Error::Split {
            key: "split.no",
            at,
            reason,
        });
    }
    Ok(())
}
