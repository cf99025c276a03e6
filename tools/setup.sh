#!/usr/bin/env bash
# Installs what is missing for running (`run`), for the package and the page (`web`), for the test suite (`test`) and for a
# found GPU (`device BINARY`).
# What is there already costs a look-up and prints nothing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for_run() {
    have cargo || die "cargo is missing: install Rust 1.95 or later with rustup, then run this again"
    have cc || install_packages "a C compiler and linker" gcc libc6-dev
    if [ "$(uname -s)" = Linux ]; then
        vulkan_loader || install_packages "the Vulkan loader" libvulkan1
    fi
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
    icd_file lavapipe >/dev/null || install_packages "the lavapipe test adapter" mesa-vulkan-drivers
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

# A software driver only where no driver offers a device. The stamp holds until a driver comes or goes.
for_device() {
    local binary="$1" stamp="$cache/device-found" folder fresh=yes code=0 said
    [ "$(uname -s)" = Linux ] || return 0
    for folder in {/usr,/usr/local}/share/vulkan/icd.d /etc/vulkan/icd.d "$HOME/.local/share/vulkan/icd.d"; do
        if [ "$folder" -nt "$stamp" ]; then fresh=no; fi
    done
    if [ -e "$stamp" ] && [ $fresh = yes ]; then return 0; fi
    # Its message only where it is not the expected "no adapter".
    said="$("$binary" adapters </dev/null 2>&1 >/dev/null)" || code=$?
    if [ "$code" = 4 ]; then
        if [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
            die "VK_DRIVER_FILES or VK_ICD_FILENAMES is set, and the driver it names offers no device" 4
        fi
        install_packages "a software Vulkan driver (no GPU driver was found)" mesa-vulkan-drivers
        code=0
        said="$("$binary" adapters </dev/null 2>&1 >/dev/null)" || code=$?
    fi
    [ "$code" = 0 ] || printf '%s\n' "$said" >&2
    [ "$code" = 0 ] || die "'$binary adapters' failed with exit code $code: see its message above" "$code"
    mkdir -p "$cache" && touch "$stamp"
}

while [ $# -gt 0 ]; do
    case "$1" in
    run) for_run ;;
    web) for_web ;;
    test) for_test && "$root/tools/default-model.sh" >/dev/null ;;
    device) for_device "$2" && shift ;;
    *) die "setup.sh: unknown part '$1': run, web, test or device BINARY" 2 ;;
    esac
    shift
done
