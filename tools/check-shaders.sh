#!/usr/bin/env bash
# Writes every shader permutation to files, then has Tint judge them: the `tint` command where there is one, which takes a quarter of the
# time, and Chromium those it compiles to pipelines; else Chromium all of them (tint-check.mjs). naga's turn is a unit test.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
shaders="$target/shaders"
rm -rf "$shaders"
# The whole workspace's features are the tests': what is built here is theirs too.
cargo build --quiet --release --locked --workspace --example dump_shaders
"$target/release/examples/dump_shaders" "$shaders"

code=0
if have tint; then
    node tools/tint-check.mjs "$shaders/browser" --cover || code=1
    find "$shaders/browser" -name '*.wgsl' -print0 | xargs -0 -n 1 -P "$(getconf _NPROCESSORS_ONLN)" tint --format wgsl -o /dev/null || code=1
    say "tint on the PATH judged all $(find "$shaders/browser" -name '*.wgsl' | wc -l)"
else
    node tools/tint-check.mjs "$shaders/browser" || code=1
fi
exit $code
