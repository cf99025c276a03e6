//! gguf-rs-lib as a strict second opinion: its type table, its reader and its writer against ours.

use std::io::Cursor;

use chord_gguf::write::tiny_llama;
use chord_gguf::{Array, Directory, TensorType, UnknownType, Value};
use gguf_rs_lib::format::metadata::{MetadataArray, MetadataValue};
use gguf_rs_lib::format::types::GGUFTensorType;
use gguf_rs_lib::prelude::{GGUFBuilder, GGUFFileReader};

#[test]
fn type_tables_agree_on_every_id() {
    let mut known = 0;
    for id in 0..1024 {
        match (TensorType::from_id(id), GGUFTensorType::from_u32(id)) {
            (Ok(ours), Ok(theirs)) => {
                known += 1;
                assert_eq!(ours.id(), id);
                assert_eq!(ours.name(), theirs.name(), "name of {id}");
                assert_eq!(ours.block_len(), theirs.block_size() as u64, "{ours}");
                assert_eq!(
                    Some(ours.block_bytes()),
                    theirs.block_size_bytes().map(|bytes| bytes as u64),
                    "{ours}"
                );
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("id {id}: {ours:?} here, {theirs:?} there"),
        }
    }
    assert_eq!(known, 35);
    assert_eq!(TensorType::all().count(), 35);
    // A variant without a row of its own would answer with another type's.
    assert!(TensorType::all().all(|ty| TensorType::from_id(ty.id()) == Ok(ty)));
    assert_eq!(TensorType::from_id(4), Err(UnknownType::Removed("Q4_2")));
    assert_eq!(TensorType::from_id(43), Err(UnknownType::Unassigned));
}

fn same_value(key: &str, ours: &Value<'_>, theirs: &MetadataValue) {
    match (ours, theirs) {
        (Value::U8(a), MetadataValue::U8(b)) => assert_eq!(a, b, "{key}"),
        (Value::I8(a), MetadataValue::I8(b)) => assert_eq!(a, b, "{key}"),
        (Value::U16(a), MetadataValue::U16(b)) => assert_eq!(a, b, "{key}"),
        (Value::I16(a), MetadataValue::I16(b)) => assert_eq!(a, b, "{key}"),
        (Value::U32(a), MetadataValue::U32(b)) => assert_eq!(a, b, "{key}"),
        (Value::I32(a), MetadataValue::I32(b)) => assert_eq!(a, b, "{key}"),
        (Value::U64(a), MetadataValue::U64(b)) => assert_eq!(a, b, "{key}"),
        (Value::I64(a), MetadataValue::I64(b)) => assert_eq!(a, b, "{key}"),
        (Value::F32(a), MetadataValue::F32(b)) => assert_eq!(a.to_bits(), b.to_bits(), "{key}"),
        (Value::F64(a), MetadataValue::F64(b)) => assert_eq!(a.to_bits(), b.to_bits(), "{key}"),
        (Value::Bool(a), MetadataValue::Bool(b)) => assert_eq!(a, b, "{key}"),
        (Value::Str(a), MetadataValue::String(b)) => assert_eq!(*a, b.as_bytes(), "{key}"),
        (Value::Array(a), MetadataValue::Array(b)) => same_array(key, a, b),
        (ours, theirs) => panic!("{key}: {ours:?} here, {theirs:?} there"),
    }
}

fn same_array(key: &str, ours: &Array<'_>, theirs: &MetadataArray) {
    assert_eq!(ours.len(), theirs.len(), "{key}");
    for (a, b) in ours.iter().zip(theirs.iter()) {
        same_value(key, &a, b);
    }
}

/// Everything of `bytes`, read by both.
fn same_file(name: &str, bytes: &[u8]) {
    let ours = Directory::parse_file(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let theirs =
        GGUFFileReader::new(Cursor::new(bytes)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(ours.n_kv(), theirs.metadata().len(), "{name}");
    for (key, value) in ours.metadata() {
        let other = theirs
            .metadata()
            .get(key)
            .unwrap_or_else(|| panic!("{name}: {key} is missing there"));
        same_value(key, &value, other);
    }
    assert_eq!(ours.data_offset(), theirs.tensor_data_offset(), "{name}");
    assert_eq!(
        u64::from(ours.alignment()),
        theirs.tensor_alignment(),
        "{name}"
    );
    assert_eq!(ours.tensors().len(), theirs.tensor_count(), "{name}");
    for tensor in ours.tensors() {
        let other = theirs
            .get_tensor_info(&tensor.name)
            .unwrap_or_else(|| panic!("{name}: {}", tensor.name));
        assert_eq!(
            tensor.ty.name(),
            other.tensor_type().name(),
            "{}",
            tensor.name
        );
        assert_eq!(
            tensor.bytes,
            other.checked_expected_data_size().unwrap(),
            "{}",
            tensor.name
        );
        assert_eq!(
            tensor.offset,
            ours.data_offset() + other.data_offset(),
            "{}",
            tensor.name
        );
        assert_eq!(tensor.elements(), other.element_count(), "{}", tensor.name);
    }
}

#[test]
fn written_and_real_files_read_the_same() {
    same_file("T0", &tiny_llama().to_bytes());
    for name in ["llama", "llama-e288", "llama-ropefreqs", "llama-yarn"] {
        let path = format!(
            "{}/../../tests/data/models/v2k-{name}-Q4_K_M.gguf",
            env!("CARGO_MANIFEST_DIR")
        );
        same_file(
            name,
            &std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")),
        );
    }
}

#[test]
fn their_writer_our_reader() {
    let values: Vec<u8> = (0..64 * 2).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let (bytes, _) = GGUFBuilder::new()
        .add_metadata(
            "general.architecture",
            MetadataValue::String("llama".to_owned()),
        )
        .add_metadata("some.flag", MetadataValue::Bool(true))
        .add_metadata("some.count", MetadataValue::U64(7))
        .add_tensor("a.weight", vec![64, 2], GGUFTensorType::F32, values.clone())
        .unwrap()
        .add_tensor("b.weight", vec![32], GGUFTensorType::Q8_0, vec![1; 34])
        .unwrap()
        .add_tensor("c.weight", vec![3], GGUFTensorType::F16, vec![2; 6])
        .unwrap()
        .build_to_bytes()
        .unwrap();
    same_file("theirs", &bytes);
    let directory = Directory::parse_file(&bytes).unwrap();
    assert_eq!(directory.u32("some.count").unwrap(), 7);
    let tensor = directory.tensor("a.weight").unwrap();
    assert_eq!(bytes[tensor.offset as usize..tensor.end() as usize], values);
}
