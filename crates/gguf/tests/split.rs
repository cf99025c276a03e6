//! Split models: names of parts, and joining what gguf-py wrote.

use chord_gguf::write::{WriteValue, tiny_llama};
use chord_gguf::{Directory, Error, PartName};

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/split");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn parsed(bytes: &[u8]) -> (Directory, u64) {
    (Directory::parse_file(bytes).unwrap(), bytes.len() as u64)
}

/// The parts by gguf-py.
fn parts() -> Vec<Vec<u8>> {
    let name = PartName::parse("t0-00002-of-00003.gguf").unwrap();
    name.all().map(|name| file(&name)).collect()
}

#[test]
fn names_of_parts() {
    let part = PartName::parse("a-b.Q4_K-00002-of-00012.gguf").unwrap();
    assert_eq!((part.number, part.count), (2, 12));
    let all: Vec<String> = part.all().collect();
    assert_eq!(all.len(), 12);
    assert_eq!(all[0], "a-b.Q4_K-00001-of-00012.gguf");
    assert_eq!(all[11], "a-b.Q4_K-00012-of-00012.gguf");
    for whole in [
        "",
        ".gguf",
        "model.gguf",
        "m-00001-of-00001.gguf",
        "m-00000-of-00002.gguf",
        "m-00003-of-00002.gguf",
        "m-0001-of-00002.gguf",
        "m-00001-of-00002.bin",
        "m-+0001-of-00002.gguf",
        "m-00001-of-0000é.gguf",
        "00001-of-00002.gguf",
    ] {
        assert_eq!(PartName::parse(whole), None, "{whole}");
    }
}

#[test]
fn joined_parts_have_the_tensors_of_the_whole() {
    let (whole, bytes) = (file("t0.gguf"), parts().concat());
    assert_eq!(whole, tiny_llama().to_bytes());
    let whole = (Directory::parse_file(&whole).unwrap(), whole);
    let joined = Directory::join(parts().iter().map(|part| parsed(part))).unwrap();
    assert_eq!(joined.parts(), 3);
    assert_eq!(joined.tensors().len(), whole.0.tensors().len());
    assert_eq!(joined.str("general.architecture").unwrap(), "llama");
    for want in whole.0.tensors() {
        let got = joined.tensor(&want.name).unwrap();
        assert_eq!((got.ty, got.dims), (want.ty, want.dims), "{}", want.name);
        let data =
            |bytes: &[u8], offset: u64| bytes[offset as usize..][..want.bytes as usize].to_vec();
        assert_eq!(
            data(&bytes, got.offset),
            data(&whole.1, want.offset),
            "{}",
            want.name
        );
    }
    joined.check_file_len(bytes.len() as u64).unwrap();
    let cut = joined.check_file_len(bytes.len() as u64 - 600).unwrap_err();
    assert_eq!(cut.code(), "E_TRUNCATED");
    // A whole file passes as it is.
    let one = Directory::join([(whole.0.clone(), 0)]).unwrap();
    assert_eq!(one, whole.0);
}

#[test]
fn parts_in_a_wrong_place_or_of_another_model_are_refused() {
    let read: Vec<_> = parts().iter().map(|part| parsed(part)).collect();
    let join = |order: &[usize]| Directory::join(order.iter().map(|i| read[*i].clone()));
    for (order, part, says) in [
        (&[0, 2, 1][..], 2, "part 3 of 3, not 2 of 3"),
        (&[1, 0, 2], 1, "part 2 of 3, not 1 of 3"),
        (&[0, 1], 1, "part 1 of 3, not 1 of 2"),
        (&[0, 1, 2, 2], 1, "not 1 of 4"),
    ] {
        let error = join(order).unwrap_err();
        assert!(
            matches!(error, Error::Split { part: p, .. } if p == part),
            "{error}"
        );
        assert_eq!((error.code(), error.offset()), ("E_SPLIT", None));
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.help().contains("all parts"), "{}", error.help());
    }
    let mut twice = tiny_llama();
    twice
        .set("split.no", WriteValue::U16(1))
        .set("split.count", WriteValue::U16(2));
    let mut first = tiny_llama();
    first
        .set("split.no", WriteValue::U16(0))
        .set("split.count", WriteValue::U16(2));
    let first = parsed(&first.to_bytes());
    let error = Directory::join([first.clone(), parsed(&twice.to_bytes())]).unwrap_err();
    assert_eq!(error.code(), "E_NAME_DUP");
    let error = Directory::join([first.clone(), parsed(&file("t0.gguf"))]).unwrap_err();
    assert!(
        error.to_string().contains("does not say that it is a part"),
        "{error}"
    );
    // Of another model with as many parts, and other tensors.
    twice.tensors.truncate(1);
    twice.tensors[0].name = b"other".to_vec();
    let mut counted = tiny_llama();
    counted
        .set("split.no", WriteValue::U16(0))
        .set("split.count", WriteValue::U16(2))
        .set("split.tensors.count", WriteValue::I32(99));
    let error = Directory::join([parsed(&counted.to_bytes()), parsed(&twice.to_bytes())]);
    assert!(error.unwrap_err().to_string().contains("99 tensors in all"));
}
