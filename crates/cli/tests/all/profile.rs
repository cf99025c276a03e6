//! `bench --profile` and its trace file, with the tiny model.

use crate::common::{Scratch, run, tiny_arg};
use serde_json::Value;

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{v} is no number"))
}

/// (name, start, end) in nanoseconds, in the order of the file.
fn slices(trace: &Value) -> Vec<(String, u64, u64)> {
    let events = trace["traceEvents"].as_array().expect("events");
    // Three decimals of a microsecond are exact nanoseconds.
    let ns = |v: &Value| (number(v) * 1e3).round() as u64;
    let slice = |e: &Value| {
        let start = ns(&e["ts"]);
        (
            e["name"].as_str().expect("a name").to_owned(),
            start,
            start + ns(&e["dur"]),
        )
    };
    let whole = events.iter().filter(|e| e["ph"] == "X");
    whole.map(slice).collect()
}

#[test]
fn a_profile_accounts_for_every_kernel_and_its_slices_nest() {
    let scratch = Scratch::new();
    let path = scratch.path("trace.json").to_string_lossy().into_owned();
    let model = tiny_arg();
    let command = ["bench", &model, "-p", "40", "-g", "5", "-r", "1"];
    let more = ["--profile", "--trace-out", &path, "--json"];
    let ended = run(command.iter().chain(&more)).code(0);
    let lines = ended.json_lines();
    let (profile, bench) = (&lines[1], &lines[2]);
    assert_eq!(
        (&profile["event"], &bench["event"]),
        (&"profile".into(), &"bench".into())
    );
    let gpu = bench["adapter"]["backend"] != "cpu";
    assert_eq!(profile["clock"], if gpu { "gpu" } else { "host" });
    assert_eq!(profile["copy_bytes_s"].is_number(), gpu);

    let [prefill, decode] = profile["phases"].as_array().expect("phases").as_slice() else {
        panic!("two phases: {profile}")
    };
    assert_eq!(
        (number(&prefill["tokens"]), number(&decode["tokens"])),
        (40.0, 5.0)
    );
    let kernels = decode["kernels"].as_array().expect("kernels");
    let calls: f64 = kernels.iter().map(|k| number(&k["calls"])).sum();
    assert_eq!(
        calls / 5.0,
        number(&bench["counters"]["dispatches_per_token"])
    );
    let weights = kernels.iter().filter(|k| k["kernel"] != "attention");
    let weights: f64 = weights.map(|k| number(&k["bytes"])).sum();
    assert_eq!(
        weights / 5.0,
        number(&bench["counters"]["weight_bytes_per_token"])
    );
    for phase in [prefill, decode] {
        let kernels = phase["kernels"].as_array().expect("kernels");
        let busy: f64 = kernels.iter().map(|k| number(&k["ns"])).sum();
        assert!(busy > 0.0 && busy <= number(&phase["span_ns"]), "{phase}");
    }
    let named = |what: &str| {
        kernels
            .iter()
            .any(|k| k["kernel"].as_str().is_some_and(|k| k.starts_with(what)))
    };
    for what in [
        "embed q6_k 2048x256",
        "qkv q4_k",
        "attention",
        "glu q4_k",
        "down ",
        "head q6_k 2048x256",
        "sample_tops",
        "sample",
    ] {
        assert!(named(what), "{what}: {kernels:?}");
    }

    let text = std::fs::read_to_string(&path).expect("the trace");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let slices = slices(&trace);
    // Whatever begins inside a slice ends in it: those that are open at any time are one in another.
    let mut open: Vec<(String, u64, u64)> = Vec::new();
    let mut deepest = 0;
    for slice in &slices {
        while open.last().is_some_and(|(_, _, end)| *end <= slice.1) {
            open.pop();
        }
        if let Some((name, start, end)) = open.last() {
            assert!(
                *start <= slice.1 && slice.2 <= *end,
                "{slice:?} crosses {name} {start}..{end}"
            );
        }
        open.push(slice.clone());
        deepest = deepest.max(open.len());
    }
    assert_eq!(deepest, 3, "a token, a layer, a step");
    let count = |prefix: &str| {
        slices
            .iter()
            .filter(|(name, ..)| name.starts_with(prefix))
            .count()
    };
    // 40 tokens are a batch of 32 and one of 8; the model has two layers.
    assert_eq!((count("prefill batch"), count("decode token")), (2, 5));
    assert_eq!(count("layer 0"), 7);
    assert_eq!((count("layer1.attention"), count("head")), (7, 5));
    let of_layer = |e: &&Value| e["name"] == "layer1.attention";
    let event = trace["traceEvents"]
        .as_array()
        .and_then(|all| all.iter().find(of_layer));
    let args = &event.expect("an attention")["args"];
    assert_eq!(
        (&args["layer"], &args["kernel"]),
        (&1.into(), &"attention".into())
    );

    // For people, the same as tables.
    let words = run(command.iter().chain(&["--profile"])).code(0).stdout;
    for line in [
        "prefill, per token",
        "decode, per token",
        "(between kernels)",
        "times: ",
    ] {
        assert!(words.contains(line), "{line}: {words}");
    }
}

#[test]
fn a_trace_needs_a_profile_and_a_place() {
    let model = tiny_arg();
    let alone = run(["bench", &model, "--trace-out", "t.json"]).code(2);
    assert!(alone.stderr.contains("--profile"), "{}", alone.stderr);
    let command = [
        "bench",
        &model,
        "-p",
        "4",
        "-g",
        "2",
        "-r",
        "1",
        "--profile",
    ];
    let nowhere = ["--trace-out", "/nowhere/trace.json"];
    run(command.iter().chain(&nowhere)).code(2).error("E_FILE");
}
