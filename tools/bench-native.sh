#!/usr/bin/env bash
# bench-native.sh [ARGS of bench/native/run.mjs]: builds the command and measures it beside llama-bench with the default model, or
# with that of WASM_CHORD_MODEL.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tools="$root/tools"
"$tools/setup.sh" run
cargo build --manifest-path "$root/Cargo.toml" --release --locked -p wasm-chord
node "$root/bench/native/run.mjs" "$target/release/wasm-chord" "${WASM_CHORD_MODEL:-$("$tools/default-model.sh")}" "$@"
