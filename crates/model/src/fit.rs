//! What a model needs on a device, from the header alone.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::graph::{GraphOptions, Plan, Splits, plan};
use chord_gguf::Directory;
use chord_kernels::matmul::Layout;
use chord_kernels::op::BufDesc;
use chord_kernels::{KvType, PAGE};

/// The limits of a device that decide whether a model fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Largest storage binding in bytes.
    pub max_binding: u64,
    /// Largest buffer in bytes.
    pub max_buffer: u64,
    /// Rows of the largest batch there: [`CHUNK`], or more by tiles.
    pub chunk: u32,
}

/// Rows of the largest batch on any device.
pub const CHUNK: u32 = 32;

/// Whether it fits, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It can be loaded with [`FitPlan::context`].
    pub fits: bool,
    /// What stands in the way, in words.
    pub reasons: Vec<String>,
}

/// Bytes by part, and the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FitPlan {
    /// Weights as stored on the device.
    pub weights_bytes: u64,
    /// KV store for [`FitPlan::context`].
    pub kv_bytes: u64,
    /// One page of K (or V) of one layer.
    pub kv_page_bytes: u64,
    /// Everything else.
    pub scratch_bytes: u64,
    /// Sum.
    pub total_bytes: u64,
    /// Context it is planned for, in tokens.
    pub context: u32,
    /// Largest context that model and limits allow.
    pub context_max: u32,
    /// Limits used, where known.
    pub limits: Option<DeviceLimits>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Bytes of K (or V) of one layer per token.
fn kv_bytes_per_token(c: &Config, kv: KvType) -> u64 {
    u64::from(c.n_kv_heads)
        .saturating_mul(u64::from(kv.head_words(c.head_dim)))
        .saturating_mul(4)
}

fn bytes(buffer: &BufDesc) -> u64 {
    buffer.words.saturating_mul(4)
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

impl FitPlan {
    /// Plans for `context` tokens, or for the most that is allowed.
    ///
    /// # Errors
    /// `E_CTX` for more than the model's context, and what [`plan`] finds wrong with the model.
    pub fn from_header(
        d: &Directory,
        c: &Config,
        kv: KvType,
        context: Option<u32>,
        limits: Option<&DeviceLimits>,
    ) -> Result<Self> {
        if let Some(asked) = context
            && asked > c.context_length
        {
            let max = c.context_length;
            return Err(Error::ContextTooLong { asked, max });
        }
        let page_bytes = kv_bytes_per_token(c, kv).saturating_mul(u64::from(PAGE));
        let buffer_limit = limits.map(|l| l.max_binding.min(l.max_buffer));
        let pages_max =
            buffer_limit.map_or(u64::MAX, |limit| limit.checked_div(page_bytes).unwrap_or(0));
        let by_pages = u32::try_from(pages_max.saturating_mul(u64::from(PAGE))).unwrap_or(u32::MAX);
        let context_max = c.context_length.min(by_pages).max(1);
        let context = context.unwrap_or(context_max).max(1);
        let mut options = Self::options(kv, context);
        options.max_binding = buffer_limit.unwrap_or(u64::MAX);
        options.chunk = limits.map_or(CHUNK, |l| l.chunk);
        let plan = plan(d, c, &options)?;
        let mut fit = Self::of(&plan, context, context_max, limits.copied());
        if context > context_max {
            fit.verdict.reasons.push(format!(
                "a context of {context} tokens is more than {context_max}: its KV store would pass the device's binding limit"
            ));
        }
        if let Some(limit) = buffer_limit {
            let large = plan.buffers.iter().filter(|b| bytes(b) > limit);
            fit.verdict.reasons.extend(large.map(|b| {
                format!(
                    "\"{}\" needs {} bytes in one binding, the device allows {limit}",
                    b.label,
                    bytes(b)
                )
            }));
        }
        fit.verdict.fits = fit.verdict.reasons.is_empty();
        Ok(fit)
    }

    fn of(plan: &Plan, context: u32, context_max: u32, limits: Option<DeviceLimits>) -> Self {
        let bytes = |id: usize| plan.buffers.get(id).map_or(0, bytes);
        let segments = plan.segments.iter().flat_map(|s| [s.quants, s.scales]);
        // Those behind the RoPE tables are few, and counted with them.
        let vectors = plan.vectors.iter().map(|v| v.buffer);
        let vectors = vectors.filter(|buffer| *buffer != plan.ids.rope);
        let weights = sum(segments.chain(vectors).map(bytes));
        let kv = sum(plan.ids.kv.iter().flat_map(|(k, v)| [*k, *v]).map(bytes));
        let total = sum((0..plan.buffers.len()).map(bytes));
        let verdict = Verdict {
            fits: true,
            reasons: Vec::new(),
        };
        Self {
            weights_bytes: weights,
            kv_bytes: kv,
            kv_page_bytes: plan.ids.page_words.saturating_mul(4),
            scratch_bytes: total.saturating_sub(weights).saturating_sub(kv),
            total_bytes: total,
            context,
            context_max,
            limits,
            verdict,
        }
    }

    /// The options of a single conversation in f32: the largest scratch.
    fn options(kv: KvType, context: u32) -> GraphOptions {
        let seq_pages = context.div_ceil(PAGE);
        GraphOptions {
            kv,
            exact: true,
            seq_pages,
            sink_pages: 0,
            pages: seq_pages,
            sequences: 1,
            chunk: CHUNK,
            cols: 1,
            layout: Layout::RowPerThread,
            tiles: None,
            attention_threads: 32,
            attention_cols: 1,
            splits: Some(Splits::GPU),
            eog: 8,
            positions: context,
            taps: false,
            max_binding: u64::MAX,
        }
    }
}
