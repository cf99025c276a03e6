//! Collects `shaders/` for `shaders.rs`: every text by its file's name. Comments are left out, as they would be a hundredth of what a
//! browser fetches; their lines stay, so that an error's line is the file's.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

#[path = "src/fingerprint.rs"]
mod fingerprint;

fn main() {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let out = std::env::var("OUT_DIR").expect("set by cargo");
    let shaders = Path::new(&manifest).join("../../shaders");
    println!("cargo:rerun-if-changed={}", shaders.display());
    let mut arms = String::new();
    for folder in [shaders.clone(), shaders.join("shared")] {
        let files = fs::read_dir(&folder).expect("shaders are there");
        let mut files: Vec<_> = files.map(|f| f.expect("readable").path()).collect();
        files.sort();
        for file in files
            .iter()
            .filter(|f| f.extension().is_some_and(|e| e == "wgsl"))
        {
            let name = file
                .file_stem()
                .and_then(|n| n.to_str())
                .expect("a plain name");
            let text = fs::read_to_string(file).expect("readable");
            // WGSL has no strings: two slashes are a comment wherever they are.
            let code = |line: &str| {
                line.split("//")
                    .next()
                    .unwrap_or_default()
                    .trim_end()
                    .to_owned()
            };
            let text: Vec<String> = text.lines().map(code).collect();
            writeln!(arms, "        {name:?} => {:?},", text.join("\n")).expect("memory");
        }
    }
    // The names and the texts, as they are written above: none runs into the next.
    let print = fingerprint::fingerprint(arms.as_bytes());
    let source = format!(
        "/// Of all texts in `shaders/`, comments left out: what was measured or kept with other texts counts for nothing.\n\
         pub const FINGERPRINT: u64 = {print:#018x};\n\n\
         /// The text of a shader, or of a part that shaders import, by its file's name.\n\
         fn source(name: &str) -> Option<&'static str> {{\n    Some(match name {{\n{arms}        _ => return None,\n    }})\n}}\n"
    );
    fs::write(Path::new(&out).join("sources.rs"), source).expect("written");
}
