//! Rows 61 to 72: keys, RoPE and other numbers.

use chord_gguf::write::{FileSpec, WriteValue};

use crate::{Case, case, value};

const REQUIRED: [&str; 8] = [
    "general.architecture",
    "llama.block_count",
    "llama.context_length",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.layer_norm_rms_epsilon",
    "tokenizer.ggml.tokens",
];

pub const INTEGERS: [&str; 7] = [
    "llama.block_count",
    "llama.context_length",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.rope.dimension_count",
];

const FLOATS: [&str; 2] = [
    "llama.attention.layer_norm_rms_epsilon",
    "llama.rope.freq_base",
];

/// Sets the width of keys and values alike.
fn head_width(spec: &mut FileSpec, width: u32) {
    for key in [
        "attention.key_length",
        "attention.value_length",
        "rope.dimension_count",
    ] {
        spec.set(&format!("llama.{key}"), WriteValue::U32(width));
    }
}

pub fn keys() -> Vec<Case> {
    let mut cases = vec![
        value(
            "61 arch_unknown",
            "E_ARCH",
            "\"foo\"",
            "general.architecture",
            WriteValue::str("foo"),
        ),
        value(
            "61 arch_empty",
            "E_ARCH",
            "supported: llama",
            "general.architecture",
            WriteValue::str(""),
        ),
        value(
            "61 arch_qwen2moe",
            "E_ARCH",
            "Get a model of architecture llama or qwen2 or qwen3 or qwen3moe or gemma or gemma2",
            "general.architecture",
            WriteValue::str("qwen2moe"),
        ),
        value(
            "61 adapter",
            "E_MODEL_KIND",
            "An adapter (LoRA) has to be merged",
            "general.type",
            WriteValue::str("adapter"),
        ),
        value(
            "61 projector",
            "E_MODEL_KIND",
            "general.type (byte",
            "general.type",
            WriteValue::str("mmproj"),
        ),
        value(
            "62 arch_wrong_type",
            "E_META_TYPE",
            "want string",
            "general.architecture",
            WriteValue::U32(1),
        ),
        value(
            "62 arch_not_utf8",
            "E_META_UTF8",
            "general.architecture",
            "general.architecture",
            WriteValue::Str(vec![0xff]),
        ),
        value(
            "77 tok_u8",
            "E_META_TYPE",
            "an array of strings",
            "tokenizer.ggml.tokens",
            WriteValue::U8Array(vec![0; 16]),
        ),
        value(
            "78 tok_empty",
            "E_META_RANGE",
            "0 tokens",
            "tokenizer.ggml.tokens",
            WriteValue::StrArray(vec![]),
        ),
    ];
    for key in REQUIRED {
        cases.push(case(
            format!("63 meta_missing {key}"),
            "E_META_MISSING",
            key,
            |spec| {
                spec.remove(key);
            },
        ));
    }
    let wrong = |number: WriteValue| {
        [
            ("string", WriteValue::str("1")),
            ("array", WriteValue::U32Array(vec![1])),
            ("bool", WriteValue::Bool(true)),
            ("number", number),
        ]
    };
    for (keys, number) in [
        (&INTEGERS[..], WriteValue::F32(1.0)),
        (&FLOATS[..], WriteValue::I8(1)),
    ] {
        for key in keys {
            for (ty, bad) in wrong(number.clone()) {
                cases.push(value(
                    &format!("64 meta_wrong_type {key} {ty}"),
                    "E_META_TYPE",
                    key,
                    key,
                    bad,
                ));
            }
        }
    }
    for key in INTEGERS {
        let minus = WriteValue::I32(-1);
        cases.push(value(
            &format!("65 meta_negative {key}"),
            "E_META_RANGE",
            key,
            key,
            minus,
        ));
        let zero = WriteValue::U32(0);
        cases.push(value(
            &format!("66 meta_zero {key}"),
            "E_META_RANGE",
            key,
            key,
            zero,
        ));
        let large = WriteValue::U64(1 << 32);
        cases.push(value(
            &format!("66 meta_2_32 {key}"),
            "E_META_RANGE",
            key,
            key,
            large,
        ));
    }
    let heads = "llama.attention.head_count";
    let kv_heads = "llama.attention.head_count_kv";
    let layers = "llama.block_count";
    cases.extend([
        value(
            "67 kv_heads_not_div",
            "E_META_RANGE",
            "a divisor of attention.head_count, 4",
            kv_heads,
            WriteValue::U32(3),
        ),
        value(
            "67 kv_heads_more",
            "E_META_RANGE",
            "1 to 4",
            kv_heads,
            WriteValue::U32(8),
        ),
        value(
            "67 width_not_div",
            "E_META_RANGE",
            "a divisor of embedding_length, 32",
            heads,
            WriteValue::U32(6),
        ),
        value(
            "67 value_length",
            "E_META_RANGE",
            "the length of keys, 8",
            "llama.attention.value_length",
            WriteValue::U32(16),
        ),
        value(
            "67 key_length_alone",
            "E_META_RANGE",
            "attention.value_length is absent",
            "llama.attention.key_length",
            WriteValue::U32(16),
        ),
        case(
            "67 head_dim_6",
            "E_META_RANGE",
            "a head's width, 6, is a multiple of 4",
            |spec| head_width(spec, 6),
        ),
        // The width is that of embedding_length / head_count, so head_count is to blame.
        value(
            "67 head_dim_2",
            "E_META_RANGE",
            "a head's width, 2, is a multiple of 4",
            heads,
            WriteValue::U32(16),
        ),
        case(
            "67 heads_too_wide",
            "E_META_RANGE",
            "4 heads of 262148 are at most 1048576 wide",
            |spec| head_width(spec, (1 << 18) + 4),
        ),
        case(
            "67 heads_width_2_32",
            "E_META_RANGE",
            "1048576 heads of 4096 are at most 1048576 wide",
            |spec| {
                spec.set(heads, WriteValue::U32(1 << 20));
                head_width(spec, 4096);
            },
        ),
        value(
            "67 ffn_too_wide",
            "E_META_RANGE",
            "1 to 1048576",
            "llama.feed_forward_length",
            WriteValue::U32((1 << 20) + 1),
        ),
        value(
            "68 layers_513",
            "E_META_RANGE",
            "1 to 512",
            layers,
            WriteValue::U32(513),
        ),
        value(
            "68 layers_max",
            "E_META_RANGE",
            "4294967295",
            layers,
            WriteValue::U32(u32::MAX),
        ),
        value(
            "69 layers_more_than_tensors",
            "E_MISSING_TENSOR",
            "blk.1.attn_q.weight",
            layers,
            WriteValue::U32(2),
        ),
        value(
            "69 experts_of_no_use",
            "E_META_MISSING",
            "llama.expert_used_count",
            "llama.expert_count",
            WriteValue::U32(8),
        ),
        value(
            "69 experts_too_many",
            "E_META_RANGE",
            "1 to 1024",
            "llama.expert_count",
            WriteValue::U32(1025),
        ),
        case(
            "69 experts_used_more_than_there_are",
            "E_META_RANGE",
            "1 to 8",
            |spec| {
                spec.set("llama.expert_count", WriteValue::U32(8));
                spec.set("llama.expert_used_count", WriteValue::U32(9));
            },
        ),
        case(
            "69 experts_without_tensors",
            "E_MISSING_TENSOR",
            "blk.0.ffn_gate_inp.weight",
            |spec| {
                spec.set("llama.expert_count", WriteValue::U32(8));
                spec.set("llama.expert_used_count", WriteValue::U32(2));
            },
        ),
        value(
            "69 not_causal",
            "E_META_RANGE",
            "causal",
            "llama.attention.causal",
            WriteValue::Bool(false),
        ),
    ]);
    cases
}
