//! Equal to llama.cpp on the tiny model's vocabulary (tests/data/tok, provenance in tests/data/PROVENANCE.md).

mod common;

use chord_text::Tokenizer;
use common::{check_tok, data, directory};

#[test]
fn v2k_ids_pieces_and_texts() {
    let tok = Tokenizer::from_directory(&directory(&data("models/v2k-llama-Q4_K_M.gguf"))).unwrap();
    assert_eq!(tok.describe(), "gpt2/smollm, 2048 tokens");
    assert_eq!(check_tok("tok/v2k-llama-F16.json", &tok), 70);
}
