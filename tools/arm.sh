# Sourced by the scripts beside it, after lib.sh: compiling for 64-bit ARM and running there, in QEMU.
# shellcheck shell=bash

# rustup's target where it can be had; else Debian's compiler, which builds the standard library itself. What cargo runs runs in
# QEMU as processor CPU (`qemu-aarch64 -cpu help`); linked statically, it needs no system of that kind around it.
# arm_cargo CPU ARGUMENTS...
arm_cargo() {
    if ! have qemu-aarch64 || ! have aarch64-linux-gnu-gcc || [ ! -e /usr/aarch64-linux-gnu/lib/libc.a ]; then
        install_packages "a linker and an emulator for ARM" gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    fi
    local -x CARGO_TARGET_DIR="$target/arm" CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu RUSTFLAGS="-C target-feature=+crt-static"
    local -x CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    local -x CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu $1"
    shift
    if rustup_has target "$CARGO_BUILD_TARGET"; then
        cargo "$@"
    else
        [ -e /usr/lib/rustlib/src/rust ] || install_packages "a Rust compiler for ARM" rustc-web cargo-web rust-web-src
        # Optimised in full, the standard library takes half as long again, minutes; what is checked here is not its speed.
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_UNSTABLE_BUILD_STD=std,panic_unwind,test \
            RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo "$@"
    fi
}
