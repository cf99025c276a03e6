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

/// Types of norm weights, biases, sinks and RoPE factors.
pub const VECTOR_TYPES: [TensorType; 1] = [TensorType::F32];

/// Whether the first layer has one of these tensors; what every layer has is checked by [`check`].
pub(super) fn has(d: &Directory, names: &[&str]) -> bool {
    let mut names = names.iter().map(|name| format!("blk.0.{name}"));
    names.any(|name| d.tensor(&name).is_some())
}

/// What a tensor may be stored as.
#[derive(Clone, Copy)]
enum Kind {
    Matrix,
    Vector,
}

/// The tensors of every layer: name, shape, kind.
fn of_layer(config: &Config) -> Vec<(&'static str, Vec<u64>, Kind)> {
    use Kind::{Matrix, Vector};
    let c = config;
    let [d_model, d_ff, head_dim, n_heads] =
        [c.d_model, c.d_ff, c.head_dim, c.n_heads].map(u64::from);
    // Widths are at most 2^20, so these products are below 2^40.
    let q_width = head_dim.saturating_mul(n_heads);
    let kv_width = head_dim.saturating_mul(u64::from(c.n_kv_heads));
    let qkv_width = q_width.saturating_add(kv_width.saturating_mul(2));
    let family = c.arch.family();
    let mut out = Vec::new();
    let projections: &[(&'static str, &'static str, u64)] = if c.fused_qkv {
        &[("attn_qkv.weight", "attn_qkv.bias", qkv_width)]
    } else {
        &[
            ("attn_q.weight", "attn_q.bias", q_width),
            ("attn_k.weight", "attn_k.bias", kv_width),
            ("attn_v.weight", "attn_v.bias", kv_width),
        ]
    };
    for (weight, bias, width) in projections {
        out.push((*weight, vec![d_model, *width], Matrix));
        if c.qkv_bias {
            out.push((*bias, vec![*width], Vector));
        }
    }
    out.push(("attn_output.weight", vec![q_width, d_model], Matrix));
    out.push(("attn_norm.weight", vec![d_model], Vector));
    if c.attn_out_bias {
        out.push(("attn_output.bias", vec![d_model], Vector));
    }
    if c.qk_norm {
        out.push(("attn_q_norm.weight", vec![head_dim], Vector));
        out.push(("attn_k_norm.weight", vec![head_dim], Vector));
    }
    if family.sinks {
        out.push(("attn_sinks.weight", vec![n_heads], Vector));
    }
    if family.post_norms {
        out.push(("post_attention_norm.weight", vec![d_model], Vector));
        out.push(("post_ffw_norm.weight", vec![d_model], Vector));
    }
    out.push(match family.ffn_norm {
        "post_attention_norm" => ("post_attention_norm.weight", vec![d_model], Vector),
        _ => ("ffn_norm.weight", vec![d_model], Vector),
    });
    match c.experts {
        Some(experts) => {
            let n = u64::from(experts.count);
            out.push(("ffn_gate_inp.weight", vec![d_model, n], Matrix));
            out.push(("ffn_gate_exps.weight", vec![d_model, d_ff, n], Matrix));
            out.push(("ffn_up_exps.weight", vec![d_model, d_ff, n], Matrix));
            out.push(("ffn_down_exps.weight", vec![d_ff, d_model, n], Matrix));
            if family.sinks {
                out.push(("ffn_gate_inp.bias", vec![n], Vector));
                out.push(("ffn_gate_exps.bias", vec![d_ff, n], Vector));
                out.push(("ffn_up_exps.bias", vec![d_ff, n], Vector));
                out.push(("ffn_down_exps.bias", vec![d_model, n], Vector));
            }
        }
        None if family.fused_glu => {
            let both = d_ff.saturating_mul(2);
            out.push(("ffn_up.weight", vec![d_model, both], Matrix));
            out.push(("ffn_down.weight", vec![d_ff, d_model], Matrix));
        }
        None => {
            out.push(("ffn_gate.weight", vec![d_model, d_ff], Matrix));
            out.push(("ffn_up.weight", vec![d_model, d_ff], Matrix));
            out.push(("ffn_down.weight", vec![d_ff, d_model], Matrix));
        }
    }
    out
}

/// Checks all tensors against the configuration; true when the head is the token embedding.
pub(super) fn check(config: &Config, d: &Directory) -> Result<bool> {
    let [d_model, n_vocab] = [config.d_model, config.n_vocab].map(u64::from);
    let mut seen = HashSet::new();
    let mut want = |name: String, shape: &[u64], kind: Kind| -> Result<()> {
        let tensor = d
            .tensor(&name)
            .ok_or_else(|| Error::MissingTensor { name: name.clone() })?;
        check_one(tensor, shape, kind)?;
        seen.insert(name);
        Ok(())
    };

    want(
        "token_embd.weight".to_owned(),
        &[d_model, n_vocab],
        Kind::Matrix,
    )?;
    want("output_norm.weight".to_owned(), &[d_model], Kind::Vector)?;
    let tied = d.tensor("output.weight").is_none();
    if !tied {
        want(
            "output.weight".to_owned(),
            &[d_model, n_vocab],
            Kind::Matrix,
        )?;
    }
    let pairs = u64::from(config.rope.dim.div_euclid(2));
    for name in config.rope.factors_tensors() {
        if d.tensor(name).is_some() {
            want((*name).to_owned(), &[pairs], Kind::Vector)?;
        }
    }
    let tensors = of_layer(config);
    for layer in 0..config.n_layers {
        for (name, shape, kind) in &tensors {
            want(format!("blk.{layer}.{name}"), shape, *kind)?;
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

fn check_one(tensor: &TensorInfo, want: &[u64], kind: Kind) -> Result<()> {
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
    let supported: &'static [TensorType] = match kind {
        Kind::Vector => &VECTOR_TYPES,
        Kind::Matrix => &MATRIX_TYPES,
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
