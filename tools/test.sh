#!/usr/bin/env bash
# test.sh quick|full: sets up and runs all tests, goes on after a failure, and ends with what ran and `N passed, N failed`.
# quick: every test but those of files named full_*: on the CPU all that use a device, but those named *_on_gpu*; on lavapipe the rest, but
#        *_on_cpu*, and what is about kernels, plans and pages, with tiny models where there is a test with one; on SwiftShader those
#        named *_on_both, but for the two longest; each kernel on lavapipe once more, with shaders that check indices, loops and divisors as they run.
# full:  those too, and every test of the crates that use the GPU on both adapters.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
mode="${1:-quick}"
gpu_crates='package(chord-kernels) | package(chord-model) | package(chord-runtime) | package(wasm-chord)'
case "$mode" in
quick)
    # Two minutes on SwiftShader each, nearly all of it compiling: lavapipe runs them too.
    long='test(/^(families::logits_of_families_with_kernels|sharded::a_tied_head)/)'
    profile=default both="test(/_on_both/) - ($long)"
    # SmolLM2 takes lavapipe half a minute a test; each weight type's kernels are tested by themselves; what becomes of text, and what the
    # command does, no device decides.
    on_cpu_only='test(/^(kv_[a-z]+|static_plan|speculation)::(smollm2|families|ring)_/) | test(/^(text_edges|resume|weight_types)::/) | (package(wasm-chord) & test(/^(engine|logits|split|terminal|download_used)::/))'
    lavapipe="all() - (($on_cpu_only) - test(/_on_(gpu|both)/)) - test(/_on_cpu/)"
    ;;
# Perplexity over 900 tokens takes SwiftShader half an hour and says nothing that the goldens do not.
full) profile=full lavapipe='all() - test(/_on_cpu/)' both="($gpu_crates) - test(/^full_perplexity::|_on_cpu/)" ;;
*) die "usage: test.sh quick|full" 2 ;;
esac
# Integration tests that use a device; the modules left out use none, and lavapipe's run has them.
# Each kernel, and each weight type's decoder, in a minute: the long ones are long because they compile so many permutations.
checked_kernels='package(chord-kernels) & test(/^(sample|hostile|float16_traps)::|::(embedding_rows|plain_rows|a_grid|attention_taps|attention_over|kv_writer|norms_of|routes_are|biases_of|capped)/)'
hosts='test(/^(shaders|sample_twin|sampler|kv_pages_model|command|download|download_refused|inspect)::/) | test(/twins_equals_a_dense/)'
on_cpu="($gpu_crates) & (kind(test) | test(/^cmd::recovery::/)) - package(chord-model) - test(/_on_gpu/) - ($hosts)"

summary=() passed=0 failed=0
note() { # note WHAT PASSED FAILED STARTED
    summary+=("$(printf '%-42s %5d passed %4d failed %6d s' "$1" "$2" "$3" $((SECONDS - $4)))")
    passed=$((passed + $2)) failed=$((failed + $3))
}

# A check that counts no tests: nothing when it passes, one failure when it does not.
check() { # check WHAT COMMAND...
    local what="$1" started=$SECONDS bad=0
    shift
    say "== $what"
    "$@" </dev/null || bad=1
    note "$what" 0 $bad $started
    return $bad
}

# Tests run and failed, out of JUnit's <testsuites tests="35" skipped="0" failures="1" errors="0" ...>.
counts() { # counts REPORT
    local line
    line="$(grep -m 1 '<testsuites ' "$1" 2>/dev/null || true)"
    attribute() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$line"; }
    echo "$(($(attribute tests) + 0)) $(($(attribute failures) + $(attribute errors) + 0))"
}

suite() { # suite lavapipe|lavapipe-checked|swiftshader|cpu|cpu-LEVEL FILTER
    local started=$SECONDS code=0 all bad device=gpu driver checked=0
    # On the CPU no driver is there: nothing may look for a GPU. Level 0 is its best instructions, the last level plain code.
    case "$1" in
    cpu*) device=cpu driver=/nonexistent/no-driver.json ;;
    *) driver="$(icd_file "${1%-checked}")" ;;
    esac
    case "$1" in *-checked) checked=1 ;; esac
    # nextest keeps its reports in the workspace, wherever the build goes.
    local report="$root/target/nextest/$profile/junit.xml"
    say "== tests on $1: $2"
    rm -f "$report"
    WASM_CHORD_TEST_DEVICE=$device WASM_CHORD_TEST_LEVEL="$(tr -cd 0-9 <<<"$1")" WASM_CHORD_TEST_ICD="${1%-checked}" VK_DRIVER_FILES="$driver" \
        WASM_CHORD_TEST_CHECKED=$checked cargo nextest run --release --locked --workspace --profile "$profile" -E "$2" </dev/null || code=$?
    read -r all bad <<<"$(counts "$report")"
    # No report: it did not build, or no test was selected. Neither may look like a pass.
    if [ "$all" = 0 ] || { [ "$code" != 0 ] && [ "$bad" = 0 ]; }; then all=$((all + 1)) bad=$((bad + 1)); fi
    note "tests on $1" $((all - bad)) "$bad" "$started"
}

