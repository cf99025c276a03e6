//! `bench/nvidia.sh` on this machine's software adapter, with a check of the kernels that is made up: what it refuses, and what it
//! writes when it is told to go on.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use crate::common::{Ended, Scratch};

/// The script in a folder of its own, with a pack whose check of the kernels ends like `checked`.
fn script(scratch: &Scratch, checked: &str) -> Command {
    let bench = scratch.path("bench");
    let pack = bench.join("pack");
    fs::create_dir_all(&pack).expect("made");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/nvidia.sh");
    let script = bench.join("nvidia.sh");
    fs::copy(source, &script).expect("copied");
    let command = pack.join("wasm-chord");
    if !command.exists() {
        symlink(env!("CARGO_BIN_EXE_wasm-chord"), command).expect("linked");
    }
    fs::write(pack.join("commit"), "abc1234\n").expect("written");
    let check = pack.join("kernels-vs-twins");
    fs::write(&check, format!("#!/bin/sh\n{checked}\n")).expect("written");
    fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).expect("allowed");
    let mut command = Command::new("bash");
    command.arg(script);
    for (name, value) in [
        ("PROMPT", "8"),
        ("GENERATE", "4"),
        ("DEPTH", "40"),
        ("REPEAT", "1"),
    ] {
        command.env(format!("WASM_CHORD_BENCH_{name}"), value);
    }
    command
}

fn ended(command: &mut Command) -> Ended {
    Ended::of(command.output().expect("bash starts"))
}

fn results(scratch: &Scratch) -> Vec<PathBuf> {
    let entries = fs::read_dir(scratch.path("bench/results"));
    entries.map_or(Vec::new(), |all| all.flatten().map(|e| e.path()).collect())
}

const PASSED: &str = "echo 'test result: ok. 3 passed; 0 failed'";

#[test]
fn without_a_gpu_nothing_is_measured() {
    let scratch = Scratch::new();
    let mut command = script(&scratch, PASSED);
    let refused = ended(command.env("VK_DRIVER_FILES", "/nonexistent")).code(1);
    assert!(
        refused.stderr.contains("no GPU adapter is here"),
        "{}",
        refused.stderr
    );
    assert!(results(&scratch).is_empty());
}

#[test]
fn a_software_adapter_is_refused_or_named_in_the_title_on_gpu() {
    let scratch = Scratch::new();
    let refused = ended(&mut script(&scratch, PASSED)).code(1);
    assert!(refused.stderr.contains("is software"), "{}", refused.stderr);

    // Kernels that compute wrongly are not measured either.
    let wrong = "echo 'test matmul::q4_k ... FAILED'; exit 101";
    let mut command = script(&scratch, wrong);
    let refused = ended(command.env("WASM_CHORD_BENCH_SOFTWARE", "1")).code(1);
    assert!(
        refused.stderr.contains("matmul::q4_k ... FAILED"),
        "{}",
        refused.stderr
    );
    // A check that does not run to its end says so.
    for (check, said) in [
        ("echo 'running 9 tests'; exit 124", "within 580 s"),
        ("kill -SEGV $$", "code 139"),
        ("echo 'GLIBC_2.39 not found' >&2; exit 1", "GLIBC_2.39"),
    ] {
        let mut command = script(&scratch, check);
        let refused = ended(command.env("WASM_CHORD_BENCH_SOFTWARE", "1")).code(1);
        assert!(refused.stderr.contains(said), "{check}: {}", refused.stderr);
    }
    assert!(results(&scratch).is_empty());

    let mut command = script(&scratch, PASSED);
    command.env("WASM_CHORD_BENCH_SOFTWARE", "1");
    // One that is not there is a failure in the table, and of the script, but not the end of it.
    let tried = ended(command.args(["tiny-q4_k_m", "huge-q4_k_m"])).code(1);
    let files = results(&scratch);
    assert_eq!(files.len(), 1, "{}", tried.stderr);
    let text = fs::read_to_string(&files[0]).expect("the result");
    assert!(text.starts_with("# NOT A GPU RESULT"), "{text}");
    for part in [
        "driver ",
        "Commit abc1234",
        "3 tests passed",
        "ooperative matrices",
        "in q8_0, decode of tiny-q4_k_m: ",
        "| tiny-q4_k_m | ",
        "| huge-q4_k_m | failed: E_USAGE",
        "decode, per token",
        "memory: copies on the GPU",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let row = text
        .lines()
        .find(|l| l.starts_with("| tiny"))
        .expect("a row");
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    // Prefill, decode, at depth, and what they are to each other: numbers above 0.
    assert_eq!(cells.len(), 14, "{row}");
    assert!(
        cells[2..6]
            .iter()
            .all(|c| c.parse::<f64>().is_ok_and(|v| v > 0.0)),
        "{row}"
    );
}
