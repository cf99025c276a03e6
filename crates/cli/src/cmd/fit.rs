//! The fit plan: memory by purpose, and the verdict.

use chord_gguf::Directory;
use chord_kernels::gpu::{Gpu, GpuOptions};
use chord_model::{CHUNK, Config, DeviceLimits};
use serde_json::{Value, json};

use super::figures::{bytes, table};
use crate::args::InspectArgs;
use crate::error::Error;
use chord_runtime::{FIRST_TOKENS, FitPlan};

/// Plans for the context and cache type of `args`; against an adapter only where one is asked for.
pub fn plan(directory: &Directory, config: &Config, args: &InspectArgs) -> Result<FitPlan, Error> {
    // Opening a device is the only way to learn its limits; without --adapter nothing is touched.
    let limits = match &args.adapter {
        Some(name) => {
            let options = GpuOptions {
                adapter: Some(name.clone()),
                ..GpuOptions::default()
            };
            let gpu =
                pollster::block_on(Gpu::open(&options)).map_err(chord_runtime::Error::from)?;
            Some(DeviceLimits {
                max_binding: gpu.caps().max_binding,
                max_buffer: gpu.caps().max_buffer,
                chunk: CHUNK,
            })
        }
        None => None,
    };
    Ok(FitPlan::from_header(
        directory,
        config,
        args.kv,
        args.ctx,
        limits.as_ref(),
    )?)
}

/// None where no limits are known that it could be checked against.
fn fits(plan: &FitPlan) -> Option<bool> {
    plan.limits.map(|_| plan.verdict.fits)
}

/// For people; `asked` is the context of `--ctx`.
pub fn words(plan: &FitPlan, asked: Option<u32>) -> String {
    let rows = vec![
        vec!["weights".to_owned(), bytes(plan.weights_bytes)],
        vec![
            format!("KV cache for {} tokens", plan.context),
            bytes(plan.kv_bytes),
        ],
        vec!["scratch".to_owned(), bytes(plan.scratch_bytes)],
        vec!["total".to_owned(), bytes(plan.total_bytes)],
    ];
    let mut text = table(&["device memory", ""], &rows, &[1]);
    if asked.is_none() && plan.context > FIRST_TOKENS {
        let first = plan.kv_bytes / u64::from(plan.context) * u64::from(FIRST_TOKENS);
        text.push_str(&format!(
            "\nwithout --ctx a GPU's memory for the KV cache is taken as it fills: at first for {FIRST_TOKENS} tokens, {}",
            bytes(first)
        ));
    }
    if let Some(limits) = plan.limits {
        text.push_str(&format!(
            "\nlimits: {} a binding, {} a buffer; context of at most {} tokens",
            bytes(limits.max_binding),
            bytes(limits.max_buffer),
            plan.context_max
        ));
    }
    let verdict = match fits(plan) {
        None => "not checked (give --adapter)",
        Some(true) => "fits",
        Some(false) => "does not fit",
    };
    text.push_str(&format!("\nverdict: {verdict}"));
    for reason in &plan.verdict.reasons {
        text.push_str(&format!("\n  {reason}"));
    }
    text
}

/// For programs.
pub fn to_json(plan: &FitPlan) -> Value {
    json!({
        "weights_bytes": plan.weights_bytes,
        "kv_bytes": plan.kv_bytes,
        "scratch_bytes": plan.scratch_bytes,
        "total_bytes": plan.total_bytes,
        "context": plan.context,
        "context_max": plan.context_max,
        "limits": plan.limits.map(|l| json!({"max_binding": l.max_binding, "max_buffer": l.max_buffer})),
        "verdict": {"fits": fits(plan), "reasons": plan.verdict.reasons},
    })
}
