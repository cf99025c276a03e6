//! The weights of each layer: which tensors share a buffer, and in which form their products take activations.

use super::Builder;
use crate::error::{Error, Result};
use chord_kernels::act::ActKind;
use chord_kernels::op::BufId;

/// A layer's segments and norms.
pub(super) struct Layer {
    pub attn_norm: BufId,
    /// Products of q, k and v: (segment A, segment B, first value in qkv).
    pub qkv: Vec<(usize, Option<usize>, u32)>,
    pub attn_out: usize,
    pub ffn_norm: BufId,
    pub gate: usize,
    pub up: usize,
    pub down: usize,
    /// Form of the inputs of q|k|v, attention output, gate|up, down.
    pub kinds: [ActKind; 4],
    /// Where the RoPE buffer has the biases of q|k|v, and the norms of q's and k's heads.
    pub bias_at: Option<u32>,
    pub gamma_at: Option<u32>,
}

/// All layers, and where q, k, v start in a token's `qkv`, and its stride: the same in all.
pub(super) struct Layers {
    pub layers: Vec<Layer>,
    pub offsets: [u32; 3],
    pub qkv_stride: u32,
    /// Words of the RoPE buffer that belong to one layer.
    pub head_words: u32,
}

/// A place in the RoPE buffer, which kernels count in 32 bits.
fn place(at: u64) -> Result<u32> {
    u32::try_from(at).map_err(|_| Error::ModelData {
        what: "the RoPE tables are too long for biases and norms behind them".into(),
    })
}

impl Builder<'_> {
    /// Segments and norms of every layer. What belongs to heads goes to `rope`, behind its first `tables` words.
    pub(super) fn layers(&mut self, rope: BufId, tables: u64) -> Result<Layers> {
        let c = self.c;
        let (q_rows, kv_rows) = (c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim);
        // Every tensor starts on a whole tile, whatever it shares a segment with.
        let pad = |n: u32| n.next_multiple_of(32);
        let padded = [q_rows, kv_rows].iter().any(|r| !r.is_multiple_of(32));
        let offsets = [0, pad(q_rows), pad(q_rows) + pad(kv_rows)];
        let qkv_stride = offsets[2] + pad(kv_rows);
        let bias_words = if c.qkv_bias { qkv_stride } else { 0 };
        let head_words = bias_words + if c.qk_norm { 2 * c.head_dim } else { 0 };
        let mut layers = Vec::new();
        for n in 0..c.n_layers {
            let first = tables + u64::from(n) * u64::from(head_words);
            let gamma = first + u64::from(bias_words);
            let bias_at = c.qkv_bias.then(|| place(first)).transpose()?;
            let gamma_at = c.qk_norm.then(|| place(gamma)).transpose()?;
            let parts = ["attn_q", "attn_k", "attn_v"].into_iter().zip(offsets);
            for (part, offset) in parts.filter(|_| c.qkv_bias) {
                self.vector_at(
                    &format!("blk.{n}.{part}.bias"),
                    rope,
                    first + u64::from(offset),
                )?;
            }
            let norms = ["attn_q_norm", "attn_k_norm"]
                .into_iter()
                .zip([0, c.head_dim]);
            for (part, offset) in norms.filter(|_| c.qk_norm) {
                let at = gamma + u64::from(offset);
                self.vector_at(&format!("blk.{n}.{part}.weight"), rope, at)?;
            }
            let name = |part: &str| format!("blk.{n}.{part}.weight");
            let qkv_names = [name("attn_q"), name("attn_k"), name("attn_v")];
            let types = qkv_names
                .iter()
                .map(|n| self.weight_type(n))
                .collect::<Result<Vec<_>>>()?;
            // Neighbours of one type share a segment, if that keeps them where the offsets say.
            let mut runs: Vec<(u32, Vec<String>)> = Vec::new();
            for (i, name) in qkv_names.iter().enumerate() {
                match runs.last_mut() {
                    Some((_, names)) if !padded && types[i] == types[i - 1] => {
                        names.push(name.clone());
                    }
                    _ => runs.push((offsets[i], vec![name.clone()])),
                }
            }
            let mut qkv = Vec::new();
            for pair in runs.chunks(2) {
                let a = self.segment(&pair[0].1)?;
                let second = pair
                    .get(1)
                    .map(|(_, names)| self.segment(names))
                    .transpose()?;
                qkv.push((a, second, pair[0].0));
            }
            let kinds = [
                self.act_kind(&types),
                self.act_kind(&[self.weight_type(&name("attn_output"))?]),
                self.act_kind(&[
                    self.weight_type(&name("ffn_gate"))?,
                    self.weight_type(&name("ffn_up"))?,
                ]),
                self.act_kind(&[self.weight_type(&name("ffn_down"))?]),
            ];
            layers.push(Layer {
                attn_norm: self.vector(&name("attn_norm"))?,
                qkv,
                attn_out: self.segment(&[name("attn_output")])?,
                ffn_norm: self.vector(&name("ffn_norm"))?,
                gate: self.segment(&[name("ffn_gate")])?,
                up: self.segment(&[name("ffn_up")])?,
                down: self.segment(&[name("ffn_down")])?,
                kinds,
                bias_at,
                gamma_at,
            });
        }
        Ok(Layers {
            layers,
            offsets,
            qkv_stride,
            head_words,
        })
    }
}
