#!/usr/bin/env bash
# check-simd.sh: runs the checks of crates/simd on instruction sets that this processor lacks: in Node's WebAssembly, on both builds
# of the vectors, and on 64-bit ARM in QEMU, on processors with and without dot products of bytes.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$root/tools/wasm.sh"
source "$root/tools/arm.sh"
cd "$root"

for build in simd relaxed; do
    wasm_cargo "$build" build --locked --profile web -p chord-simd --example check_simd </dev/null >&2
    node tools/check-simd.mjs "$wasm_made/examples/check_simd.wasm"
done

# A set that detection does not find is not checked, which must not look like a pass: those that were are compared with SETS.
# check_arm PROCESSOR SETS COMMAND...
check_arm() {
    local processor="$1" expected="$2" said sets
    shift 2
    said="$("$@" test --locked --release -p chord-simd --test vectors -- --nocapture </dev/null)" || die "$processor: $said"
    sets="$(sed -n 's/.*checked: //p' <<<"$said")"
    [ "$sets" = "$expected" ] || die "$processor: these instruction sets were checked: '$sets', not '$expected'"
    printf '%s: vectors are right (%s)\n' "$processor" "${sets//$'\n'/, }"
}

base=$'NEON\nno vector instructions known'
dot=$'NEON with dot products\n'"$base"
case "$(uname -m)" in
aarch64 | arm64)
    if grep -qw asimddp /proc/cpuinfo 2>/dev/null || [ "$(sysctl -n hw.optional.arm.FEAT_DotProd 2>/dev/null)" = 1 ]; then
        base="$dot"
    fi
    check_arm "this processor" "$base" cargo
    ;;
*)
    check_arm "ARM with all extensions" "$dot" arm_cargo max
    check_arm "ARM Cortex-A72" "$base" arm_cargo cortex-a72
    ;;
esac
