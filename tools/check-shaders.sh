#!/usr/bin/env bash
# Writes every shader permutation to files, then has Tint judge them: in Chromium
# (tint-check.mjs), and with the `tint` command where there is one. naga has judged them when the crate was built.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
shaders="$target/shaders"
rm -rf "$shaders"
# The whole workspace's features are the tests': what is built here is theirs too.
cargo build --quiet --release --locked --workspace --example dump_shaders
"$target/release/examples/dump_shaders" "$shaders"

code=0
node tools/tint-check.mjs "$shaders/browser" || code=1
if have tint; then
    find "$shaders/browser" -name '*.wgsl' -print0 | xargs -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" tint --format wgsl -o /dev/null || code=1
    say "tint on the PATH judged them too"
fi
exit $code