doc_tests() {
    local started=$SECONDS code=0 good bad log="$target/doc-tests.log"
    say "== documentation examples"
    cargo test --doc --release --locked --workspace </dev/null 2>&1 | tee "$log" || code=1
    read -r good bad <<<"$(awk '/^test result:/ { good += $4; bad += $6 } END { print good + 0, bad + 0 }' "$log")"
    if [ $code != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    note "documentation examples" "$good" "$bad" "$started"
}

# The package's own tests, then a real Chromium's.
package_tests() {
    local started=$SECONDS code=0 good bad log="$target/package-tests.log"
    say "== npm package: types, packing, unit tests, examples"
    {
        npm run --silent check -w pkg && npm run --silent check -w web && npx tsc --noEmit -p tests/browser &&
            npm run --silent test:examples -w pkg &&
            npm run --silent test -w pkg
    } </dev/null 2>&1 | tee "$log" || code=1
    read -r good bad <<<"$(awk '$2 == "pass" { good += $3 } $2 == "fail" { bad += $3 } END { print good + 0, bad + 0 }' "$log")"
    if [ $code != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    note "npm package" "$good" "$bad" "$started"
}

browser_tests() {
    local started=$SECONDS code=0 good bad report="$target/browser-tests.json"
    say "== tests in Chromium"
    rm -f "$report"
    PLAYWRIGHT_JSON_OUTPUT_NAME="$report" npx playwright test --config tests/browser/playwright.config.ts --reporter list,json \
        </dev/null || code=1
    read -r good bad <<<"$(node -e 'const s = JSON.parse(require("fs").readFileSync(process.argv[1])).stats; console.log(s.expected, s.unexpected + s.flaky + s.skipped)' "$report" || echo "0 1")"
    if [ $code != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    note "tests in Chromium" "$good" "$bad" "$started"
}

tools/setup.sh run web test
WASM_CHORD_SMOLLM2="$(tools/default-model.sh)"
export WASM_CHORD_SMOLLM2
if [ "$mode" = full ]; then
    WASM_CHORD_LLAMA_VOCABS="$(tools/llama-vocabs.sh)"
    WASM_CHORD_GEMMA3="$(tools/gemma3.sh)"
    WASM_CHORD_LLAMA_TEMPLATES="$WASM_CHORD_LLAMA_VOCABS/templates"
    export WASM_CHORD_LLAMA_VOCABS WASM_CHORD_LLAMA_TEMPLATES WASM_CHORD_GEMMA3 WASM_CHORD_FULL=1
fi
unset VK_ICD_FILENAMES VK_ADD_DRIVER_FILES

# The browser's build is mostly one thread of link-time optimisation: beside the tests it costs less than after them.
mkdir -p "$target"
web_log="$target/web-build.log"
tools/size.sh package >"$web_log" 2>&1 </dev/null &
web_build=$!
trap 'kill "$web_build" 2>/dev/null || true' EXIT
built() {
    wait "$web_build" || { cat "$web_log" >&2 && return 1; }
    tail -n 8 "$web_log"
}

check "formatting and lints" tools/check.sh || true
check "shaders through Tint" tools/check-shaders.sh || true
suite lavapipe "$lavapipe"
suite lavapipe-checked "$checked_kernels"
suite swiftshader "$both"
suite cpu "$on_cpu"
for level in 1 2; do suite "cpu-$level" "package(chord-kernels) & ($on_cpu)"; done
doc_tests
# In the folders of the browser's builds: earlier it would wait for them.
check "vectors in WebAssembly and on ARM" tools/check-simd.sh || true
# Without a package there is nothing for the others to try: they would only wait for it, one after another.
if check "npm package and chat page: build, size" built; then
    package_tests
    browser_tests
fi

printf '\n== %s tests: what ran\n' "$mode"
printf '%s\n' "${summary[@]}"
[ "$failed" = 0 ] || printf 'not everything passed: the first failure above says why\n'
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
