//! The tensors of an architecture: every one there, none more, each of the right shape and a readable type.

use std::collections::HashSet;

use chord_gguf::{Directory, TensorInfo, TensorType};

use super::Config;
use crate::error::{Error, Result};

/// Types of matrices that can be decoded.
pub const MATRIX_TYPES: [TensorType; 16] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q8_0,
    TensorType::Q2_K,
    TensorType::Q3_K,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
    TensorType::IQ4_NL,
    TensorType::IQ4_XS,
    TensorType::MXFP4,
];

/// Types of norm weights and RoPE factors.
pub const VECTOR_TYPES: [TensorType; 1] = [TensorType::F32];

/// Checks all tensors against the configuration; true when the head is the token embedding.
pub(super) fn check(config: &Config, d: &Directory) -> Result<bool> {
    let [d_model, d_ff, n_vocab, head_dim] =
        [config.d_model, config.d_ff, config.n_vocab, config.head_dim].map(u64::from);
    // Widths are at most 2^20, so these products are below 2^40.
    let q_width = head_dim.saturating_mul(u64::from(config.n_heads));
    let kv_width = head_dim.saturating_mul(u64::from(config.n_kv_heads));

    let mut seen = HashSet::new();
    let mut want = |name: String, shape: &[u64]| -> Result<()> {
        let tensor = d
            .tensor(&name)
            .ok_or_else(|| Error::MissingTensor { name: name.clone() })?;
        check_one(tensor, shape)?;
        seen.insert(name);
        Ok(())
    };

    want("token_embd.weight".to_owned(), &[d_model, n_vocab])?;
    want("output_norm.weight".to_owned(), &[d_model])?;
    let tied = d.tensor("output.weight").is_none();
    if !tied {
        want("output.weight".to_owned(), &[d_model, n_vocab])?;
    }
    if d.tensor("rope_freqs.weight").is_some() {
        want(
            "rope_freqs.weight".to_owned(),
            &[u64::from(config.rope.dim.div_euclid(2))],
        )?;
    }
    let layer_tensors: [(&str, &[u64]); 9] = [
        ("attn_q", &[d_model, q_width]),
        ("attn_k", &[d_model, kv_width]),
        ("attn_v", &[d_model, kv_width]),
        ("attn_output", &[q_width, d_model]),
        ("attn_norm", &[d_model]),
        ("ffn_gate", &[d_model, d_ff]),
        ("ffn_up", &[d_model, d_ff]),
        ("ffn_down", &[d_ff, d_model]),
        ("ffn_norm", &[d_model]),
    ];
    let biases: [(&str, &[u64]); 3] = [
        ("attn_q", &[q_width]),
        ("attn_k", &[kv_width]),
        ("attn_v", &[kv_width]),
    ];
    let head_norms: [(&str, &[u64]); 2] =
        [("attn_q_norm", &[head_dim]), ("attn_k_norm", &[head_dim])];
    for layer in 0..config.n_layers {
        for (name, shape) in layer_tensors {
            want(format!("blk.{layer}.{name}.weight"), shape)?;
        }
        for (name, shape) in biases.iter().filter(|_| config.qkv_bias) {
            want(format!("blk.{layer}.{name}.bias"), shape)?;
        }
        for (name, shape) in head_norms.iter().filter(|_| config.qk_norm) {
            want(format!("blk.{layer}.{name}.weight"), shape)?;
        }
    }

    match d
        .tensors()
        .iter()
        .find(|tensor| !seen.contains(&tensor.name))
    {
        Some(tensor) => Err(Error::UnexpectedTensor {
            name: tensor.name.clone(),
            at: tensor.header_offset,
        }),
        None => Ok(tied),
    }
}

fn check_one(tensor: &TensorInfo, want: &[u64]) -> Result<()> {
    let TensorInfo {
        name,
        ty,
        header_offset: at,
        ..
    } = tensor;
    if tensor.shape() != want {
        return Err(Error::Shape {
            name: name.clone(),
            at: *at,
            want: want.to_vec(),
            found: tensor.shape().to_vec(),
        });
    }
    let supported: &'static [TensorType] = if want.len() == 1 {
        &VECTOR_TYPES
    } else {
        &MATRIX_TYPES
    };
    if !supported.contains(ty) {
        return Err(Error::TensorUnsupported {
            name: name.clone(),
            at: *at,
            found: *ty,
            supported,
        });
    }
    Ok(())
}
