#!/usr/bin/env bash
# Installs what is missing for running (`run`), for the package and the page (`web`) and for the test suite (`test`).
# What is there already costs a look-up and prints nothing. Running needs no graphics driver: without a GPU the CPU computes.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for_run() {
    have cargo || die "cargo is missing: install Rust 1.95 or later with rustup, then run this again"
    have cc || install_packages "a C compiler and linker" gcc libc6-dev
}

vulkan_loader() {
    local cached
    # Into a variable: `grep -q` on a pipe would end ldconfig early, which pipefail calls a failure.
    cached="$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)"
    case "$cached" in *libvulkan.so.1*) return 0 ;; esac
    have python3 && python3 -c 'import ctypes; ctypes.CDLL("libvulkan.so.1")' 2>/dev/null
}

for_test() {
    cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "clippy is missing: rustup component add clippy"
    if ! icd_file lavapipe >/dev/null || ! vulkan_loader; then
        install_packages "the lavapipe test adapter" mesa-vulkan-drivers libvulkan1
    fi
    icd_file swiftshader >/dev/null || install_packages "the SwiftShader test adapter and Chromium's Tint" chromium
    cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest </dev/null >&2
    for_web
}

# The npm workspace: package, chat page, browser tests.
for_web() {
    have node || install_packages "node" nodejs npm
    # npm writes this file last: it is older than the lock file after every change of the latter.
    if [ ! "$root/node_modules/.package-lock.json" -nt "$root/package-lock.json" ]; then
        npm ci --prefix "$root" --ignore-scripts --loglevel=error </dev/null >&2
        touch "$root/node_modules/.package-lock.json"
    fi
}

while [ $# -gt 0 ]; do
    case "$1" in
    run) for_run ;;
    web) for_web ;;
    test) for_test && "$root/tools/default-model.sh" >/dev/null ;;
    *) die "setup.sh: unknown part '$1': run, web or test" 2 ;;
    esac
    shift
done
