//! The definition of the command line holds together, and takes what the manual promises.

use super::*;
use clap::CommandFactory as _;

#[test]
fn definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_run_flag_of_the_manual_parses() {
    let cli = Cli::try_parse_from([
        "wasm-chord",
        "run",
        "m.gguf",
        "hi",
        "--system",
        "s",
        "--max-tokens",
        "5",
        "--temperature",
        "0",
        "--top-k",
        "1",
        "--top-p",
        "0.5",
        "--min-p",
        "0.1",
        "--repeat-penalty",
        "1.1",
        "--repeat-last-n",
        "-1",
        "--presence-penalty",
        "-0.5",
        "--frequency-penalty",
        "0.5",
        "--seed",
        "18446744073709551615",
        "--stop",
        "a",
        "--stop",
        "b",
        "--ctx",
        "64",
        "--kv",
        "f32",
        "--precision",
        "exact",
        "--device",
        "gpu",
        "--adapter",
        "llvm",
        "--threads",
        "2",
        "--verbose",
        "--json",
    ])
    .expect("every flag is known");
    let Command::Run(run) = cli.command else {
        panic!("run expected")
    };
    assert_eq!(run.stop, ["a", "b"]);
    assert_eq!(run.sampling.seed, Some(u64::MAX));
    assert_eq!(run.sampling.presence_penalty, Some(-0.5));
    assert_eq!(run.sampling.repeat_last_n, Some(u32::MAX));
    assert_eq!(run.engine.kv, Some(KvType::F32));
    assert_eq!(run.engine.device, DeviceArg::Gpu);
    assert_eq!(run.engine.threads, Some(2));
    assert!(run.json);
}

#[test]
fn bad_numbers_are_refused() {
    for flags in [
        ["--top-p", "1.5"],
        ["--top-p", "NaN"],
        ["--temperature", "-1"],
        ["--temperature", "inf"],
        ["--temperature", "100.5"],
        ["--repeat-penalty", "0"],
        ["--repeat-penalty", "0.009"],
        ["--presence-penalty", "NaN"],
        ["--presence-penalty", "-101"],
        ["--frequency-penalty", "101"],
        ["--repeat-last-n", "-2"],
        ["--repeat-last-n", "4294967296"],
        ["--ctx", "0"],
        ["--stop", ""],
        ["--kv", "q8"],
        ["--threads", "0"],
        ["--threads", "1025"],
        ["--device", "tpu"],
    ] {
        let parsed = Cli::try_parse_from(["wasm-chord", "run", "m.gguf", "hi", flags[0], flags[1]]);
        assert!(parsed.is_err(), "{flags:?} must be refused");
    }
}

#[test]
fn a_chunk_is_at_most_what_the_engine_computes_at_once() {
    let parsed = |chunk| {
        let eval = [
            "wasm-chord",
            "eval",
            "m.gguf",
            "--perplexity",
            "t",
            "--chunk",
        ];
        Cli::try_parse_from(eval.into_iter().chain([chunk]))
    };
    for good in ["1", "32"] {
        assert!(parsed(good).is_ok(), "{good}");
    }
    for bad in ["0", "33", "-1", "many"] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
    let said = parsed("64").expect_err("refused").to_string();
    assert!(said.contains("at most 32 tokens at a time"), "{said}");
}
