# Sourced by the scripts beside it, after lib.sh: compiling for WebAssembly.
# shellcheck shell=bash

# What a build may use. Every browser with WebAssembly vectors runs `simd`, most of today's `relaxed`.
# wasm_features simd|relaxed
wasm_features() {
    case "$1" in
    simd) echo +simd128 ;;
    relaxed) echo +simd128,+relaxed-simd ;;
    *) die "unknown build '$1': simd or relaxed" 2 ;;
    esac
}

# rustup's target where it can be had; else Debian's compiler for the web, which builds the standard library itself. Builds have
# folders of their own: they differ in flags, and cargo would make each anew whenever the other was made.
# wasm_cargo simd|relaxed ARGUMENTS...
wasm_cargo() {
    local flags
    flags="--cfg getrandom_backend=\"wasm_js\" -C target-feature=$(wasm_features "$1")"
    local -x CARGO_TARGET_DIR="$target/$1"
    shift
    if rustup_target wasm32-unknown-unknown; then
        RUSTFLAGS="$flags" cargo "$@" --target wasm32-unknown-unknown
    else
        [ -x /usr/bin/wasm-ld-19 ] || install_packages "a Rust compiler for WebAssembly" rustc-web cargo-web rust-web-src rust-web-llvm lld-19
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS="$flags" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
            /usr/bin/cargo "$@" -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown
    fi
}
