#!/usr/bin/env bash
# fuzz.sh SECONDS [TARGET...]: fuzzes each target for that long and prints the number of executions. A crash ends it with 1;
# its input stays under fuzz/artifacts/. The corpus grows in the cache folder, so that every run goes on where the last one ended.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
seconds="${1:-60}"
shift || true
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || die "usage: just fuzz SECONDS" 2

if [ $# -eq 0 ]; then set -- gguf_header tokenizer template; fi
have c++ || install_packages "a C++ compiler, for libFuzzer" g++
cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz </dev/null >&2
# libFuzzer's instrumentation is a compiler flag of nightly; the stable compiler has it too, behind this variable.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$target/fuzz"
corpus="$cache/fuzz"
cargo run --quiet --release --manifest-path fuzz/Cargo.toml --example seeds -- "$corpus"

code=0 counts=()
for name in "$@"; do
    say "== fuzzing $name for $seconds s"
    log="$CARGO_TARGET_DIR/$name.log"
    # No address sanitizer: the crates under test forbid unsafe code. A hang of 10 s or 2 GiB of memory is a crash.
    if ! cargo fuzz run --release --sanitizer none "$name" "$corpus/$name" -- -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 </dev/null >"$log" 2>&1; then
        code=1
        tail -n 40 "$log" >&2
    fi
    counts+=("$(printf '%-12s %12s executions' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)")")
done
printf '%s\n' "${counts[@]}"
exit $code
