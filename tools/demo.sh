#!/usr/bin/env bash
# demo.sh [FLAGS OF vite preview]: builds the chat page and serves it, with the default model beside it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
tools/web.sh
WASM_CHORD_MODEL_FILE="$(tools/default-model.sh)"
export WASM_CHORD_MODEL_FILE
exec npm run --silent preview -w web -- "$@"
