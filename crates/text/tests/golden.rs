//! Equal to llama.cpp on the tiny model's vocabulary (tests/data/tok, provenance in tests/data/PROVENANCE.md).

mod common;

use chord_text::{Tokenizer, VocabSpec};
use common::{check_control_texts, check_tok, data, directory};

#[test]
fn v2k_ids_pieces_and_texts() {
    let tok = Tokenizer::from_directory(&directory(&data("models/v2k-llama-Q4_K_M.gguf"))).unwrap();
    assert_eq!(tok.describe(), "gpt2/smollm, 2048 tokens");
    assert_eq!(check_tok("tok/v2k-llama-F16.json", &tok), 70);
}

/// Row 99 for byte-level vocabularies, whatever cuts the words.
#[test]
fn what_users_type_is_no_control_token() {
    let d = directory(&data("models/v2k-llama-Q4_K_M.gguf"));
    for pre in [
        "gpt-2",
        "smollm",
        "falcon",
        "llama-bpe",
        "qwen35",
        "gpt-4o",
        "tekken",
        "deepseek-llm",
        "deepseek-v3",
        "bloom",
    ] {
        let mut spec = VocabSpec::from_directory(&d).unwrap();
        spec.pre = Some(pre.into());
        assert!(
            check_control_texts(&Tokenizer::new(&spec).unwrap()) > 3,
            "{pre}"
        );
    }
}
