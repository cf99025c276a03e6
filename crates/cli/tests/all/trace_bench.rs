//! `trace` and `bench`, with the tiny model.

use crate::common::{Scratch, npy, run, tiny_arg};
use serde_json::{Value, json};

#[test]
fn a_trace_is_written_judged_and_compared() {
    let scratch = Scratch::new();
    let tokens = scratch.path("ids.json").to_string_lossy().into_owned();
    std::fs::write(&tokens, "{\"ids\": [504, 1408, 1201, 282, 426, 98]}").expect("written");
    let dump = scratch.path("dump").to_string_lossy().into_owned();
    let first = run([
        "trace",
        &tiny_arg(),
        "--tokens",
        &tokens,
        "--out",
        &dump,
        "--json",
    ])
    .code(0)
    .json();
    assert_eq!(first["faults"], json!([]));
    assert_eq!(first["ok"], true);
    let index: Value =
        serde_json::from_slice(&std::fs::read(scratch.path("dump/index.json")).expect("index"))
            .expect("JSON");
    let names: Vec<&str> = index["taps"]
        .as_array()
        .expect("taps")
        .iter()
        .filter_map(|t| t["name"].as_str())
        .collect();
    for want in [
        "embd",
        "attn_norm-0",
        "q-0",
        "k-0",
        "v-0",
        "q_rope-0",
        "k_rope-0",
        "attn_stats-0",
        "attn_out-0",
        "ffn_inp-0",
        "ffn_norm-0",
        "ffn_swiglu-0",
        "ffn_out-0",
        "l_out-0",
        "l_out-1",
        "result_norm",
        "result_output",
    ] {
        assert!(names.contains(&want), "{want} is missing: {names:?}");
    }
    let (header, _) = npy(&std::fs::read(scratch.path("dump/result_output.npy")).expect("tap"));
    assert!(header.contains("(6, 2048)"), "{header}");
    let summary = std::fs::read_to_string(scratch.path("dump/summary.txt")).expect("summary");
    assert!(summary.contains("no faults"), "{summary}");

    let again = run(["trace", &tiny_arg(), "--against", &dump, "--json"])
        .code(0)
        .json();
    assert_eq!(again["comparison"]["first_difference"], Value::Null);
    assert_eq!(again["comparison"]["compared"], names.len());

    // One value of one tap changed: found, named, and exit code 1.
    let path = scratch.path("dump/k_rope-1.npy");
    let mut bytes = std::fs::read(&path).expect("tap");
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&1e3f32.to_le_bytes());
    std::fs::write(&path, bytes).expect("written");
    let differs = run(["trace", &tiny_arg(), "--against", &dump, "--json"])
        .code(1)
        .json();
    assert_eq!(differs["ok"], false);
    assert_eq!(differs["comparison"]["first_difference"]["tap"], "k_rope-1");
    let words = run(["trace", &tiny_arg(), "--against", &dump])
        .code(1)
        .stdout;
    assert!(
        words.contains("DIFFERS first at k_rope-1: token 5"),
        "{words}"
    );

    std::fs::write(&tokens, "[1, 2]").expect("written");
    run([
        "trace",
        &tiny_arg(),
        "--tokens",
        &tokens,
        "--against",
        &dump,
    ])
    .code(2)
    .error("E_USAGE");
}

