#!/usr/bin/env bash
# size.sh [package]: prints the bytes of the release binary, as it is and without debug lines (not with `package`), and of the npm
# package, which has a limit.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if [ "${1:-}" != package ]; then
    cargo build --manifest-path "$root/Cargo.toml" --release --locked -p wasm-chord
    binary="$target/release/wasm-chord"
    stripped="$(mktemp)"
    trap 'rm -f "$stripped"' EXIT
    strip -o "$stripped" "$binary"
    printf '%12d  %s\n' "$(wc -c <"$binary")" "$binary" "$(wc -c <"$stripped")" "stripped"
fi

# What a browser fetches before the model: under a million bytes, gzipped.
"$root/tools/web.sh" >&2
# fetched WHAT FILE...: prints each and their sum
fetched() {
    local what="$1" total=0 file bytes
    shift
    for file in "$@"; do
        bytes="$(gzip -9 -c "$root/pkg/dist/$file" | wc -c)"
        printf '%12d  pkg/dist/%s gzipped\n' "$bytes" "$file"
        total=$((total + bytes))
    done
    printf '%12d  %s\n' "$total" "$what"
    [ "$total" -lt 1000000 ] || die "$what: no longer under 1 MB gzipped"
}
fetched "the package, in a browser with relaxed vectors" index.js worker.js engine/chord_web_relaxed_bg.wasm
fetched "the same, with threads" index.js worker.js engine/chord_web_relaxed_threads_bg.wasm
fetched "the package, in any other browser" index.js worker.js engine/chord_web_bg.wasm
fetched "the same, with threads" index.js worker.js engine/chord_web_threads_bg.wasm
