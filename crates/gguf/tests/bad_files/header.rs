//! Rows 1 to 16: what the file is, and how much it claims to hold.

use chord_gguf::write::{FileSpec, tiny_llama};

use crate::{Case, case};

/// A 24-byte header.
fn head(version: u32, n_tensors: u64, n_kv: u64) -> Vec<u8> {
    FileSpec {
        version,
        n_tensors: Some(n_tensors),
        n_kv: Some(n_kv),
        layout_alignment: 1,
        ..FileSpec::default()
    }
    .to_bytes()
}

pub fn cases() -> Vec<Case> {
    let safetensors = [&64_u64.to_le_bytes()[..], b"{\"__metadata__\":{}}"].concat();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec();
    let mut big_endian = head(3, 0, 0);
    big_endian[4..8].copy_from_slice(&3_u32.to_be_bytes());
    let t0 = tiny_llama().build();
    // Behind the last tensor's entry there is padding, which reads as an entry with an empty name.
    let tensors_end = t0.tensor_at[11] + 8 + "blk.0.ffn_down.weight".len() as u64 + 4 + 16 + 4 + 8;
    assert!(tensors_end + 8 <= t0.data_at);

    let mut cases = vec![
        case(
            "1 empty_file",
            vec![],
            "E_TRUNCATED",
            0,
            "needs 4 B, the file has 0",
        ),
        case(
            "1 three_bytes",
            b"GGU".to_vec(),
            "E_TRUNCATED",
            0,
            "1 B short",
        ),
        case(
            "2 magic_only",
            b"GGUF".to_vec(),
            "E_TRUNCATED",
            4,
            "the version",
        ),
        case(
            "3 bad_magic",
            b"FUGG\0\0\0\0".to_vec(),
            "E_BAD_MAGIC",
            0,
            "FUGG",
        ),
        case(
            "3 bad_magic_4_bytes",
            b"abcd".to_vec(),
            "E_BAD_MAGIC",
            0,
            "abcd",
        ),
        case(
            "4 html_page",
            b"<!DOCTYPE html><html>".to_vec(),
            "E_BAD_MAGIC",
            0,
            "an HTML page, not a model",
        ),
        case(
            "4 html_page_spaced",
            b"\n  <HTML lang=en>".to_vec(),
            "E_BAD_MAGIC",
            0,
            "an HTML page, not a model",
        ),
        case(
            "4 xml_error",
            b"<?xml version=\"1.0\"?><Error>".to_vec(),
            "E_BAD_MAGIC",
            0,
            "an XML page",
        ),
        case("5 lfs_pointer", lfs, "E_BAD_MAGIC", 0, "Git LFS pointer"),
        case(
            "6 gzip",
            b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
            "E_BAD_MAGIC",
            0,
            "gzip",
        ),
        case(
            "6 zip",
            b"PK\x03\x04\x14\0".to_vec(),
            "E_BAD_MAGIC",
            0,
            "zip",
        ),
        case(
            "6 safetensors",
            safetensors,
            "E_BAD_MAGIC",
            0,
            "safetensors",
        ),
        case(
            "6 old_ggjt",
            b"tjgg\x03\0\0\0".to_vec(),
            "E_BAD_MAGIC",
            0,
            "GGJT",
        ),
        case(
            "6 json",
            b"{\"error\":\"not found\"}".to_vec(),
            "E_BAD_MAGIC",
            0,
            "JSON",
        ),
        case("7 version_0", head(0, 0, 0), "E_VERSION", 4, "version 0"),
        case(
            "8 version_1",
            head(1, 0, 0),
            "E_VERSION",
            4,
            "convert the model again",
        ),
        case(
            "9 version_future",
            head(4, 0, 0),
            "E_VERSION",
            4,
            "newer than this program",
        ),
        case("10 big_endian", big_endian, "E_BIG_ENDIAN", 4, "big-endian"),
        case(
            "11 trunc_header",
            head(3, 0, 0)[..20].to_vec(),
            "E_TRUNCATED",
            16,
            "n_kv",
        ),
        case(
            "14 n_kv_5e8_24B",
            head(3, 0, 500_000_000),
            "E_COUNT",
            16,
            "at least 6500000000 B, 0 are left",
        ),
        case(
            "14 n_kv_1_24B",
            head(3, 0, 1),
            "E_COUNT",
            16,
            "at least 13 B, 0 are left",
        ),
        case(
            "14 n_tensors_1_24B",
            head(3, 1, 0),
            "E_COUNT",
            8,
            "at least 24 B, 0 are left",
        ),
        case(
            "15 n_tensors_more",
            FileSpec {
                n_tensors: Some(13),
                ..tiny_llama()
            }
            .to_bytes(),
            "E_NAME_EMPTY",
            tensors_end,
            "tensor name",
        ),
        case(
            "15 n_kv_more",
            FileSpec {
                n_kv: Some(t0.kv_at.len() as u64 + 1),
                ..tiny_llama()
            }
            .to_bytes(),
            "E_NAME_LEN",
            None,
            "",
        ),
        case(
            "16 n_kv_less",
            FileSpec {
                n_kv: Some(t0.kv_at.len() as u64 - 1),
                ..tiny_llama()
            }
            .to_bytes(),
            "E_NDIMS",
            None,
            "",
        ),
    ];
    for (row, n_tensors, n_kv, at) in [
        ("12 n_tensors_max", u64::MAX, 0, 8),
        ("13 n_kv_max", 0, u64::MAX, 16),
    ] {
        cases.push(case(
            row,
            head(3, n_tensors, n_kv),
            "E_COUNT",
            at,
            "limit 65536",
        ));
        // Over the limit, in a file with room for so many.
        let mut spec = FileSpec {
            n_tensors: Some(n_tensors.min(65_537)),
            n_kv: Some(n_kv.min(65_537)),
            ..FileSpec::default()
        };
        spec.layout_alignment = 4 << 20;
        cases.push(case(
            format!("{row} with room"),
            spec.to_bytes(),
            "E_COUNT",
            at,
            "at most 65536",
        ));
    }
    cases
}
