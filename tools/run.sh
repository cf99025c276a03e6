#!/usr/bin/env bash
# run.sh COMMAND ARGS...: sets up, fetches the default model, builds, and runs `wasm-chord COMMAND MODEL ARGS...`
# with the arguments and stdin as they came. WASM_CHORD_MODEL names another model.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command="$1"
shift
"$root/tools/setup.sh" run
model="${WASM_CHORD_MODEL:-}"
[ -n "$model" ] || model="$("$root/tools/default-model.sh")"

binary="$target/release/wasm-chord"
quiet=()
if [ -x "$binary" ] && [ -z "$(cd "$root" && find crates shaders Cargo.toml Cargo.lock -newer "$binary" -print -quit)" ]; then
    quiet=(--quiet)
else
    say "building (the first time takes some minutes)"
fi
# An empty array is an unbound variable to bash before 4.4, which macOS has. Stdin is the prompt's: nothing before the program itself may read it.
cargo build --manifest-path "$root/Cargo.toml" --release --locked -p wasm-chord ${quiet[@]+"${quiet[@]}"} </dev/null >&2

if [ -t 0 ] && [ -t 1 ]; then
    # In a process group of its own, in the foreground: Ctrl-C reaches the program alone. Otherwise npx and just
    # would end at the first one, while the chat goes on without its terminal.
    set -m
    code=0
    "$binary" "$command" "$model" "$@" || code=$?
    # Ctrl-Z stopped it (128 + SIGTSTP): stop everything above it too, and go on together.
    while [ "$code" = 148 ]; do
        kill -TSTP 0
        code=0
        fg >/dev/null || code=$?
    done
    exit "$code"
fi
exec "$binary" "$command" "$model" "$@"
