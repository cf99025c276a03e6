#!/usr/bin/env bash
# Writes every shader permutation to files, then has Tint judge them: in Chromium (compiled to pipelines on SwiftShader),
# and with the `tint` command where there is one. naga has judged them when the crate was built.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
shaders="$target/shaders"
rm -rf "$shaders"
cargo run --quiet --release --locked -p chord-kernels --example dump_shaders -- "$shaders"

code=0
node tools/tint-check.mjs "$shaders/browser" || code=1
if have tint; then
    count=0
    for file in "$shaders"/browser/*.wgsl; do
        tint --format wgsl -o /dev/null "$file" || { say "tint refuses $file" && code=1; }
        count=$((count + 1))
    done
    say "tint: $count shaders judged"
fi
exit $code
