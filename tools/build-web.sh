#!/usr/bin/env bash
# build-web.sh: the engine as WebAssembly with its JavaScript glue, into pkg/src/engine/. Nothing is done where that is newer
# than every source.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
out=pkg/src/engine wasm="$target/wasm32-unknown-unknown/web/chord_web.wasm"

# rustup's target where it can be had; else Debian's compiler for the web, which builds the standard library itself.
wasm_cargo() {
    local flags='--cfg getrandom_backend="wasm_js"'
    if rustup target list --installed 2>/dev/null | grep -qx wasm32-unknown-unknown ||
        rustup target add wasm32-unknown-unknown >/dev/null 2>&1; then
        RUSTFLAGS="$flags" cargo "$@" --target wasm32-unknown-unknown
    else
        [ -x /usr/bin/wasm-ld-19 ] || install_packages "a Rust compiler for WebAssembly" rustc-web cargo-web rust-web-src rust-web-llvm lld-19
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS="$flags" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
            /usr/bin/cargo "$@" -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown
    fi
}

wasm_cargo build --locked --profile web -p chord-web </dev/null >&2
if [ "$out/chord_web_bg.wasm" -nt "$wasm" ]; then exit 0; fi
say "bindings and wasm-opt"
mkdir -p "$out"
cargo run --release --locked -q -p bindgen -- "$wasm" "$out" </dev/null >&2
node_modules/.bin/wasm-opt -Oz --enable-reference-types --enable-bulk-memory --enable-nontrapping-float-to-int \
    --enable-sign-ext --enable-mutable-globals --enable-multivalue "$out/chord_web_bg.wasm" -o "$out/chord_web_bg.wasm"
