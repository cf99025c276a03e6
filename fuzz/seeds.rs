//! `cargo run --release --example seeds -- FOLDER`: writes FOLDER/gguf_header/tiny, the smallest complete llama file.
//! The other targets build their files from the input and need no seed but a template's text.

use std::path::Path;
use std::{env, fs, io};

use chord_gguf::write::{FileSpec, WriteValue, tiny_llama};

const TEMPLATES: [(&str, &str); 3] = [
    (
        "chatml",
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m.content|trim + '<|im_end|>' + '\n' }}{% endfor %}\
         {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ),
    (
        "macro",
        "{% macro f(x) %}{{ x|tojson }}{% endmacro %}{% set ns = namespace(n=0) %}{% for m in messages if m.role != 'system' %}\
         {% set ns.n = ns.n + loop.index %}{{ f(m) }}{{ raise_exception('odd') if ns.n > 9 }}{% endfor %}",
    ),
    (
        "grow",
        "{% set s = 'x' %}{% for i in range(99) %}{% set s = s ~ s %}{{ s.split('x')|length }}{% endfor %}",
    ),
];

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).expect("usage: seeds FOLDER");
    let folder = Path::new(&folder);
    let whole = tiny_llama();
    let mut header = whole.clone();
    header.tensors.clear();
    for (name, spec) in [
        ("tiny", whole),
        ("no_tensors", header),
        ("every_type", every_type()),
    ] {
        let cut = [7]; // the target's first byte: how the file is cut into pieces
        write(
            folder,
            "gguf_header",
            name,
            &[&cut, spec.to_bytes().as_slice()].concat(),
        )?;
    }
    for (name, template) in TEMPLATES {
        write(folder, "template", name, template.as_bytes())?;
    }
    write(
        folder,
        "tokenizer",
        "text",
        b"\x01\x01\x01\x00Hello, w\xc3\xb6rld 123  \xe2\x96\x81x",
    )
}

/// A header with a metadata entry of every value type.
fn every_type() -> FileSpec {
    let mut spec = FileSpec::default();
    for (key, value) in [
        ("a", WriteValue::U8(1)),
        ("b", WriteValue::I8(-1)),
        ("c", WriteValue::U16(2)),
        ("d", WriteValue::I16(-2)),
        ("e", WriteValue::U32(3)),
        ("f", WriteValue::I32(-3)),
        ("g", WriteValue::F32(0.5)),
        ("h", WriteValue::Bool(true)),
        ("i", WriteValue::str("text")),
        ("j", WriteValue::U64(4)),
        ("k", WriteValue::I64(-4)),
        ("l", WriteValue::F64(0.25)),
        ("m", WriteValue::strs(&["one", "", "three"])),
        ("n", WriteValue::U8Array(vec![1, 2, 3])),
        ("o", WriteValue::F32Array(vec![1.0])),
        ("p", WriteValue::BoolArray(vec![true, false])),
    ] {
        spec.push(key, value);
    }
    spec
}

fn write(folder: &Path, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = folder.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
