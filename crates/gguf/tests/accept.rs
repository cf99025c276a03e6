//! Files that must be accepted: the twins of the refused ones, and what strict readers wrongly refuse.

use chord_gguf::write::{FileSpec, TensorSpec, WriteValue, tiny_llama};
use chord_gguf::{Directory, TensorType, Value, ValueType};

fn accept(name: &str, spec: &FileSpec) -> Directory {
    let bytes = spec.to_bytes();
    Directory::parse_file(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn twins_of_refused_files() {
    let mut cases: Vec<(&str, FileSpec)> =
        vec![("nothing in it", FileSpec::default()), ("T0", tiny_llama())];
    let mut add = |name, edit: &dyn Fn(&mut FileSpec)| {
        let mut spec = tiny_llama();
        edit(&mut spec);
        cases.push((name, spec));
    };
    add("version 2", &|spec| {
        spec.version = 2;
    });
    add("no metadata", &|spec| {
        spec.metadata.clear();
    });
    add("no tensors", &|spec| {
        spec.tensors.clear();
    });
    add("unknown keys", &|spec| {
        spec.push("someone.else's key", WriteValue::U64(u64::MAX));
    });
    add("hyphens and capitals", &|spec| {
        spec.push("Some-Key.With_ALL-of~it", WriteValue::Bool(true));
    });
    add("key of 65535 B", &|spec| {
        spec.push(&"k".repeat(65_535), WriteValue::U8(0));
    });
    add("keys that differ in the last letter", &|spec| {
        spec.push("some.keyA", WriteValue::U8(0));
        spec.push("some.keyB", WriteValue::U8(0));
    });
    add("empty array of numbers", &|spec| {
        spec.push("a", WriteValue::F32Array(vec![]));
    });
    add("empty array of strings", &|spec| {
        spec.push("a", WriteValue::StrArray(vec![]));
    });
    add("empty string", &|spec| {
        spec.push("a", WriteValue::str(""));
    });
    add("strings that are not UTF-8", &|spec| {
        spec.push("a", WriteValue::Str(vec![0xff, 0xfe]));
        spec.push("b", WriteValue::StrArray(vec![vec![0xc3], vec![], vec![0]]));
    });
    add("both booleans", &|spec| {
        spec.push("a", WriteValue::BoolArray(vec![true, false]));
    });
    add("name of 64 B", &|spec| {
        spec.tensors
            .push(TensorSpec::f32(&"n".repeat(64), &[1], &[1.0]));
    });
    add("four dimensions", &|spec| {
        spec.tensors
            .push(TensorSpec::f32("t", &[1, 2, 1, 2], &[1.0; 4]));
    });
    add("last tensor without padding", &|spec| {
        spec.tensors.push(TensorSpec::f32("t", &[1], &[1.0]));
        spec.pad_last = false;
    });
    add("entries not in order of their data", &|spec| {
        spec.tensors[0].offset = Some(128);
        spec.tensors[1].offset = Some(0);
        let (first, second) = (spec.tensors[0].data.clone(), spec.tensors[1].data.clone());
        let mut both = second;
        both.extend(first);
        spec.tensors[0].data = both.split_off(128);
        spec.tensors[1].data = both;
    });
    for alignment in [8_usize, 16, 64, 4096, 1 << 20] {
        let mut spec = tiny_llama();
        spec.set("general.alignment", WriteValue::U32(alignment as u32));
        spec.layout_alignment = alignment;
        cases.push(("other alignment", spec));
    }
    let mut spec = tiny_llama();
    spec.remove("general.alignment");
    cases.push(("alignment not stated", spec));
    for (name, spec) in &cases {
        accept(name, spec);
    }
    assert_eq!(cases.len(), 24);
}

#[test]
fn every_tensor_type_with_a_whole_number_of_blocks() {
    for ty in TensorType::all() {
        let (rows, columns) = (3, ty.block_len() * 2);
        let bytes = ty.bytes_for(rows * columns).unwrap();
        assert_eq!(bytes, 6 * ty.block_bytes());
        let mut spec = FileSpec::default();
        spec.tensors.push(TensorSpec::new(
            "t",
            ty,
            &[columns, rows],
            vec![0; bytes as usize],
        ));
        spec.tensors.push(TensorSpec::f32("after", &[1], &[1.0]));
        let directory = accept(ty.name(), &spec);
        let tensor = directory.tensor("t").unwrap();
        assert_eq!(
            (tensor.ty, tensor.bytes, tensor.elements()),
            (ty, bytes, rows * columns)
        );
    }
}

#[test]
fn bytes_after_the_last_tensor() {
    let mut bytes = tiny_llama().to_bytes();
    let plain = Directory::parse_file(&bytes).unwrap();
    bytes.resize(bytes.len() + (1 << 20), 0);
    assert_eq!(Directory::parse_file(&bytes).unwrap(), plain);
}

#[test]
fn values_of_every_type_come_back() {
    let mut spec = FileSpec::default();
    let values = [
        (WriteValue::U8(200), Value::U8(200)),
        (WriteValue::I8(-100), Value::I8(-100)),
        (WriteValue::U16(60_000), Value::U16(60_000)),
        (WriteValue::I16(-30_000), Value::I16(-30_000)),
        (WriteValue::U32(u32::MAX), Value::U32(u32::MAX)),
        (WriteValue::I32(i32::MIN), Value::I32(i32::MIN)),
        (WriteValue::U64(u64::MAX), Value::U64(u64::MAX)),
        (WriteValue::I64(i64::MIN), Value::I64(i64::MIN)),
        (WriteValue::F32(1.5e-30), Value::F32(1.5e-30)),
        (WriteValue::F64(-1.5e300), Value::F64(-1.5e300)),
        (WriteValue::Bool(true), Value::Bool(true)),
        (WriteValue::Bool(false), Value::Bool(false)),
        (WriteValue::str("héllo"), Value::Str("héllo".as_bytes())),
    ];
    for (index, (write, _)) in values.iter().enumerate() {
        spec.push(&format!("key.{index}"), write.clone());
    }
    spec.push("ints", WriteValue::I32Array(vec![1, -2, 3]));
    spec.push("floats", WriteValue::F32Array(vec![0.5, f32::INFINITY]));
    spec.push("strings", WriteValue::strs(&["a", "", "ccc"]));
    spec.push("bools", WriteValue::BoolArray(vec![true, false]));
    let directory = accept("values", &spec);
    for (index, (_, want)) in values.iter().enumerate() {
        assert_eq!(directory.get(&format!("key.{index}")), Some(*want));
    }
    assert!(
        directory
            .opt_i32_array("ints")
            .unwrap()
            .unwrap()
            .eq([1, -2, 3])
    );
    assert!(
        directory
            .opt_f32_array("floats")
            .unwrap()
            .unwrap()
            .eq([0.5, f32::INFINITY])
    );
    assert!(
        directory
            .str_array("strings")
            .unwrap()
            .iter()
            .eq([&b"a"[..], b"", b"ccc"])
    );
    let bools = directory.array("bools").unwrap();
    assert_eq!((bools.len(), bools.elem()), (2, ValueType::Bool));
    assert!(bools.iter().eq([Value::Bool(true), Value::Bool(false)]));
    assert!(
        directory
            .array("strings")
            .unwrap()
            .iter()
            .eq([&b"a"[..], b"", b"ccc"].map(Value::Str))
    );
}

#[test]
fn typed_getters_take_what_fits_and_name_the_key_otherwise() {
    let mut spec = FileSpec::default();
    spec.push("small", WriteValue::I8(5));
    spec.push("large", WriteValue::U64(1 << 40));
    spec.push("minus", WriteValue::I64(-1));
    spec.push("text", WriteValue::Str(vec![0xff]));
    spec.push("half", WriteValue::F64(0.5));
    spec.push("bytes", WriteValue::U8Array(vec![1, 2]));
    let built = spec.build();
    let d = Directory::parse_file(&built.bytes).unwrap();
    assert_eq!(
        (
            d.u32("small").unwrap(),
            d.u64("large").unwrap(),
            d.i32("minus").unwrap()
        ),
        (5, 1 << 40, -1)
    );
    assert_eq!(
        (d.f32("half").unwrap(), d.opt_u32("absent").unwrap()),
        (0.5, None)
    );

    let code = |result: Result<(), chord_gguf::Error>| {
        let error = result.unwrap_err();
        (error.code(), error.offset())
    };
    assert_eq!(code(d.u32("absent").map(drop)), ("E_META_MISSING", None));
    assert_eq!(
        code(d.u32("large").map(drop)),
        ("E_META_RANGE", Some(built.kv_at[1].1 + 4))
    );
    assert_eq!(
        code(d.u64("minus").map(drop)),
        ("E_META_RANGE", Some(built.kv_at[2].1 + 4))
    );
    assert_eq!(
        code(d.u32("half").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[4].1))
    );
    assert_eq!(
        code(d.f32("small").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[0].1))
    );
    assert_eq!(
        code(d.bool("small").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[0].1))
    );
    assert_eq!(
        code(d.str("small").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[0].1))
    );
    assert_eq!(
        code(d.str("text").map(drop)),
        ("E_META_UTF8", Some(built.kv_at[3].1))
    );
    assert_eq!(
        code(d.str_array("bytes").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[5].1))
    );
    assert_eq!(
        code(d.opt_i32_array("bytes").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[5].1))
    );
    assert_eq!(
        code(d.opt_f32_array("half").map(drop)),
        ("E_META_TYPE", Some(built.kv_at[4].1))
    );
}
