//! `decode` against llama.cpp's own dequantised values (tests/data/dequant, see tests/data/PROVENANCE.md).

use std::fs;
use std::path::PathBuf;

use chord_quant::{WeightType, decode, layout, repack_rows, stream_block};

/// Files carry llama.cpp's capitalisation.
const CASES: [(WeightType, &str); 15] = [
    (WeightType::F16, "f16"),
    (WeightType::BF16, "bf16"),
    (WeightType::Q4_0, "q4_0"),
    (WeightType::Q4_1, "q4_1"),
    (WeightType::Q5_0, "q5_0"),
    (WeightType::Q5_1, "q5_1"),
    (WeightType::Q8_0, "q8_0"),
    (WeightType::Q2K, "q2_K"),
    (WeightType::Q3K, "q3_K"),
    (WeightType::Q4K, "q4_K"),
    (WeightType::Q5K, "q5_K"),
    (WeightType::Q6K, "q6_K"),
    (WeightType::Iq4Nl, "iq4_nl"),
    (WeightType::Iq4Xs, "iq4_xs"),
    (WeightType::Mxfp4, "mxfp4"),
];
const ROWS: usize = 4;
const COLUMNS: usize = 1024;

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/dequant"
    ))
    .join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Bits of a little-endian f32 .npy of the expected shape.
fn npy_bits(name: &str) -> Vec<u32> {
    let file = data(name);
    assert_eq!(&file[..8], b"\x93NUMPY\x01\x00", "{name}");
    let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let header = std::str::from_utf8(&file[10..start]).unwrap();
    assert!(
        header.contains("'<f4'") && header.contains("(4, 1024)"),
        "{name}: {header}"
    );
    file[start..]
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

#[test]
fn decode_equals_llama_cpp_bit_for_bit() {
    for (ty, name) in CASES {
        let expected = npy_bits(&format!("{name}.f32.npy"));
        let mut got = vec![f32::NAN; ROWS * COLUMNS];
        decode(ty, &data(&format!("{name}.blocks.bin")), &mut got).unwrap();
        assert_eq!(expected.len(), got.len());
        for (i, (e, g)) in expected.iter().zip(&got).enumerate() {
            assert_eq!(
                *e,
                g.to_bits(),
                "{ty} value {i}: {} expected, {g} decoded",
                f32::from_bits(*e)
            );
        }
    }
}

#[test]
fn streams_equal_llama_cpp_bit_for_bit() {
    for (ty, name) in CASES {
        let expected = npy_bits(&format!("{name}.f32.npy"));
        let sizes = layout(ty, ROWS, COLUMNS).unwrap();
        let (mut quants, mut scales) = (vec![!0; sizes.quant_words], vec![!0; sizes.scale_words]);
        repack_rows(
            ty,
            COLUMNS,
            &data(&format!("{name}.blocks.bin")),
            &mut quants,
            &mut scales,
        )
        .unwrap();
        for (i, e) in expected.chunks_exact(32).enumerate() {
            let block = stream_block(ty, &sizes, &quants, &scales, i / 32, i % 32).unwrap();
            assert_eq!(block.values.map(f32::to_bits), *e, "{ty} block {i}");
        }
    }
}

#[test]
fn table_agrees_with_ggml() {
    let index: serde_json::Value = serde_json::from_slice(&data("index.json")).unwrap();
    for (ty, name) in CASES {
        let entry = index
            .as_array()
            .unwrap()
            .iter()
            .find(|e| e["type"].as_str().unwrap().eq_ignore_ascii_case(name));
        let entry = entry.unwrap_or_else(|| panic!("{name} is missing from index.json"));
        let field = |key: &str| usize::try_from(entry[key].as_u64().unwrap()).unwrap();
        assert_eq!(ty.ggml_id() as usize, field("ggml_type_id"), "{ty}");
        assert_eq!(ty.block_elements(), field("block_size"), "{ty}");
        assert_eq!(ty.block_bytes(), field("block_bytes"), "{ty}");
        assert_eq!(ty.name(), name.to_lowercase());
    }
    for &ty in WeightType::all() {
        assert_eq!(WeightType::from_ggml_id(ty.ggml_id()), Some(ty));
    }
    // Every other id of the list is unknown here, and so are removed and future ones.
    let known: Vec<u32> = WeightType::all().iter().map(|ty| ty.ggml_id()).collect();
    for id in (0..64).chain([u32::MAX]).filter(|id| !known.contains(id)) {
        assert_eq!(WeightType::from_ggml_id(id), None, "{id}");
    }
}
