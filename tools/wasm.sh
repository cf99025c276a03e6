# Sourced by the scripts beside it, after lib.sh: compiling for WebAssembly.
# shellcheck shell=bash

# The builds. Every browser with WebAssembly vectors runs `simd`, most of today's `relaxed`; those with threads need a page that may
# share memory between its workers.
wasm_builds=(simd relaxed simd-threads relaxed-threads)
# shellcheck disable=SC2154 # of lib.sh
wasm_target="$target/wasm"
# Where what was made last lies.
wasm_made="$wasm_target/wasm32-unknown-unknown/web"

# What a build may use, as flags of the compiler.
# wasm_flags BUILD
wasm_flags() {
    case "$1" in
    simd) echo "-C target-feature=+simd128" ;;
    relaxed) echo "-C target-feature=+simd128,+relaxed-simd" ;;
    # One memory of up to 4 GiB for all threads, made by the page's side; what a thread sets up for itself is exported for the glue.
    *-threads)
        echo "$(wasm_flags "${1%-threads}"),+atomics,+bulk-memory -C link-arg=--shared-memory -C link-arg=--import-memory" \
            "-C link-arg=--max-memory=4294967296 -C link-arg=--export=__heap_base -C link-arg=--export=__wasm_init_tls" \
            "-C link-arg=--export=__tls_size -C link-arg=--export=__tls_align -C link-arg=--export=__tls_base"
        ;;
    *) die "unknown build '$1': ${wasm_builds[*]}" 2 ;;
    esac
}

# rustup's compiler where it has what that takes, else Debian's compiler for the web. The standard library is built along: the ready one
# has no locks for threads, and made like the rest and for its size it is 40 kB less to fetch, gzipped. All builds have one folder: cargo tells
# them apart by their flags, and what runs while compiling is made once. The file without a hash in its name is of the build made last.
# wasm_cargo BUILD ARGUMENTS...
wasm_cargo() {
    local flags std=(-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size)
    flags="--cfg getrandom_backend=\"wasm_js\" $(wasm_flags "$1")"
    local -x CARGO_TARGET_DIR="$wasm_target"
    local -x RUSTC_BOOTSTRAP=1
    shift
    if rustup_has component rust-src; then
        RUSTFLAGS="$flags" cargo "$@" "${std[@]}" --target wasm32-unknown-unknown
    else
        [ -x /usr/bin/wasm-ld-19 ] || install_packages "a Rust compiler for WebAssembly" rustc-web cargo-web rust-web-src rust-web-llvm lld-19
        RUSTC=/usr/bin/rustc RUSTFLAGS="$flags" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
            /usr/bin/cargo "$@" "${std[@]}" --target wasm32-unknown-unknown
    fi
}
