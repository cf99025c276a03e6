//! `adapters`: what this machine could run on.

use serde_json::json;

use crate::args::AdaptersArgs;
use crate::error::{Error, exit};
use crate::out::Out;
use chord_kernels::gpu::{AdapterInfo, list_adapters};

pub fn run(args: &AdaptersArgs) -> Result<u8, Error> {
    let adapters = pollster::block_on(list_adapters());
    let mut out = Out::stdout();
    if args.json {
        let list: Vec<_> = adapters.iter().map(to_json).collect();
        out.json(&json!({"adapters": list}))?;
    } else {
        for a in &adapters {
            out.line(&format!("{}  ({}, {})", a.name, a.backend, a.kind))?;
        }
        out.flush()?;
    }
    if adapters.is_empty() {
        Err(Error::NoAdapter)
    } else {
        Ok(exit::OK)
    }
}

/// As in the `done` event of `run`.
pub fn to_json(a: &AdapterInfo) -> serde_json::Value {
    json!({"name": a.name, "backend": a.backend, "type": a.kind})
}
