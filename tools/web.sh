#!/usr/bin/env bash
# web.sh: builds the npm package (pkg/dist, ready for `npm pack`) and the chat page (web/dist).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
tools/setup.sh web
tools/build-web.sh
npm run --silent build -w pkg </dev/null
npm run --silent build -w web </dev/null
