//! The header of a made-up model: metadata, a vocabulary of the right size, every tensor's name, type and place.

use super::shapes::{Matrix, Shape, Spec};
use chord_gguf::TensorType;
use chord_gguf::write::{FileSpec, TensorSpec, WriteValue};
use chord_quant::WeightType;

/// Bytes that tensors begin at multiples of.
const ALIGNMENT: u64 = 32;

/// A tensor as the header has it; `offset` from the end of the header.
pub(super) struct Described {
    pub ty: WeightType,
    /// Columns of a matrix; 0 of a vector.
    pub k: usize,
    pub offset: u64,
    pub bytes: u64,
}

struct Writer<'a> {
    spec: &'a Spec,
    file: FileSpec,
    described: Vec<Described>,
    end: u64,
}

/// The header's bytes, and the tensors behind it.
pub(super) fn write(spec: &Spec) -> (Vec<u8>, Vec<Described>) {
    let mut writer = Writer {
        spec,
        file: FileSpec::default(),
        described: Vec::new(),
        end: 0,
    };
    writer.metadata();
    writer.vocabulary();
    writer.tensors();
    // The tensors hold no bytes here: what is written ends where their data would begin.
    (writer.file.to_bytes(), writer.described)
}

impl Writer<'_> {
    fn metadata(&mut self) {
        let Shape {
            arch,
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            feed_forward,
            experts,
            context,
            rope_base,
            eps,
            post_norms,
            ..
        } = *self.spec.shape;
        let file = &mut self.file;
        file.push("general.architecture", WriteValue::str(arch));
        file.push(
            "general.name",
            WriteValue::str(&format!("synth:{}", self.spec.name)),
        );
        file.push(
            "general.alignment",
            WriteValue::U32(u32::try_from(ALIGNMENT).unwrap_or(32)),
        );
        let mut key = |name: &str, value| file.push(&format!("{arch}.{name}"), value);
        for (name, value) in [
            ("block_count", layers),
            ("context_length", context),
            ("embedding_length", width),
            ("feed_forward_length", feed_forward),
            ("attention.head_count", heads),
            ("attention.head_count_kv", kv_heads),
            ("attention.key_length", head_dim),
            ("attention.value_length", head_dim),
            ("rope.dimension_count", head_dim),
        ] {
            key(name, WriteValue::U32(value));
        }
        if let Some((count, used)) = experts {
            key("expert_count", WriteValue::U32(count));
            key("expert_used_count", WriteValue::U32(used));
            key("expert_feed_forward_length", WriteValue::U32(feed_forward));
        }
        key("rope.freq_base", WriteValue::F32(rope_base));
        key("attention.layer_norm_rms_epsilon", WriteValue::F32(eps));
        if let Some(window) = post_norms {
            key("attention.sliding_window", WriteValue::U32(window));
        }
    }

    /// As many tokens as the model has. What they say matters to nobody, but each must say something else, and a list of merges
    /// must not be empty.
    fn vocabulary(&mut self) {
        let first = ["<|bos|>", "<|eos|>", "a", "b", "ab"];
        let vocab = self.spec.shape.vocab as usize;
        let rest = (first.len()..vocab).map(|id| format!("t{id}").into_bytes());
        let tokens = first.iter().map(|t| t.as_bytes().to_vec()).chain(rest);
        let mut types = vec![1; vocab];
        types[..2].fill(3);
        let file = &mut self.file;
        for (name, value) in [
            ("model", WriteValue::str("gpt2")),
            ("pre", WriteValue::str("gpt-2")),
            ("tokens", WriteValue::StrArray(tokens.collect())),
            ("token_type", WriteValue::I32Array(types)),
            ("merges", WriteValue::strs(&["a b"])),
            ("bos_token_id", WriteValue::U32(0)),
            ("eos_token_id", WriteValue::U32(1)),
        ] {
            file.push(&format!("tokenizer.ggml.{name}"), value);
        }
    }

    fn tensors(&mut self) {
        let Shape {
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            feed_forward,
            experts,
            vocab,
            tied,
            qk_norm,
            post_norms,
            rope_factors,
            ..
        } = *self.spec.shape;
        let embedding = if tied { Matrix::Head } else { Matrix::Other };
        self.matrix("token_embd", embedding, 0, [width, vocab]);
        if !tied {
            self.matrix("output", Matrix::Head, 0, [width, vocab]);
        }
        self.vector("output_norm", width);
        if rope_factors {
            self.vector("rope_freqs", head_dim / 2);
        }
        let (q, kv) = (heads * head_dim, kv_heads * head_dim);
        for n in 0..layers {
            let name = |part: &str| format!("blk.{n}.{part}");
            for (part, matrix, dims) in [
                ("attn_q", Matrix::Other, [width, q]),
                ("attn_k", Matrix::Other, [width, kv]),
                ("attn_v", Matrix::AttnV, [width, kv]),
                ("attn_output", Matrix::Other, [q, width]),
            ] {
                self.matrix(&name(part), matrix, n, dims);
            }
            for (part, matrix, [k, rows]) in [
                ("ffn_gate", Matrix::Other, [width, feed_forward]),
                ("ffn_up", Matrix::Other, [width, feed_forward]),
                ("ffn_down", Matrix::FfnDown, [feed_forward, width]),
            ] {
                match experts {
                    Some((count, _)) => {
                        self.matrix(&name(&format!("{part}_exps")), matrix, n, [k, rows, count]);
                    }
                    None => self.matrix(&name(part), matrix, n, [k, rows]),
                }
            }
            if let Some((count, _)) = experts {
                self.matrix(&name("ffn_gate_inp"), Matrix::Router, n, [width, count]);
            }
            let heads: &[_] = if qk_norm {
                &["attn_q_norm", "attn_k_norm"]
            } else {
                &[]
            };
            let behind: &[_] = if post_norms.is_some() {
                &["post_attention_norm", "post_ffw_norm"]
            } else {
                &[]
            };
            for part in heads {
                self.vector(&name(part), head_dim);
            }
            for part in ["attn_norm", "ffn_norm"].iter().chain(behind) {
                self.vector(&name(part), width);
            }
        }
    }

    fn matrix<const D: usize>(&mut self, name: &str, matrix: Matrix, n: u32, dims: [u32; D]) {
        let ty = self.spec.ty(matrix, n, dims[0]);
        self.push(name, ty, &dims);
    }

    fn vector(&mut self, name: &str, len: u32) {
        self.push(name, WeightType::F32, &[len]);
    }

    fn push(&mut self, name: &str, ty: WeightType, dims: &[u32]) {
        let dims: Vec<u64> = dims.iter().map(|d| u64::from(*d)).collect();
        let stored = TensorType::all()
            .find(|t| WeightType::from_ggml_id(t.id()) == Some(ty))
            .expect("every weight type is a type of the format");
        let bytes = stored
            .bytes_for(dims.iter().product())
            .expect("the shapes are whole blocks");
        let offset = self.end.next_multiple_of(ALIGNMENT);
        self.end = offset + bytes;
        let mut tensor = TensorSpec::new(&format!("{name}.weight"), stored, &dims, Vec::new());
        tensor.offset = Some(offset);
        self.file.tensors.push(tensor);
        let k = match dims.len() {
            1 => 0,
            _ => usize::try_from(dims[0]).unwrap_or(usize::MAX),
        };
        self.described.push(Described {
            ty,
            k,
            offset,
            bytes,
        });
    }
}
