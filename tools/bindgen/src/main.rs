//! `bindgen IN.wasm OUT_FOLDER`: the wasm-bindgen glue for a module script, with types.

use anyhow::Context as _;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || {
        arguments
            .next()
            .context("usage: bindgen IN.wasm OUT_FOLDER")
    };
    let (input, out) = (next()?, next()?);
    Bindgen::new()
        .input_path(input)
        .web(true)?
        .typescript(true)
        .generate(out)
}
