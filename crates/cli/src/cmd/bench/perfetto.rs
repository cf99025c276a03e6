//! A profile in the Trace Event Format, which ui.perfetto.dev and chrome://tracing read: a slice for each batch or token, in it
//! one for each layer, in it one for each step.

use serde_json::{Value, json};

use super::profile::{clock, name};
use chord_runtime::{PhaseProfile, Profile, Slice};

/// The whole file.
pub fn trace(profile: &Profile, device: &str) -> Value {
    let mut events = vec![
        json!({"ph": "M", "pid": 1, "tid": 1, "name": "process_name", "args": {"name": "wasm-chord"}}),
        json!({"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": device}}),
    ];
    for phase in &profile.phases {
        for pass in phase.slices.chunk_by(|a, b| a.pass == b.pass) {
            add_pass(phase, pass, &mut events);
        }
    }
    json!({
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"clock": clock(profile.clock)},
    })
}

fn add_pass(phase: &PhaseProfile, pass: &[Slice], events: &mut Vec<Value>) {
    let Some(number) = pass.first().map(|s| s.pass) else {
        return;
    };
    let phase_name = name(phase.phase);
    let what = match phase.phase {
        chord_runtime::Phase::Prefill => "batch",
        chord_runtime::Phase::Decode => "token",
    };
    let title = format!("{phase_name} {what} {number}");
    events.extend(slice(&title, phase_name, pass, &json!({what: number})));
    let step_of = |s: &Slice| phase.steps.get(s.step);
    let layer_of = |s: &Slice| step_of(s).and_then(|step| step.layer);
    for layer in pass.chunk_by(|a, b| layer_of(a) == layer_of(b)) {
        if let Some(n) = layer.first().and_then(layer_of) {
            let args = json!({what: number, "layer": n});
            events.extend(slice(&format!("layer {n}"), phase_name, layer, &args));
        }
        for s in layer {
            let Some(step) = step_of(s) else { continue };
            let args =
                json!({what: number, "layer": step.layer, "kernel": step.kernel, "bytes": s.bytes});
            events.extend(slice(
                &step.name,
                phase_name,
                std::slice::from_ref(s),
                &args,
            ));
        }
    }
}

/// One slice over all of `covered`. Times are microseconds; three decimals keep every nanosecond.
fn slice(name: &str, category: &str, covered: &[Slice], args: &Value) -> Option<Value> {
    let (start, end) = (covered.first()?.start_ns, covered.last()?.end_ns);
    let us = |ns: u64| ns as f64 / 1e3;
    Some(json!({
        "ph": "X", "pid": 1, "tid": 1, "name": name, "cat": category,
        "ts": us(start), "dur": us(end.saturating_sub(start)), "args": args,
    }))
}
