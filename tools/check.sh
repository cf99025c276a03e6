#!/usr/bin/env bash
# Formatting and lints of the workspace and of the fuzz targets' formatting; changes nothing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
code=0
cargo fmt --all --check || code=1
cargo fmt --manifest-path fuzz/Cargo.toml --check || code=1
cargo clippy --release --locked --workspace --all-targets -- -D warnings || code=1
exit $code
