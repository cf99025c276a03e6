# Every task of the project. Without `just` installed: npx -y rust-just <recipe>
set positional-arguments

# list the recipes
@default:
    {{ quote(just_executable()) }} --list

# install what running and testing need, fetch the default model
@setup:
    tools/setup.sh run web test

# answer PROMPT with the default model; arguments go to `wasm-chord run` as they are
[no-exit-message]
@run *ARGS:
    tools/run.sh run "$@"

# everything a change must pass, within 20 minutes on two cores
[no-exit-message]
@test:
    tools/test.sh quick

# `test`, the long tests, and every GPU test on both software adapters
[no-exit-message]
@test-full:
    tools/test.sh full

# formatting and lints
[no-exit-message]
@check:
    tools/check.sh

# format all Rust code
@fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# speed and traffic of the default model: `just bench -p 128 -g 32 -r 3`
[no-exit-message]
@bench *ARGS:
    tools/run.sh bench "$@"

# the command beside llama-bench (where that is on PATH), in turn; the table is kept in bench/results: `just bench-native --rounds 5 --busy`
[no-exit-message]
@bench-native *ARGS:
    tools/bench-native.sh run "$@"

# the first token of a fresh process beside plain reading and fetching of the same file; the table is kept in bench/results: `just bench-cold-start --mbit 200,800`
[no-exit-message]
@bench-cold-start *ARGS:
    tools/bench-native.sh cold-start "$@"

# what bench/nvidia.sh needs on a machine with an NVIDIA GPU, no network and no compiler: bench/pack, below 60 MiB
[no-exit-message]
@bench-nvidia-pack:
    bench/nvidia.sh pack

# the package beside wllama, in one run in Chromium; the table is kept in bench/results: `just bench-browser --rounds 3 --tokens 24`, with --gpu on SwiftShader
[no-exit-message]
@bench-browser *ARGS:
    tools/setup.sh run web test
    tools/web.sh
    node bench/browser/run.mjs "$@"

# loading a model of 1 GB from the browser's own cache beside plain reading of the same file, in Chromium on the processor; the table is kept in bench/results
[no-exit-message]
@bench-warm-start *ARGS:
    tools/setup.sh run web test
    tools/web.sh
    node bench/browser/run.mjs warm-start "$@"

# Gemma 3 270M in Chromium, every reference prompt: fetches the model (253 MB, once), takes minutes
[no-exit-message]
@browser-gemma:
    tools/setup.sh run web test
    tools/web.sh
    WASM_CHORD_GEMMA3="$(tools/gemma3.sh)" npx playwright test --config tests/browser/playwright.config.ts --grep gemma-3-270m

# fuzz every target for SECONDS each and print the executions
@fuzz SECONDS="60":
    tools/fuzz.sh "$1"

# the npm package (pkg/dist, ready for `npm pack`) and the chat page (web/dist)
@web:
    tools/web.sh

# build the chat page and serve it: `just demo --port 8080`
[no-exit-message]
@demo *ARGS:
    tools/demo.sh "$@"

# the bytes of the release binary and of the npm package; fails when the package passes 1 MB gzipped
@size:
    tools/size.sh

# the crates' documentation, warnings as errors
@doc *ARGS:
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps "$@"

# the tokenizers beside llama.cpp's on random strings: `just compare-tokenizers --lib libllama.so --vocabs DIR`; tools/tokenizer-compare.py says more
[no-exit-message]
@compare-tokenizers *ARGS:
    tools/tokenizer-compare.py "$@"
