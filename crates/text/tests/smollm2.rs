//! Equal to llama.cpp on SmolLM2-135M-Instruct Q4_1. The file is fetched by `just setup`; a test fails without it.

mod common;

use std::path::PathBuf;

use chord_gguf::Directory;
use chord_text::Tokenizer;
use common::{check_tok, directory};

fn smollm2() -> Directory {
    let path = std::env::var_os("WASM_CHORD_SMOLLM2").map_or_else(
        || {
            let home = std::env::var_os("HOME")
                .expect("HOME is not set; set WASM_CHORD_SMOLLM2 to the model file");
            PathBuf::from(home).join(".cache/wasm-chord/models/SmolLM2-135M-Instruct.Q4_1.gguf")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is missing: `just setup` fetches it, or set WASM_CHORD_SMOLLM2",
        path.display()
    );
    directory(&path)
}

#[test]
fn ids_pieces_and_texts() {
    let tok = Tokenizer::from_directory(&smollm2()).unwrap();
    assert_eq!(tok.describe(), "gpt2/smollm, 49152 tokens");
    assert_eq!(check_tok("tok/SmolLM2-135M-Instruct.Q4_1.json", &tok), 70);
}
