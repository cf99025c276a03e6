#!/usr/bin/env bash
# build-web.sh: the engine as WebAssembly with its JavaScript glue, into pkg/src/engine/: with plain and with relaxed vectors, for one
# thread and for several; a browser fetches one of the four. Nothing is done where these are newer than every source.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$root/tools/wasm.sh"
cd "$root"
out=pkg/src/engine

# module BUILD: what the package calls it
module() {
    case "$1" in
    simd) echo chord_web_bg.wasm ;;
    relaxed) echo chord_web_relaxed_bg.wasm ;;
    simd-threads) echo chord_web_threads_bg.wasm ;;
    relaxed-threads) echo chord_web_relaxed_threads_bg.wasm ;;
    esac
}

# bind BUILD FOLDER: glue and module, made small
bind() {
    "$target/release/bindgen" "$built/$1/chord_web.wasm" "$2" </dev/null >&2
    node_modules/.bin/wasm-opt -O1 --enable-reference-types --enable-bulk-memory --enable-nontrapping-float-to-int \
        --enable-sign-ext --enable-mutable-globals --enable-multivalue --enable-simd --enable-relaxed-simd --enable-threads \
        "$2/chord_web_bg.wasm" -o "$2/chord_web_bg.wasm"
}

# place GLUE PLAIN RELAXED: two builds with the same glue, which is called so
place() {
    local work="$work/$1" build
    for build in "$2" "$3"; do bind "$build" "$work/$build"; done
    for file in "$work/$2"/*.js "$work/$2"/*.d.ts; do
        cmp "$file" "$work/$3/$(basename "$file")" >&2 || die "$2 and $3 need different glue: $(basename "$file")"
    done
    for file in js d.ts; do cp "$work/$2/chord_web.$file" "$out/$1.$file"; done
    for build in "$2" "$3"; do cp "$work/$build/chord_web_bg.wasm" "$out/$(module "$build")"; done
}

work="$(mktemp -d)"
built="$work/built"
trap 'rm -rf "$work"' EXIT
fresh=true
for build in "${wasm_builds[@]}"; do
    wasm_cargo "$build" build --locked --profile web -p chord-web </dev/null >&2
    # A link: as old as this build, though another one may have been made since.
    [ "$out/$(module "$build")" -nt "$wasm_made/chord_web.wasm" ] || fresh=false
    mkdir -p "$built/$build"
    cp "$wasm_made/chord_web.wasm" "$built/$build"
done
if [ "$fresh" = true ]; then exit 0; fi
say "bindings and wasm-opt"
# The whole workspace's features are the tests': what is built here is theirs too.
cargo build --release --locked -q --workspace --bin bindgen </dev/null >&2
mkdir -p "$out"
place chord_web simd relaxed
place chord_web_threads simd-threads relaxed-threads
