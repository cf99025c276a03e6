#!/usr/bin/env bash
# demo.sh [FLAGS OF vite preview]: builds the chat page and serves it, with the default model beside it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
model="$(tools/default-model.sh)"
VITE_MODEL_URL="models/$(basename "$model")" tools/web.sh
mkdir -p web/dist/models
ln -sf "$model" web/dist/models/
exec npm run --silent preview -w web -- "$@"
