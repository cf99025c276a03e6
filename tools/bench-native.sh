#!/usr/bin/env bash
# bench-native.sh run|cold-start [ARGS of bench/native/*.mjs]: builds the command and measures it with the default model, or with that of
# WASM_CHORD_MODEL.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
what="$1"
shift
tools="$root/tools"
"$tools/setup.sh" run
# The whole workspace's features are the tests': what is built here is theirs too.
cargo build --manifest-path "$root/Cargo.toml" --release --locked --workspace --bin wasm-chord
node "$root/bench/native/$what.mjs" "$target/release/wasm-chord" "${WASM_CHORD_MODEL:-$("$tools/default-model.sh")}" "$@"
