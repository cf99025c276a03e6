//! `tokenize` with a cache of its own: what makes the command fetch a model without a GPU.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::{Ended, Scratch, command, tiny};

pub fn model() -> Vec<u8> {
    std::fs::read(tiny()).expect("test model")
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// `tokenize MODEL Hello --json` with its own cache.
pub fn tokenize(cache: &Scratch, model: &str, more: &[&str]) -> Ended {
    let mut args = vec!["tokenize", model, "Hello", "--json"];
    args.extend(more);
    Ended::of(
        command(args)
            .env("WASM_CHORD_CACHE", cache.path(""))
            .output()
            .expect("the command starts"),
    )
}

#[track_caller]
pub fn ids(ended: Ended) -> serde_json::Value {
    ended.code(0).json()["tokens"].clone()
}

/// The finished models in a cache.
pub fn finished(cache: &Scratch) -> Vec<PathBuf> {
    cache
        .files()
        .into_iter()
        .filter(|f| f.ends_with(".gguf"))
        .map(|f| cache.path(&f))
        .collect()
}

#[track_caller]
pub fn assert_exact(cache: &Scratch) {
    let files = finished(cache);
    assert_eq!(files.len(), 1, "{:?}", cache.files());
    assert!(
        std::fs::read(&files[0]).expect("readable") == model(),
        "the cached file is not the model"
    );
    assert!(
        !cache.files().iter().any(|f| f.contains(".part")),
        "{:?}",
        cache.files()
    );
}
