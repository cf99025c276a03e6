#!/usr/bin/env bash
# nvidia.sh pack: builds here what a machine with an NVIDIA GPU, no network and no compiler needs, into bench/pack (below 60 MiB).
# nvidia.sh [MODEL...]: there, with bench/pack beside this script: checks every kernel against its twin on the GPU, measures the
#   models (synth names; all six shapes without any), and writes one Markdown file under bench/results, and into $OUT where set.
# Numbers from a software adapter are refused. WASM_CHORD_BENCH_SOFTWARE=1 tries the script out on one all the same: a file that
# says in its title that it is no GPU result.
# What is measured: WASM_CHORD_BENCH_PROMPT, _GENERATE, _DEPTH, _REPEAT.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$here")"
pack="$here/pack"

die() {
    printf 'nvidia.sh: %s\n' "$1" >&2
    exit 1
}

make_pack() {
    local built target commit mib
    cd "$root"
    target="${CARGO_TARGET_DIR:-$root/target}"
    cargo build --release --locked --workspace
    # Every kernel test needs no file but itself.
    built="$(cargo test --release --locked --workspace --test all --no-run --message-format=json |
        grep 'crates/kernels' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)"
    [ -x "$built" ] || die "cargo named no test binary of crates/kernels"
    rm -rf "$pack"
    mkdir -p "$pack/lib"
    strip -o "$pack/wasm-chord" "$target/release/wasm-chord"
    strip -o "$pack/kernels-vs-twins" "$built"
    # A driver without its loader is common on machines for computing.
    cp -L /usr/lib/*-linux-gnu/libvulkan.so.1 "$pack/lib/" 2>/dev/null ||
        printf 'nvidia.sh: no libvulkan.so.1 here: the machine needs its own\n' >&2
    commit="$(git rev-parse --short HEAD)"
    [ -z "$(git status --porcelain)" ] || commit="$commit with changes"
    printf '%s\n' "$commit" >"$pack/commit"
    mib=$(($(du -sk "$pack" | cut -f 1) / 1024))
    [ "$mib" -lt 60 ] || die "the pack has $mib MiB, at most 60 can be carried"
    printf 'bench/pack: %s MiB, commit %s\n' "$mib" "$commit"
}

# The loader and the driver's description, wherever this machine has them.
find_vulkan() {
    local file
    if ! ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; then
        export LD_LIBRARY_PATH="$pack/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
    [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || return 0
    for file in /usr/share/vulkan/icd.d/nvidia_icd*.json /etc/vulkan/icd.d/nvidia_icd*.json /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd*.json; do
        if [ -e "$file" ]; then export VK_DRIVER_FILES="$file" && return 0; fi
    done
}

# Of one line of JSON: a string, a number, the median of a spread. Nothing but POSIX tools is there for sure.
text() { sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p" <<<"$1"; }
number() { sed -n "s/.*\"$2\":\([0-9.e+-]*\).*/\1/p" <<<"$1"; }
median() { sed -n "s/.*\"$2\":{\"median\":\([0-9.e+-]*\).*/\1/p" <<<"$1"; }

chord() { timeout 580 "$pack/wasm-chord" "$@"; }

# bench MODEL ARGS...: the result's line of JSON, or the error's.
bench() {
    local out
    out="$(chord bench "synth:$1" "${@:2}" --device gpu --adapter 0 --json 2>/dev/null)" || true
    tail -n 1 <<<"$out"
}

