#!/usr/bin/env bash
# build-web.sh: the engine as WebAssembly with its JavaScript glue, into pkg/src/engine/: once with plain vectors, once with
# relaxed ones; a browser fetches one of the two. Nothing is done where these are newer than every source.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$root/tools/wasm.sh"
cd "$root"
out=pkg/src/engine

# built simd|relaxed: where cargo leaves it
built() { printf '%s\n' "$target/$1/wasm32-unknown-unknown/web/chord_web.wasm"; }

# bind simd|relaxed FOLDER: glue and module, made small
bind() {
    cargo run --release --locked -q -p bindgen -- "$(built "$1")" "$2" </dev/null >&2
    node_modules/.bin/wasm-opt -Oz --enable-reference-types --enable-bulk-memory --enable-nontrapping-float-to-int \
        --enable-sign-ext --enable-mutable-globals --enable-multivalue --enable-simd --enable-relaxed-simd \
        "$2/chord_web_bg.wasm" -o "$2/chord_web_bg.wasm"
}

for build in simd relaxed; do
    wasm_cargo "$build" build --locked --profile web -p chord-web </dev/null >&2
done
plain="$out/chord_web_bg.wasm" relaxed="$out/chord_web_relaxed_bg.wasm"
if [ "$plain" -nt "$(built simd)" ] && [ "$relaxed" -nt "$(built relaxed)" ]; then exit 0; fi
say "bindings and wasm-opt"
mkdir -p "$out"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
bind relaxed "$work"
bind simd "$out"
for file in "$out"/*.js "$out"/*.d.ts; do
    cmp "$file" "$work/$(basename "$file")" >&2 || die "the two builds need different glue: $(basename "$file")"
done
cp "$work/chord_web_bg.wasm" "$relaxed"
