//! The trace of SmolLM2 against llama.cpp's. The model is fetched by `just setup`.

use std::path::PathBuf;

use crate::common::{data, run};
use serde_json::json;

fn smollm2() -> String {
    let path = std::env::var_os("WASM_CHORD_SMOLLM2")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            dirs::cache_dir()
                .expect("a cache folder")
                .join("wasm-chord/models/SmolLM2-135M-Instruct.Q4_1.gguf")
        });
    assert!(
        path.is_file(),
        "{} is missing: run `just setup`, or set WASM_CHORD_SMOLLM2",
        path.display()
    );
    path.to_string_lossy().into_owned()
}

#[test]
fn every_tap_agrees_with_the_reference() {
    let reference = data("trace/SmolLM2-135M-Instruct.Q4_1.deq.json")
        .to_string_lossy()
        .into_owned();
    let result = run([
        "trace",
        &smollm2(),
        "--against",
        &reference,
        "--ctx",
        "64",
        "--json",
    ])
    .code(0)
    .json();
    assert_eq!(result["faults"], json!([]));
    assert_eq!(result["comparison"]["missing"], json!([]));
    assert_eq!(result["comparison"]["first_difference"], json!(null));
    assert_eq!(result["comparison"]["compared"], 30 * 13 + 3);
}
