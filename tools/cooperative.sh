#!/usr/bin/env bash
# Tests of kernels by cooperative matrices, on the lavapipe of a newer Debian, which has them: a system of that kind is unpacked in the cache
# (600 MB, once; takes root), and the tests run with its libraries. Not part of `just test`.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
release=forky
system="$cache/debian-$release"
if [ ! -e "$system/ready" ]; then
    [ "$(id -u)" = 0 ] || die "unpacking a Debian system takes root: run this as root once"
    have debootstrap || install_packages "a way to unpack a Debian system" debootstrap
    # A release that is newer than debootstrap has no script of its own there.
    script=/usr/share/debootstrap/scripts/$release
    [ -e "$script" ] || ln -s sid "$script"
    rm -rf "$system"
    debootstrap --variant=minbase --include=mesa-vulkan-drivers,libvulkan1 "$release" "$system" http://deb.debian.org/debian >&2
    touch "$system/ready"
fi
libraries="$system/usr/lib/x86_64-linux-gnu"
# Its driver's description names no folder.
driver="$system/lavapipe.json"
printf '{"ICD": {"api_version": "1.4.0", "library_path": "%s"}, "file_format_version": "1.0.0"}\n' "$libraries/libvulkan_lvp.so" >"$driver"
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$libraries/ld-linux-x86-64.so.2 --library-path $libraries"
export VK_DRIVER_FILES="$driver" WASM_CHORD_TEST_DEVICE=gpu
exec cargo nextest run --release --locked --workspace --ignore-default-filter -E 'test(/_on_cooperative/)' --no-capture "$@"
