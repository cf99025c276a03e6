//! T0: the smallest complete llama file, as an editable spec.

use super::{FileSpec, TensorSpec, WriteValue};

/// The 16 tokens of [`tiny_llama`] in order of id: two control tokens, ten bytes (`Ġ` is a space and `Ċ` a
/// newline in byte-level spelling), and four pieces made by the merges `h e`, `l l`, `he ll`, `hell o`.
pub const TINY_TOKENS: [&str; 16] = [
    "<|bos|>", "<|eos|>", "a", "b", "d", "e", "h", "l", "o", "r", "Ġ", "Ċ", "he", "ll", "hell",
    "hello",
];

const D_MODEL: u64 = 32;
const N_KV: u64 = 16;
const D_FF: u64 = 64;
const N_VOCAB: u64 = 16;

/// A valid file: architecture `llama`, 1 layer, width 32, 4 heads of 8 over 2 KV heads, feed-forward 64, vocabulary
/// 16, untied head, everything F32, alignment 32, GGUF v3.
///
/// Its tokenizer is byte-level BPE (`gpt2` / `gpt-2`) over [`TINY_TOKENS`] with bos 0 and eos 1; its chat template
/// joins the messages' contents by newlines and begins an answer with `he`. Weights are seeded noise of a scale that
/// gives finite, different logits. Every metadata value and tensor can be edited before [`FileSpec::to_bytes`].
pub fn tiny_llama() -> FileSpec {
    let mut spec = FileSpec::default();
    spec.push("general.architecture", WriteValue::str("llama"));
    spec.push("general.name", WriteValue::str("tiny llama"));
    spec.push("general.alignment", WriteValue::U32(32));
    for (key, value) in [
        ("llama.block_count", 1),
        ("llama.context_length", 128),
        ("llama.embedding_length", 32),
        ("llama.feed_forward_length", 64),
        ("llama.attention.head_count", 4),
        ("llama.attention.head_count_kv", 2),
        ("llama.rope.dimension_count", 8),
        ("llama.vocab_size", 16),
    ] {
        spec.push(key, WriteValue::U32(value));
    }
    spec.push("llama.rope.freq_base", WriteValue::F32(10_000.0));
    spec.push(
        "llama.attention.layer_norm_rms_epsilon",
        WriteValue::F32(1e-5),
    );
    tokenizer(&mut spec);

    let mut noise = Noise(0x5eed);
    let mut matrix = |name: &str, columns: u64, rows: u64| {
        let values: Vec<f32> = (0..columns * rows).map(|_| noise.next() * 0.35).collect();
        TensorSpec::f32(name, &[columns, rows], &values)
    };
    let ones = |name: &str| TensorSpec::f32(name, &[D_MODEL], &[1.0; 32]);
    spec.tensors = vec![
        matrix("token_embd.weight", D_MODEL, N_VOCAB),
        ones("output_norm.weight"),
        matrix("output.weight", D_MODEL, N_VOCAB),
        ones("blk.0.attn_norm.weight"),
        matrix("blk.0.attn_q.weight", D_MODEL, D_MODEL),
        matrix("blk.0.attn_k.weight", D_MODEL, N_KV),
        matrix("blk.0.attn_v.weight", D_MODEL, N_KV),
        matrix("blk.0.attn_output.weight", D_MODEL, D_MODEL),
        ones("blk.0.ffn_norm.weight"),
        matrix("blk.0.ffn_gate.weight", D_MODEL, D_FF),
        matrix("blk.0.ffn_up.weight", D_MODEL, D_FF),
        matrix("blk.0.ffn_down.weight", D_FF, D_MODEL),
    ];
    spec
}

fn tokenizer(spec: &mut FileSpec) {
    // Token types of the format: 1 normal, 3 control.
    let mut types = [1_i32; 16];
    for control in types.iter_mut().take(2) {
        *control = 3;
    }
    spec.push("tokenizer.ggml.model", WriteValue::str("gpt2"));
    spec.push("tokenizer.ggml.pre", WriteValue::str("gpt-2"));
    spec.push("tokenizer.ggml.tokens", WriteValue::strs(&TINY_TOKENS));
    spec.push(
        "tokenizer.ggml.token_type",
        WriteValue::I32Array(types.to_vec()),
    );
    spec.push(
        "tokenizer.ggml.merges",
        WriteValue::strs(&["h e", "l l", "he ll", "hell o"]),
    );
    spec.push("tokenizer.ggml.bos_token_id", WriteValue::U32(0));
    spec.push("tokenizer.ggml.eos_token_id", WriteValue::U32(1));
    spec.push("tokenizer.ggml.add_bos_token", WriteValue::Bool(true));
    spec.push(
        "tokenizer.chat_template",
        WriteValue::str(
            "{% for message in messages %}{{ message['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}he{% endif %}",
        ),
    );
}

/// Seeded uniform values in [-1, 1): a linear congruential generator, so the file is the same everywhere.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The high 23 bits become the mantissa of a value in [1, 2).
        let unit = f32::from_bits(0x3f80_0000 | ((self.0 >> 41) as u32 & 0x7f_ffff)) - 1.0;
        2.0 * unit - 1.0
    }
}