#[test]
fn bench_counts_work_per_token() {
    let bench = || {
        run([
            "bench",
            &tiny_arg(),
            "-p",
            "9",
            "-g",
            "5",
            "-r",
            "2",
            "--json",
        ])
        .code(0)
    };
    let ended = bench();
    let lines = ended.json_lines();
    assert_eq!(lines.len(), 3);
    let last = &lines[2];
    for key in ["prefill_tok_s", "decode_tok_s", "ttft_ms"] {
        let spread = &last[key];
        let n = |k: &str| spread[k].as_f64().expect("number");
        assert!(
            n("min") > 0.0 && n("min") <= n("median") && n("median") <= n("max"),
            "{spread}"
        );
    }
    assert!(last["adapter"]["reason"].is_string(), "{last}");
    let ready = |key: &str| last[key].as_f64().expect("number");
    assert!(ready("ready_ms") > 0.0, "{last}");
    // Weights are a part of loading, which is a part of the way to the first token.
    assert!(ready("first_token_ms") > ready("ready_ms"), "{last}");
    let weights_ms = ready("weights_ms");
    assert!(0.0 < weights_ms && weights_ms < ready("ready_ms"), "{last}");
    let mb = ready("weights_mb_s") * weights_ms / 1e3;
    assert!((mb - ready("weights_bytes") / 1e6).abs() < 1e-3, "{last}");
    assert!(ready("weights_bytes") > 0.0, "{last}");
    let counters = |v: &Value, keys: &[&str]| {
        keys.iter()
            .map(|k| v["counters"][k].as_f64().expect("number"))
            .collect::<Vec<_>>()
    };
    let fixed = [
        "dispatches_per_token",
        "weight_bytes_per_token",
        "kv_bytes_per_token",
        "readback_bytes_per_token",
        "submits_per_token",
        "gpu_bytes",
        "gpu_peak_bytes",
        "loader_peak_host_bytes",
    ];
    assert!(counters(last, &fixed).iter().all(|v| *v > 0.0), "{last}");
    // Where the system does not tell, null.
    let host = &last["counters"]["host_peak_bytes"];
    let known = host.as_u64().is_some_and(|bytes| bytes > 1 << 20);
    assert!(
        known || (host.is_null() && !cfg!(target_os = "linux")),
        "{last}"
    );
    // Encoding and pipelines are a GPU's.
    let gpu = last["adapter"]["backend"] != "cpu";
    assert_eq!(counters(last, &["encode_us_per_dispatch"])[0] > 0.0, gpu);
    assert_eq!(counters(last, &["pipelines"])[0] > 0.0, gpu);
    // Nothing is created while decoding.
    assert_eq!(
        counters(
            last,
            &[
                "buffers_per_token",
                "bind_groups_per_token",
                "pipelines_per_token"
            ]
        ),
        [0.0; 3]
    );
    // The machine's mood does not show in the work.
    assert_eq!(
        counters(&bench().json(), &fixed[..3]),
        counters(last, &fixed[..3])
    );
    run(["bench", &tiny_arg(), "-p", "1020", "-g", "5"])
        .code(2)
        .error("E_USAGE");
}

/// With tokens before the prompt, a token reads more keys and values, and only the prompt's are prefilled in a run.
#[test]
fn bench_measures_at_a_depth() {
    let bench = |more: &[&str]| {
        let model = tiny_arg();
        let args = ["bench", &model, "-p", "9", "-g", "5", "-r", "1", "--json"];
        run(args.iter().chain(more)).code(0).json()
    };
    let (shallow, deep) = (bench(&[]), bench(&["--depth", "200"]));
    assert_eq!(
        (&shallow["depth"], &deep["depth"]),
        (&json!(0), &json!(200))
    );
    let kv = |v: &Value| {
        v["counters"]["kv_bytes_per_token"]
            .as_f64()
            .expect("number")
    };
    // Positions 9 to 12 see 11.5 on average; 200 further on, 211.5.
    let ratio = kv(&deep) / kv(&shallow);
    assert!((ratio - 211.5 / 11.5).abs() < 1e-9, "{ratio}");
    // Drawing a token is no other work for the layers.
    let drawn = bench(&["--sample"]);
    assert_eq!(
        (&shallow["sample"], &drawn["sample"]),
        (&json!(false), &json!(true))
    );
    assert!((kv(&drawn) / kv(&shallow) - 1.0).abs() < 1e-9);
    let error = run(["bench", &tiny_arg(), "--depth", "1000"]).code(2);
    assert!(error.stderr.contains("--depth 1000"), "{}", error.stderr);
}

/// A model without a file loads and answers in finite numbers: a NaN would be an error.
#[test]
fn bench_makes_a_model_up() {
    let bench = |name: &str| {
        let model = format!("synth:{name}");
        run(["bench", &model, "-p", "40", "-g", "9", "-r", "1", "--json"])
    };
    for name in ["tiny-q4_k_m", "tiny-q4_0", "tiny-q8_0"] {
        let result = bench(name).code(0).json();
        assert_eq!(result["event"], "bench");
        // As much context as it needs.
        assert_eq!(result["engine"]["context"], "49", "{result}");
    }
    let error = bench("llama-9b-q4_k_m").code(2);
    assert!(
        error.stderr.contains("synth:llama-8b-q4_k_m"),
        "{}",
        error.stderr
    );
    run(["bench", "synth:tiny-q4_0", "-p", "2000", "-g", "9"])
        .code(2)
        .error("E_USAGE");
}
