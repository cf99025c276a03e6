//! `adapters`: what this machine could run on.

use serde_json::json;

use crate::args::AdaptersArgs;
use crate::error::{Error, exit};
use crate::out::Out;
use chord_kernels::cpu::Cpu;
use chord_kernels::device::Device;
use chord_kernels::gpu::{AdapterInfo, list_adapters};

/// GPU adapters in the order of their numbers, then the CPU, which has none: `--adapter` names a GPU only.
pub fn run(args: &AdaptersArgs) -> Result<u8, Error> {
    let adapters = pollster::block_on(list_adapters());
    let cpu = Device::Cpu(Cpu::open(None).map_err(chord_runtime::Error::from)?);
    let mut out = Out::stdout();
    if args.json {
        let with_driver = |a: &AdapterInfo| {
            let mut row = to_json(a);
            row["driver"] = json!(a.driver);
            row
        };
        let mut list: Vec<_> = adapters.iter().map(with_driver).collect();
        let mut row = to_json(cpu.info());
        row["instructions"] = json!(cpu.info().driver);
        list.push(row);
        out.json(&json!({"adapters": list}))?;
    } else {
        for a in &adapters {
            out.line(&words(a))?;
        }
        out.line(&format!("{}: --device cpu", words(cpu.info())))?;
        out.flush()?;
    }
    Ok(exit::OK)
}

/// For people: a GPU with its interface and kind, the CPU with its instructions.
pub fn words(a: &AdapterInfo) -> String {
    match a.backend.as_str() {
        "cpu" => format!("{}  ({})", a.name, a.driver),
        backend => format!("{}  ({backend}, {})", a.name, a.kind),
    }
}

/// For programs.
fn to_json(a: &AdapterInfo) -> serde_json::Value {
    json!({"name": a.name, "backend": a.backend, "type": a.kind})
}

/// The device of a loaded model, and why it is that one.
pub fn in_use(a: &AdapterInfo, reason: &str) -> serde_json::Value {
    let mut object = to_json(a);
    object["reason"] = json!(reason);
    object
}
