# Sourced by the scripts beside it: where things are, and how something missing is installed.
# shellcheck shell=bash
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wasm-chord"
# CI clones afresh every time: its build outlives the clone here.
if [ "${CI:-}" = true ]; then export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"; fi
# shellcheck disable=SC2034 # the scripts that source this use it
target="${CARGO_TARGET_DIR:-$root/target}"

say() { printf 'wasm-chord: %s\n' "$*" >&2; }

# die MESSAGE [EXIT CODE]
die() {
    say "$1"
    exit "${2:-1}"
}

have() { command -v "$1" >/dev/null 2>&1; }

# As root with apt: installs the Debian packages. Otherwise says what to type and exits.
# install_packages WHY PACKAGE...
install_packages() {
    local why="$1" apt=(apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300)
    shift
    if ! have apt-get; then
        die "$why is missing: install it with this system's package manager (Debian calls it $*), then run this again"
    fi
    if [ "$(id -u)" != 0 ]; then
        die "$why is missing. Type this, then run the same command again:
    sudo apt-get install -y --no-install-recommends $*"
    fi
    say "installing $why ($*)"
    export DEBIAN_FRONTEND=noninteractive
    # A package list that is empty or old does not know the packages, or names files that are gone.
    if ! apt-cache show "$@" >/dev/null 2>&1 || ! "${apt[@]}" install "$@" </dev/null >&2; then
        apt-get -q update </dev/null >&2 || die "apt-get update failed: see its message above"
        "${apt[@]}" install "$@" </dev/null >&2 || die "$why could not be installed: see apt-get's message above"
    fi
}

# Whether rustup has this part for its compiler, or gets it now.
# rustup_has target|component NAME
rustup_has() {
    rustup "$1" list --installed 2>/dev/null | grep -qx "$2" || rustup "$1" add "$2" >/dev/null 2>&1
}

# ICD files tell the Vulkan loader which driver to use; the first that exists is printed.
# icd_file lavapipe|swiftshader
icd_file() {
    local file
    case "$1" in
    lavapipe) set -- /usr/share/vulkan/icd.d/lvp_icd*.json ;;
    swiftshader) set -- /usr/lib/chromium/vk_swiftshader_icd.json ;;
    *) die "unknown adapter '$1': lavapipe or swiftshader" 2 ;;
    esac
    for file in "$@"; do
        if [ -e "$file" ]; then printf '%s\n' "$file" && return 0; fi
    done
    return 1
}
