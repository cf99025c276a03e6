//! Rows 16, 52, 73, 74 and 76: tensors and split files.

use chord_gguf::TensorType;
use chord_gguf::write::WriteValue;

use crate::{Case, case, reshape, retype, wide};

const TENSORS: [&str; 11] = [
    "token_embd.weight",
    "output_norm.weight",
    "blk.0.attn_norm.weight",
    "blk.0.attn_q.weight",
    "blk.0.attn_k.weight",
    "blk.0.attn_v.weight",
    "blk.0.attn_output.weight",
    "blk.0.ffn_norm.weight",
    "blk.0.ffn_gate.weight",
    "blk.0.ffn_up.weight",
    "blk.0.ffn_down.weight",
];

pub fn tensors() -> Vec<Case> {
    let mut cases = vec![
        // The last entry is not counted, so its tensor is not there.
        case(
            "16 n_tensors_less",
            "E_MISSING_TENSOR",
            "blk.0.ffn_down.weight",
            |spec| spec.n_tensors = Some(11),
        ),
        case(
            "73 shape_swap_k",
            "E_SHAPE",
            "shape [16, 32], want [32, 16]",
            |spec| {
                reshape(spec, "blk.0.attn_k.weight", &[16, 32]);
            },
        ),
        case(
            "73 shape_swap_q",
            "E_SHAPE",
            "blk.0.attn_q.weight",
            |spec| {
                for key in [
                    "attention.key_length",
                    "attention.value_length",
                    "rope.dimension_count",
                ] {
                    spec.set(&format!("llama.{key}"), WriteValue::U32(16));
                }
                reshape(spec, "blk.0.attn_q.weight", &[64, 32]);
            },
        ),
        case(
            "73 shape_swap_down",
            "E_SHAPE",
            "blk.0.ffn_down.weight",
            |spec| {
                reshape(spec, "blk.0.ffn_down.weight", &[32, 64]);
            },
        ),
        case("73 norm_short", "E_SHAPE", "want [32]", |spec| {
            reshape(spec, "blk.0.ffn_norm.weight", &[31]);
        }),
        case("73 norm_matrix", "E_SHAPE", "want [32]", |spec| {
            reshape(spec, "output_norm.weight", &[32, 1]);
        }),
        case("73 rope_freqs", "E_SHAPE", "want [4]", |spec| {
            reshape(spec, "rope_freqs.weight", &[8]);
        }),
        case(
            "74 embd_vocab_mismatch",
            "E_SHAPE",
            "token_embd.weight",
            |spec| {
                reshape(spec, "token_embd.weight", &[32, 15]);
            },
        ),
        case(
            "74 head_vocab_mismatch",
            "E_SHAPE",
            "output.weight",
            |spec| reshape(spec, "output.weight", &[32, 17]),
        ),
        case(
            "52 norm_f16",
            "E_TENSOR_UNSUPPORTED",
            "supported here: F32",
            |spec| {
                retype(spec, "blk.0.attn_norm.weight", TensorType::F16);
            },
        ),
    ];
    for name in TENSORS {
        cases.push(case(
            format!("16 missing {name}"),
            "E_MISSING_TENSOR",
            name,
            |spec| {
                spec.remove_tensor(name);
            },
        ));
    }
    for name in [
        "blk.0.attn_q_norm.weight",
        "blk.0.ffn_gate_inp.weight",
        "blk.1.attn_norm.weight",
        "output.bias",
    ] {
        cases.push(case(
            format!("16 unexpected {name}"),
            "E_UNEXPECTED_TENSOR",
            name,
            |spec| {
                reshape(spec, name, &[32]);
            },
        ));
    }
    // Tensors that a model may have, but not so.
    cases.push(case(
        "16 one_bias_of_three",
        "E_MISSING_TENSOR",
        "blk.0.attn_k.bias",
        |spec| {
            reshape(spec, "blk.0.attn_q.bias", &[32]);
        },
    ));
    cases.push(case(
        "73 shape_output_bias",
        "E_SHAPE",
        "blk.0.attn_output.bias",
        |spec| {
            reshape(spec, "blk.0.attn_output.bias", &[16]);
        },
    ));
    cases.push(case(
        "73 shape_long_factors",
        "E_SHAPE",
        "rope_factors_long.weight",
        |spec| {
            reshape(spec, "rope_factors_long.weight", &[32]);
        },
    ));
    let readable = crate::READABLE;
    for ty in TensorType::all().filter(|ty| !readable.contains(&ty.name())) {
        let spec = wide(ty);
        let says = format!("is {ty}; supported here: {}", readable.join(", "));
        cases.push(Case {
            name: format!("52 type_unsupported {ty}"),
            spec,
            code: "E_TENSOR_UNSUPPORTED",
            says,
        });
    }
    cases
}

pub fn split() -> Vec<Case> {
    let split = |name: &str, says: &str, pairs: &[(&str, WriteValue)]| {
        case(format!("76 {name}"), "E_SPLIT", says, |spec| {
            for (key, value) in pairs {
                spec.set(&format!("split.{key}"), value.clone());
            }
        })
    };
    vec![
        split(
            "split_1_of_3",
            "split.count is 3",
            &[("no", WriteValue::U16(0)), ("count", WriteValue::U16(3))],
        ),
        split(
            "split_count_alone",
            "llama-gguf-split --merge",
            &[("count", WriteValue::U16(3))],
        ),
        split(
            "split_0",
            "split.count is 0",
            &[("count", WriteValue::U16(0))],
        ),
        split(
            "split_no_5",
            "split.no is 5",
            &[("no", WriteValue::U16(5)), ("count", WriteValue::U16(1))],
        ),
        split(
            "split_no_alone",
            "split.no is 5",
            &[("no", WriteValue::U16(5))],
        ),
        split(
            "split_text",
            "of type string",
            &[("count", WriteValue::str("3"))],
        ),
        split(
            "split_bool",
            "of type bool",
            &[("count", WriteValue::Bool(true))],
        ),
        split(
            "split_float",
            "of type f32",
            &[("no", WriteValue::F32(0.0))],
        ),
    ]
}
