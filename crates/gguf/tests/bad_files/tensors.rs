//! Rows 38 to 58: tensor entries, and where the data lies.

use chord_gguf::TensorType;
use chord_gguf::write::{FileSpec, TensorSpec, WriteValue, tiny_llama};

use crate::{Case, case};

/// A file of one tensor `t` with 128 bytes of data, and the places of its entry's fields.
fn one(edit: impl FnOnce(&mut TensorSpec)) -> Vec<u8> {
    let mut tensor = TensorSpec::f32("t", &[32], &[0.5; 32]);
    edit(&mut tensor);
    FileSpec {
        tensors: vec![tensor],
        ..FileSpec::default()
    }
    .to_bytes()
}

const NAME_AT: u64 = 24;
/// Behind the name `t`.
const N_DIMS_AT: u64 = NAME_AT + 9;
const DIMS_AT: u64 = N_DIMS_AT + 4;

/// A file of one tensor of this type and shape, whatever its data.
fn shaped(ty: TensorType, dims: &[u64]) -> Vec<u8> {
    one(|tensor| {
        tensor.type_id = ty.id();
        tensor.dims = dims.to_vec();
    })
}

fn typed(id: u32) -> Vec<u8> {
    one(|tensor| tensor.type_id = id)
}

fn named(name: &[u8]) -> Vec<u8> {
    one(|tensor| tensor.name = name.to_vec())
}

/// T0 with the offset of its second tensor replaced, and where that field is.
fn offset(to: u64) -> (Vec<u8>, u64) {
    let mut spec = tiny_llama();
    spec.tensors[1].offset = Some(to);
    let built = spec.build();
    (built.bytes, built.tensor_at[2] - 8)
}

