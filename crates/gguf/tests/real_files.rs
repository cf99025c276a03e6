//! The tiny llama files of the repository, and the written T0, read back as they should be.

use chord_gguf::write::{TINY_TOKENS, tiny_llama};
use chord_gguf::{Directory, Parser, Progress, TensorType, Value};

fn model(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../tests/data/models/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn v2k_llama() {
    let bytes = model("v2k-llama-Q4_K_M.gguf");
    let directory = Directory::parse_file(&bytes).unwrap();
    assert_eq!(directory.version(), 3);
    assert_eq!(directory.alignment(), 32);
    assert_eq!(directory.str("general.architecture").unwrap(), "llama");
    assert_eq!(directory.tensors().len(), 20);
    let count = |ty| {
        directory
            .tensors()
            .iter()
            .filter(|tensor| tensor.ty == ty)
            .count()
    };
    assert_eq!(
        (
            count(TensorType::F32),
            count(TensorType::Q4_K),
            count(TensorType::Q6_K)
        ),
        (5, 12, 3)
    );
    let sum = |ty| {
        directory
            .tensors()
            .iter()
            .filter(|tensor| tensor.ty == ty)
            .map(|tensor| tensor.bytes)
            .sum::<u64>()
    };
    // llama.cpp's own reader's figures for this file.
    assert_eq!(
        (
            sum(TensorType::F32),
            sum(TensorType::Q4_K),
            sum(TensorType::Q6_K)
        ),
        (5120, 571_392, 564_480)
    );
    assert_eq!(
        directory.str_array("tokenizer.ggml.tokens").unwrap().len(),
        2048
    );
    let end = directory
        .tensors()
        .iter()
        .map(|tensor| tensor.end())
        .max()
        .unwrap();
    assert_eq!(end.next_multiple_of(32), bytes.len() as u64);
}

#[test]
fn every_file_parses_from_its_header_alone_and_whole() {
    for name in ["llama", "llama-e288", "llama-ropefreqs", "llama-yarn"] {
        let bytes = model(&format!("v2k-{name}-Q4_K_M.gguf"));
        let whole = Directory::parse_file(&bytes).unwrap();
        let prefix = Directory::parse(&bytes[..whole.header_bytes()]).unwrap();
        assert_eq!(whole, prefix, "{name}");
        let short = Directory::parse(&bytes[..whole.header_bytes() - 1]).unwrap_err();
        assert_eq!(short.code(), "E_TRUNCATED", "{name}");
    }
}

#[test]
fn string_arrays_by_index_and_in_order_agree() {
    let bytes = model("v2k-llama-Q4_K_M.gguf");
    let directory = Directory::parse(&bytes).unwrap();
    let tokens = directory.str_array("tokenizer.ggml.tokens").unwrap();
    let walked: Vec<&[u8]> = tokens.iter().collect();
    assert_eq!(walked.len(), tokens.len());
    for (index, token) in walked.iter().enumerate() {
        assert_eq!(tokens.get(index), Some(*token), "token {index}");
    }
    assert_eq!(tokens.get(tokens.len()), None);
}

#[test]
fn t0_reads_back_field_by_field() {
    let spec = tiny_llama();
    let built = spec.build();
    let directory = Directory::parse_file(&built.bytes).unwrap();
    assert_eq!(directory.data_offset(), built.data_at);
    assert_eq!(directory.n_kv(), spec.metadata.len());
    for ((key, _), want) in directory.metadata().zip(&spec.metadata) {
        assert_eq!(key.as_bytes(), want.key, "metadata keeps its order");
    }
    let tokens = directory.str_array("tokenizer.ggml.tokens").unwrap();
    assert!(
        tokens
            .iter()
            .eq(TINY_TOKENS.iter().map(|token| token.as_bytes()))
    );
    assert_eq!(
        directory.get("tokenizer.ggml.add_bos_token"),
        Some(Value::Bool(true))
    );
    for (tensor, want) in directory.tensors().iter().zip(&spec.tensors) {
        assert_eq!(tensor.name.as_bytes(), want.name);
        assert_eq!(tensor.shape(), want.dims);
        let start = usize::try_from(tensor.offset).unwrap();
        let end = usize::try_from(tensor.end()).unwrap();
        assert_eq!(built.bytes[start..end], want.data);
        assert_eq!(directory.tensor(&tensor.name), Some(tensor));
    }
    assert_eq!(directory.tensor("nope"), None);
    assert_eq!(directory.get("nope"), None);
}

#[test]
fn need_tells_how_much_and_the_header_is_all_that_is_held() {
    let bytes = model("v2k-llama-Q4_K_M.gguf");
    let mut parser = Parser::new(chord_gguf::Limits::DEFAULT);
    let mut at = 0;
    let directory = loop {
        match parser.feed(&bytes[at..bytes.len().min(at + 1000)]).unwrap() {
            Progress::Ready(directory) => break directory,
            Progress::Need(need) => {
                at += 1000;
                assert!(need > at as u64, "asked for {need} with {at} there");
            }
        }
    };
    assert!(directory.header_bytes() <= at + 1000);
    assert_eq!(parser.feed(&bytes).unwrap_err().code(), "E_FINISHED");
    assert_eq!(parser.finish().unwrap_err().code(), "E_FINISHED");
}
