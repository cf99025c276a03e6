#!/usr/bin/env bash
# Builds the release binary and prints its bytes, as it is and without debug lines.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cargo build --manifest-path "$root/Cargo.toml" --release --locked -p wasm-chord
binary="$target/release/wasm-chord"
stripped="$(mktemp)"
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$binary"
printf '%12d  %s\n' "$(wc -c <"$binary")" "$binary" "$(wc -c <"$stripped")" "stripped"