measure() {
    local software="${WASM_CHORD_BENCH_SOFTWARE:-}" models=("$@")
    local prompt="${WASM_CHORD_BENCH_PROMPT:-512}" generate="${WASM_CHORD_BENCH_GENERATE:-128}"
    local depth="${WASM_CHORD_BENCH_DEPTH:-8192}" repeat="${WASM_CHORD_BENCH_REPEAT:-3}"
    if [ ${#models[@]} = 0 ]; then
        models=(llama-1b-q4_k_m llama-3b-q4_k_m llama-8b-q4_k_m qwen3-0.6b-q4_k_m gemma3-270m-q4_k_m qwen3-30b-a3b-q4_k_m)
    fi
    [ -x "$pack/wasm-chord" ] || die "bench/pack is not there: run 'bench/nvidia.sh pack' where there is a compiler, and bring it along"
    find_vulkan
    "$pack/wasm-chord" --version >/dev/null || die "the packed command does not start here: its message is above"

    local first name kind driver commit
    first="$("$pack/wasm-chord" adapters --json | sed -n 's/^{"adapters":\[\({[^}]*}\).*/\1/p')"
    name="$(text "$first" name)" kind="$(text "$first" type)" driver="$(text "$first" driver)"
    if [ "$kind" = cpu ]; then
        [ "$(text "$first" backend)" != cpu ] || die "no GPU adapter is here: is its Vulkan driver installed? (VK_DRIVER_FILES names its .json file)"
        [ "$software" = 1 ] || die "the best adapter, $name, is software: what it measures is no GPU's, so nothing is measured"
    fi
    commit="$(cat "$pack/commit")"

    printf 'kernels against their twins on %s\n' "$name" >&2
    local checked
    local code=0
    checked="$(timeout 580 "$pack/kernels-vs-twins" --test-threads 4 --skip _on_cooperative 2>&1)" || code=$?
    if [ "$code" != 0 ]; then
        if grep -E '^(test .*FAILED|test result)|panicked' <<<"$checked" >&2; then
            die "kernels compute wrongly on $name: nothing is measured"
        fi
        tail -n 20 <<<"$checked" >&2
        [ "$code" != 124 ] || die "the check of the kernels did not end within 580 s: nothing is measured"
        die "the check of the kernels ended with code $code: nothing is measured"
    fi
    checked="$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' <<<"$checked")"
    [ -n "$checked" ] || die "the check of the kernels did not say what it did"
    # Where these are wrong or not there, loading finds out too, and does without.
    local matrices
    if matrices="$(timeout 300 "$pack/kernels-vs-twins" _on_cooperative --nocapture 2>&1)"; then
        matrices="passed, $(sed -n '/^Cooperative/{p;q}' <<<"$matrices")"
    else
        matrices="not in use: $(sed -n '/panicked at/{n;p;q}' <<<"$matrices")"
    fi

    local rows="" chosen="" failed=0 model at_zero deep line
    for model in "${models[@]}"; do
        printf '%s\n' "$model" >&2
        at_zero="$(bench "$model" -p "$prompt" -g "$generate" -r "$repeat")"
        deep="$(bench "$model" -p 32 -g "$generate" -r 1 --depth "$depth")"
        for line in "$at_zero" "$deep"; do
            if [ "$(text "$line" event)" != bench ]; then
                failed=1
                rows+="| $model | failed: $(text "$line" code) $(text "$line" message) |"$'\n'
                continue 2
            fi
        done
        chosen+="- $model: $(text "$at_zero" variant); $(text "$at_zero" "why this variant")"$'\n'
        rows+="$(awk -v m="$model" -v pre="$(median "$at_zero" prefill_tok_s)" -v dec="$(median "$at_zero" decode_tok_s)" \
            -v far="$(median "$deep" decode_tok_s)" -v w="$(number "$at_zero" weight_bytes_per_token)" \
            -v kv="$(number "$at_zero" kv_bytes_per_token)" -v n="$(number "$at_zero" dispatches_per_token)" \
            -v us="$(number "$at_zero" encode_us_per_dispatch)" -v ready="$(number "$at_zero" ready_ms)" \
            -v pipes="$(number "$at_zero" pipelines)" -v gpu="$(number "$at_zero" gpu_peak_bytes)" -v host="$(number "$at_zero" host_peak_bytes)" \
            'BEGIN { printf "| %s | %.0f | %.1f | %.1f | %.2f | %.1f | %.0f | %.2f | %.1f | %d | %.2f | %.2f |", m, pre, dec, far, far / dec, dec * (w + kv) / 1e9, n, us, ready / 1e3, pipes, gpu / 2^30, host / 2^30 }')"$'\n'
    done

    # Tokens are drawn as by default, not the likeliest.
    local sampled=""
    at_zero="$(bench "${models[0]}" -p 32 -g "$generate" -r "$repeat" --sample)"
    if [ "$(text "$at_zero" event)" = bench ]; then
        sampled="$(median "$at_zero" decode_tok_s) tok/s"
    else
        failed=1 sampled="failed: $(text "$at_zero" code)"
    fi

    # A long context once more with keys and values in half the bytes.
    local narrow=""
    at_zero="$(bench "${models[0]}" -p 32 -g "$generate" -r 1 --kv q8_0)"
    deep="$(bench "${models[0]}" -p 32 -g "$generate" -r 1 --kv q8_0 --depth "$depth")"
    if [ "$(text "$at_zero" event)$(text "$deep" event)" = benchbench ]; then
        narrow="$(awk -v dec="$(median "$at_zero" decode_tok_s)" -v far="$(median "$deep" decode_tok_s)" 'BEGIN { printf "%.1f tok/s, at depth %.1f, %.2f of it", dec, far, far / dec }')"
    else
        failed=1 narrow="failed: $(text "$at_zero" code) $(text "$deep" code)"
    fi

    # The largest of what was measured, in detail.
    local detail="${models[0]}" profile trace
    for model in "${models[@]}"; do case "$model" in llama-8b*) detail="$model" ;; esac done
    printf 'profile of %s\n' "$detail" >&2
    trace="$(mktemp)"
    profile="$(chord bench "synth:$detail" -p "$prompt" -g 16 -r 1 --profile --trace-out "$trace" --device gpu --adapter 0 2>/dev/null)" || {
        failed=1
        profile="the profile failed: ${profile:-no output}"
    }
    if [ -n "${OUT:-}" ] && [ -s "$trace" ]; then gzip -c "$trace" >"$OUT/trace-$detail.json.gz"; fi
    rm -f "$trace"

    local day title file
    day="$(date -u +%F)" title="wasm-chord on $name"
    file="nvidia-$day-${commit// /-}-$(tr -cs 'A-Za-z0-9.' '-' <<<"$name" | sed 's/-*$//')"
    if [ "$kind" = cpu ]; then
        title="NOT A GPU RESULT: bench/nvidia.sh tried out on $name"
        file="software-$file"
    fi
    mkdir -p "$here/results"
    # shellcheck disable=SC2016 # the backticks are Markdown's
    {
        printf '# %s\n\n' "$title"
        printf -- '- Device: %s (%s), driver %s\n' "$name" "$kind" "$driver"
        printf -- '- Commit %s, %s\n' "$commit" "$day"
        printf -- '- Kernels against their CPU twins on this adapter: %s tests passed\n' "$checked"
        printf -- '- Cooperative matrices against them: %s\n' "$matrices"
        printf -- '- Models with made-up weights of real shapes (`bench synth:NAME`); prefill of %s tokens, decode of %s, medians of %s runs; at depth: with %s tokens held\n\n' "$prompt" "$generate" "$repeat" "$depth"
        printf '| model | prefill tok/s | decode tok/s | at depth | at depth ÷ at 0 | decode GB/s | dispatches a token | encoding µs a dispatch | ready s | pipelines | GPU GiB at peak | host GiB at peak |\n'
        printf '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n%s\n' "$rows"
        printf -- '- Tokens sampled as `run` does by default, decode of %s: %s\n' "${models[0]}" "$sampled"
        printf -- '- Keys and values in q8_0, decode of %s: %s\n\n' "${models[0]}" "$narrow"
        printf '## Variants of the kernels\n\n%s\n' "$chosen"
        printf '## Every kernel of %s\n\n```\n%s\n```\n' "$detail" "$profile"
    } >"$here/results/$file.md"
    if [ -n "${OUT:-}" ]; then cp "$here/results/$file.md" "$OUT/"; fi
    printf 'bench/results/%s.md\n' "$file"
    return $failed
}

case "${1:-}" in
pack) make_pack ;;
-*) die "usage: nvidia.sh pack | nvidia.sh [MODEL...]" ;;
*) measure "$@" ;;
esac