pub fn cases() -> Vec<Case> {
    let mut dup = tiny_llama();
    let mut copy = dup.tensors[0].clone();
    copy.data.reverse();
    dup.tensors.push(copy);
    let dup_at = *dup.build().tensor_at.last().unwrap();

    let mut packed = FileSpec {
        layout_alignment: 1,
        ..FileSpec::default()
    };
    packed.push("general.alignment", WriteValue::U32(32));
    packed.tensors = vec![
        TensorSpec::f32("first", &[1], &[1.0]),
        TensorSpec::f32("second", &[1], &[1.0]),
    ];

    let huge = |name: &str, offset: u64| {
        let mut tensor = TensorSpec::new(name, TensorType::I8, &[0x7FFF_FFFF_FFFF_FFC0], vec![]);
        tensor.offset = Some(offset);
        tensor
    };
    let sum = FileSpec {
        tensors: vec![huge("a", 0), huge("b", 0x7FFF_FFFF_FFFF_FFC0)],
        ..FileSpec::default()
    };

    let t0 = tiny_llama().build();
    let (unaligned, unaligned_at) = offset(2049);
    let (overlap, overlap_at) = offset(0);
    let (max, _) = offset(u64::MAX);
    let (max_aligned, max_aligned_at) = offset(u64::MAX - 31);
    let (past, past_at) = offset(1 << 32);
    let last_data = t0.bytes.len() as u64 - 64 * 32 * 4;

    let mut cases = vec![
        case(
            "38 align_mismatch",
            packed.to_bytes(),
            "E_OFFSET",
            None,
            "second: offset 4",
        ),
        case(
            "39 name_65",
            named(&[b'n'; 65]),
            "E_NAME_LEN",
            NAME_AT,
            "65 B",
        ),
        case(
            "39 name_len_max",
            one(|t| t.name_len = Some(u64::MAX)),
            "E_NAME_LEN",
            NAME_AT,
            "at most 64",
        ),
        case(
            "40 name_empty",
            named(b""),
            "E_NAME_EMPTY",
            NAME_AT,
            "empty",
        ),
        case(
            "40 name_dup",
            dup.to_bytes(),
            "E_NAME_DUP",
            dup_at,
            "token_embd.weight",
        ),
        case(
            "40 name_escape",
            named(b"a\x1b[2J"),
            "E_NAME_CHARS",
            NAME_AT,
            "printable ASCII",
        ),
        case(
            "40 name_not_utf8",
            named(b"a\xff"),
            "E_NAME_CHARS",
            NAME_AT,
            "printable ASCII",
        ),
        case(
            "41 ndims_5",
            one(|t| t.dims = vec![2; 5]),
            "E_NDIMS",
            N_DIMS_AT,
            "5 dimensions",
        ),
        case(
            "41 ndims_max",
            one(|t| t.n_dims = Some(u32::MAX)),
            "E_NDIMS",
            N_DIMS_AT,
            "4294967295 dimensions",
        ),
        case(
            "41 ndims_0",
            one(|t| t.dims = vec![]),
            "E_NDIMS",
            N_DIMS_AT,
            "0 dimensions",
        ),
        case(
            "42 dim_neg",
            shaped(TensorType::F32, &[32, u64::MAX]),
            "E_DIM",
            DIMS_AT + 8,
            "dimension 1",
        ),
        case(
            "43 dim_zero",
            shaped(TensorType::F32, &[32, 0]),
            "E_DIM",
            DIMS_AT + 8,
            "is 0",
        ),
        case(
            "43 dim_zero_first",
            shaped(TensorType::Q4_0, &[0]),
            "E_DIM",
            DIMS_AT,
            "is 0",
        ),
        case(
            "44 dims_wrap64",
            shaped(TensorType::F32, &[1 << 40, 1 << 40]),
            "E_SHAPE_OVERFLOW",
            DIMS_AT,
            "1099511627776",
        ),
        case(
            "45 dims_wrap_zero",
            shaped(TensorType::F32, &[1 << 32, 1 << 32]),
            "E_SHAPE_OVERFLOW",
            DIMS_AT,
            "4294967296",
        ),
        case(
            "46 bytes_wrap_i64",
            shaped(TensorType::I64, &[1 << 61]),
            "E_SIZE_OVERFLOW",
            DIMS_AT,
            "t at byte",
        ),
        case(
            "46 bytes_wrap_f32",
            shaped(TensorType::F32, &[1 << 62]),
            "E_SIZE_OVERFLOW",
            DIMS_AT,
            "t at byte",
        ),
        case(
            "47 pad_wrap",
            shaped(TensorType::F32, &[4, (1 << 30) - 1, (1 << 30) + 1]),
            "E_SIZE_OVERFLOW",
            DIMS_AT,
            "",
        ),
        case(
            "48 sum_wrap",
            sum.to_bytes(),
            "E_SIZE_OVERFLOW",
            None,
            "the sum of all tensors",
        ),
        case(
            "49 row_not_block_q4_k",
            shaped(TensorType::Q4_K, &[100, 256]),
            "E_BLOCK",
            DIMS_AT,
            "rows of 100",
        ),
        case(
            "49 row_not_block_q4_0",
            shaped(TensorType::Q4_0, &[16, 2]),
            "E_BLOCK",
            DIMS_AT,
            "block of 32",
        ),
        case(
            "51 type_unknown",
            typed(9999),
            "E_TENSOR_TYPE",
            DIMS_AT + 8,
            "9999",
        ),
        case(
            "51 type_neg",
            typed(u32::MAX),
            "E_TENSOR_TYPE",
            DIMS_AT + 8,
            "is not known",
        ),
        case(
            "51 type_first_free",
            typed(43),
            "E_TENSOR_TYPE",
            DIMS_AT + 8,
            "is not known",
        ),
        case(
            "53 offset_max",
            max,
            "E_OFFSET",
            unaligned_at,
            "output_norm.weight",
        ),
        case(
            "53 offset_max_aligned",
            max_aligned,
            "E_OFFSET",
            max_aligned_at,
            "output_norm.weight",
        ),
        case(
            "54 offset_past_end",
            past,
            "E_OFFSET",
            past_at,
            "4294967296",
        ),
        case(
            "54 first_at_4GiB",
            one(|t| t.offset = Some(1 << 32)),
            "E_OFFSET",
            None,
            "leaves a hole",
        ),
        case(
            "55 offset_unaligned",
            unaligned,
            "E_OFFSET",
            unaligned_at,
            "not a multiple of the alignment, 32",
        ),
        case(
            "56 overlap",
            overlap,
            "E_OVERLAP",
            overlap_at,
            "token_embd.weight and output_norm.weight",
        ),
        case(
            "57 data_short_1",
            t0.bytes[..t0.bytes.len() - 1].to_vec(),
            "E_TRUNCATED",
            last_data,
            "at least 1 B short",
        ),
        case(
            "58 data_missing",
            t0.bytes[..t0.data_at as usize].to_vec(),
            "E_TRUNCATED",
            t0.data_at,
            "the data section",
        ),
        case(
            "58 entry_cut",
            t0.bytes[..t0.tensor_at[3] as usize - 1].to_vec(),
            "E_TRUNCATED",
            None,
            "the offset of output.weight",
        ),
    ];
    for (id, name) in [
        (4, "Q4_2"),
        (5, "Q4_3"),
        (31, "Q4_0_4_4"),
        (32, "Q4_0_4_8"),
        (33, "Q4_0_8_8"),
        (36, "IQ4_NL_4_4"),
        (37, "IQ4_NL_4_8"),
        (38, "IQ4_NL_8_8"),
    ] {
        cases.push(case(
            format!("50 type_removed_{id}"),
            typed(id),
            "E_TENSOR_TYPE",
            DIMS_AT + 8,
            name,
        ));
    }
    cases
}
