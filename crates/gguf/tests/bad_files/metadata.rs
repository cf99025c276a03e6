//! Rows 17 to 37: keys, values, arrays, alignment.

use chord_gguf::write::{FileSpec, WriteValue, tiny_llama};

use crate::{Case, case, only};

/// The first key's length field, and the first value behind its type, in a file of one key.
const KEY_AT: u64 = 24;

fn value_at(key: &str) -> u64 {
    KEY_AT + 8 + key.len() as u64 + 4
}

/// One entry under a key of any bytes, with an honest or a lying length.
fn key(bytes: &[u8], key_len: Option<u64>) -> Vec<u8> {
    let mut spec = only("", WriteValue::U8(1));
    spec.metadata[0].key = bytes.to_vec();
    spec.metadata[0].key_len = key_len;
    spec.layout_alignment = 1;
    spec.to_bytes()
}

/// The array under key `a`, and nothing behind it.
fn array(elem: u32, len: u64, payload: Vec<u8>) -> Vec<u8> {
    let mut spec = only("a", WriteValue::RawArray { elem, len, payload });
    spec.layout_alignment = 1;
    spec.to_bytes()
}

fn raw(ty: u32, payload: Vec<u8>) -> Vec<u8> {
    let mut spec = only("a", WriteValue::Raw { ty, payload });
    spec.layout_alignment = 1;
    spec.to_bytes()
}

fn text(len: u64, bytes: &[u8]) -> Vec<u8> {
    [&len.to_le_bytes()[..], bytes].concat()
}

/// T0 with another `general.alignment`, and the value's place.
fn alignment(value: WriteValue) -> (Vec<u8>, u64) {
    let mut spec = tiny_llama();
    spec.set("general.alignment", value);
    let built = spec.build();
    let index = spec
        .metadata
        .iter()
        .position(|kv| kv.key == b"general.alignment")
        .unwrap();
    (built.bytes, built.kv_at[index].1)
}

