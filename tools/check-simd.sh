#!/usr/bin/env bash
# check-simd.sh: runs the checks of crates/simd in Node's WebAssembly, on both builds of the vectors.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$root/tools/wasm.sh"
cd "$root"
for build in simd relaxed; do
    wasm_cargo "$build" build --locked --release -p chord-simd --example check_simd </dev/null >&2
    node tools/check-simd.mjs "$target/$build/wasm32-unknown-unknown/release/examples/check_simd.wasm"
done
