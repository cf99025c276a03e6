//! The `wasm-chord` command.
fn main() {}