pub fn cases() -> Vec<Case> {
    let mut dup = tiny_llama();
    dup.push("llama.block_count", WriteValue::U32(1));
    let dup_at = dup.build().kv_at.last().unwrap().0;

    let left = (key(b"abc", None).len() - 32) as u64;
    let nested = (0..100_000)
        .flat_map(|_| [9_u32.to_le_bytes().to_vec(), 1_u64.to_le_bytes().to_vec()].concat())
        .collect();
    let three: Vec<u8> = (0..3).flat_map(|_| text(40, &[b'x'; 40])).collect();
    // Type, element type and length lie in front of an array's elements.
    let elem_at = value_at("a");
    let (len_at, data_at) = (elem_at + 4, elem_at + 12);
    let control = |byte: u8| key(&[b'a', byte], None);

    let mut cases = vec![
        case(
            "17 key_len_max",
            key(b"abc", Some(u64::MAX)),
            "E_STRING_LEN",
            KEY_AT,
            "metadata key 0",
        ),
        case(
            "18 key_len_eof",
            key(b"abc", Some(left + 1)),
            "E_STRING_LEN",
            KEY_AT,
            "of the file are left",
        ),
        case(
            "18 key_len_64KiB",
            key(&[b'k'; 65_536], None),
            "E_STRING_LEN",
            KEY_AT,
            "at most 65535",
        ),
        case(
            "19 key_empty",
            key(b"", None),
            "E_KEY_EMPTY",
            KEY_AT,
            "empty",
        ),
        case(
            "20 key_dup",
            dup.to_bytes(),
            "E_KEY_DUP",
            dup_at,
            "llama.block_count",
        ),
        case(
            "21 key_not_utf8",
            key(b"\xff\xfe", None),
            "E_KEY_UTF8",
            KEY_AT,
            "UTF-8",
        ),
        case(
            "22 key_nul",
            key(b"general.\0name", None),
            "E_KEY_CHARS",
            KEY_AT,
            "printable ASCII",
        ),
        case(
            "22 key_escape",
            control(0x1b),
            "E_KEY_CHARS",
            KEY_AT,
            "printable ASCII",
        ),
        case(
            "22 key_newline",
            control(b'\n'),
            "E_KEY_CHARS",
            KEY_AT,
            "printable ASCII",
        ),
        case(
            "22 key_not_ascii",
            key("é".as_bytes(), None),
            "E_KEY_CHARS",
            KEY_AT,
            "printable ASCII",
        ),
        case(
            "23 kv_type_13",
            raw(13, vec![0; 8]),
            "E_KV_TYPE",
            value_at("a") - 4,
            "type 13",
        ),
        case(
            "24 kv_type_neg",
            raw(u32::MAX, vec![0; 8]),
            "E_KV_TYPE",
            value_at("a") - 4,
            "4294967295",
        ),
        case(
            "25 arr_elem_type_13",
            array(13, 1 << 60, vec![]),
            "E_ARR_TYPE",
            elem_at,
            "type 13",
        ),
        case(
            "26 arr_of_arr",
            array(9, 1, vec![0; 12]),
            "E_ARR_NESTED",
            elem_at,
            "array of arrays",
        ),
        case(
            "27 arr_nest_100k",
            array(9, 1, nested),
            "E_ARR_NESTED",
            elem_at,
            "array of arrays",
        ),
        case(
            "28 arr_n_max_u8",
            array(0, u64::MAX, vec![0; 64]),
            "E_ARR_LEN",
            len_at,
            "of the file are left",
        ),
        case(
            "29 arr_n_wrap_u64",
            array(10, 1 << 61, vec![0; 64]),
            "E_ARR_LEN",
            len_at,
            "2305843009213693952",
        ),
        case(
            "29 arr_n_wrap_str",
            array(8, 1 << 61, vec![0; 64]),
            "E_ARR_LEN",
            len_at,
            "2305843009213693952",
        ),
        case(
            "30 arr_n_wrap32",
            array(4, (1 << 30) + 1, vec![0; 64]),
            "E_ARR_LEN",
            len_at,
            "1073741825",
        ),
        case(
            "30 arr_n_left_plus_1",
            array(5, 17, vec![0; 64]),
            "E_ARR_LEN",
            len_at,
            "only 64 B",
        ),
        case(
            "31 arr_str_short",
            array(8, 10, three),
            "E_TRUNCATED",
            data_at + 3 * 48,
            "element 3 of a",
        ),
        case(
            "31 arr_str_len",
            array(8, 1, text(1 << 30, b"ab")),
            "E_STRING_LEN",
            data_at,
            "element 0 of a",
        ),
        case(
            "32 bool_2",
            raw(7, vec![2]),
            "E_BOOL",
            value_at("a"),
            "is 2, not 0 or 1",
        ),
        case(
            "32 bool_2_in_array",
            array(7, 4, vec![0, 1, 0xff, 0]),
            "E_BOOL",
            data_at + 2,
            "is 255",
        ),
        case(
            "33 str_1GiB_in_160B",
            raw(8, text(1 << 30, &[b' '; 100])),
            "E_STRING_LEN",
            value_at("a"),
            "1073741824",
        ),
        case(
            "33 str_left_plus_1",
            raw(8, text(3, b"ab")),
            "E_STRING_LEN",
            value_at("a"),
            "only 2 B",
        ),
        case(
            "33 scalar_cut",
            raw(10, vec![0; 7]),
            "E_TRUNCATED",
            value_at("a"),
            "the value of a",
        ),
    ];
    for (name, value) in [
        ("34 align_0", 0),
        ("35 align_13", 13),
        ("35 align_4", 4),
        ("36 align_2_31", 1 << 31),
        ("36 align_2MiB", 2 << 20),
    ] {
        let (bytes, at) = alignment(WriteValue::U32(value));
        cases.push(case(
            name,
            bytes,
            "E_ALIGN",
            at + 4,
            "power of two from 8 to 1048576",
        ));
    }
    for (name, value, says) in [
        ("37 align_i32", WriteValue::I32(32), "type i32, want u32"),
        ("37 align_u64", WriteValue::U64(32), "type u64, want u32"),
        (
            "37 align_str",
            WriteValue::str("32"),
            "type string, want u32",
        ),
        (
            "37 align_array",
            WriteValue::U32Array(vec![32]),
            "an array of 1 u32, want u32",
        ),
    ] {
        let (bytes, at) = alignment(value);
        cases.push(case(name, bytes, "E_META_TYPE", at, says));
    }
    // A row of 57 bytes: nothing but the key that divides by zero elsewhere.
    let lone = FileSpec {
        layout_alignment: 1,
        ..only("general.alignment", WriteValue::U32(0))
    }
    .to_bytes();
    assert_eq!(lone.len(), 57);
    cases.push(case("34 align_0_57B", lone, "E_ALIGN", 53, "is 0"));
    cases
}
