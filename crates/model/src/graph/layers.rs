//! The weights of each layer: which tensors share a buffer, and in which form their products take activations.

use super::Builder;
use crate::error::{Error, Result};
use crate::weights::{Rows, Segment, matrix, tensor};
use chord_kernels::act::ActKind;
use chord_kernels::op::BufId;

/// A layer's segments and norms. A matrix is several segments where a binding limit asks for it.
pub(super) struct Layer {
    pub attn_norm: BufId,
    /// Products of q, k and v.
    pub qkv: Vec<Projection>,
    pub attn_out: Vec<usize>,
    /// The norm before the feed-forward layer, and behind it the bias of the attention's output.
    pub ffn_norm: BufId,
    /// Norms of what attention and feed-forward add to the residual.
    pub post_norms: Option<[BufId; 2]>,
    /// In parts of the same rows.
    pub gate: Vec<usize>,
    pub up: Vec<usize>,
    pub down: Vec<usize>,
    pub experts: Option<LayerExperts>,
    /// Form of the inputs of q|k|v, attention output, gate|up (of the router, where there is one), down.
    pub kinds: [ActKind; 4],
    /// Where the RoPE buffer has the biases of q|k|v, the norms of q's and k's heads, and the attention sinks.
    pub bias_at: Option<u32>,
    pub gamma_at: Option<u32>,
    pub sinks_at: Option<u32>,
}

/// One product of q, k and v.
pub(super) struct Projection {
    pub a: usize,
    pub b: Option<usize>,
    /// First value in qkv.
    pub first: u32,
}

/// What a mixture of experts has besides its matrices.
pub(super) struct LayerExperts {
    pub router: Vec<usize>,
    /// Routes of a batch, then the biases.
    pub routes: BufId,
    /// Where it has biases of the router, of gate and up, and of down.
    pub bias_at: Option<[u32; 4]>,
    /// Where it has the rows of the batch, if batches go by tiles.
    pub rows_at: Option<u32>,
    /// Form of the input of gate|up; the router's is the layer's.
    pub input: ActKind,
}

impl Layer {
    /// The experts take another form of input than the router.
    pub(super) fn quantises(&self) -> bool {
        let experts = self.experts.as_ref();
        experts.is_some_and(|experts| experts.input != self.kinds[2])
    }
}

/// All layers, and where q, k, v start in a token's `qkv`, and its stride: the same in all.
pub(super) struct Layers {
    pub layers: Vec<Layer>,
    pub offsets: [u32; 3],
    pub qkv_stride: u32,
    /// Words of the RoPE buffer that belong to one layer.
    pub head_words: u32,
}

/// A place in a buffer, which kernels count in 32 bits.
fn place(at: u64) -> Result<u32> {
    u32::try_from(at).map_err(|_| Error::ModelData {
        what: "the RoPE tables are too long for biases and norms behind them".into(),
    })
}

impl Builder<'_> {
    /// All rows of a tensor.
    pub(super) fn rows(&self, name: &str) -> Result<Vec<Rows>> {
        let (.., count) = matrix(tensor(self.d, name)?)?;
        let name = name.to_owned();
        Ok(vec![Rows {
            name,
            first: 0,
            count,
        }])
    }

    /// Matrices of the same rows, each in as many segments as the binding limit asks for, cut at the same multiples of `unit`
    /// rows.
    pub(super) fn segments(
        &mut self,
        matrices: &[Vec<Rows>],
        unit: usize,
    ) -> Result<Vec<Vec<usize>>> {
        let mut most = usize::MAX;
        for rows in matrices {
            let name = rows.first().map_or("", |rows| rows.name.as_str());
            let (ty, k, _) = matrix(tensor(self.d, name)?)?;
            most = most.min(Segment::most_rows(ty, k, unit, self.o.max_binding)?);
        }
        let mut out = Vec::new();
        for rows in matrices {
            let mut parts = Vec::new();
            for row0 in (0..Rows::total(rows)).step_by(most) {
                let segment = Segment::new(self.d, rows, row0, most, &mut self.buffers)?;
                self.segments.push(segment);
                parts.push(self.segments.len() - 1);
            }
            out.push(parts);
        }
        Ok(out)
    }

    /// A matrix in as many segments as the binding limit asks for.
    pub(super) fn segment(&mut self, rows: Vec<Rows>) -> Result<Vec<usize>> {
        Ok(self.segments(&[rows], 32)?.swap_remove(0))
    }

    /// Segments and norms of every layer. What belongs to heads goes to `rope`, behind its first `tables` words.
    pub(super) fn layers(&mut self, rope: BufId, tables: u64) -> Result<Layers> {
        let c = self.c;
        let (q_rows, kv_rows) = (c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim);
        // Every tensor starts on a whole tile, whatever it shares a segment with; one tensor of all three has no gaps.
        let pad = |n: u32| {
            if c.fused_qkv {
                n
            } else {
                n.next_multiple_of(32)
            }
        };
        let offsets = [0, pad(q_rows), pad(q_rows) + pad(kv_rows)];
        let qkv_stride = (offsets[2] + kv_rows).next_multiple_of(32);
        let bias_words = if c.qkv_bias { qkv_stride } else { 0 };
        let norm_words = if c.qk_norm { 2 * c.head_dim } else { 0 };
        let sink_words = if c.arch.family().sinks { c.n_heads } else { 0 };
        let head_words = bias_words + norm_words + sink_words;
        let mut layers = Vec::new();
        for n in 0..c.n_layers {
            let first = tables + u64::from(n) * u64::from(head_words);
            let gamma = first + u64::from(bias_words);
            let sinks = gamma + u64::from(norm_words);
            let name = |part: &str| format!("blk.{n}.{part}");
            let biases: &[(&str, u32)] = if c.fused_qkv {
                &[("attn_qkv.bias", 0)]
            } else {
                &[
                    ("attn_q.bias", 0),
                    ("attn_k.bias", offsets[1]),
                    ("attn_v.bias", offsets[2]),
                ]
            };
            for (part, offset) in biases.iter().filter(|_| c.qkv_bias) {
                self.vector_at(&name(part), rope, first + u64::from(*offset))?;
            }
            let norms = ["attn_q_norm.weight", "attn_k_norm.weight"]
                .into_iter()
                .zip([0, c.head_dim]);
            for (part, offset) in norms.filter(|_| c.qk_norm) {
                self.vector_at(&name(part), rope, gamma + u64::from(offset))?;
            }
            if sink_words > 0 {
                self.vector_at(&name("attn_sinks.weight"), rope, sinks)?;
            }
            let (qkv, qkv_kind) = self.projections(n, offsets)?;
            let attn_out = name("attn_output.weight");
            let attn_kind = self.act_kind(&[self.weight_type(&attn_out)?]);
            let attn_norm = self.vector(&name("attn_norm.weight"))?;
            let ffn_norm = self.norm_and_bias(
                &name(&format!("{}.weight", c.arch.family().ffn_norm)),
                c.attn_out_bias.then(|| name("attn_output.bias")),
            )?;
            let post_norms = if c.arch.family().post_norms {
                Some([
                    self.vector(&name("post_attention_norm.weight"))?,
                    self.vector(&name("post_ffw_norm.weight"))?,
                ])
            } else {
                None
            };
            let attn_out = self.rows(&attn_out)?;
            let attn_out = self.segment(attn_out)?;
            let ffn = self.feed_forward(n)?;
            layers.push(Layer {
                attn_norm,
                qkv,
                attn_out,
                ffn_norm,
                post_norms,
                gate: ffn.gate,
                up: ffn.up,
                down: ffn.down,
                experts: ffn.experts,
                kinds: [qkv_kind, attn_kind, ffn.kinds[0], ffn.kinds[1]],
                bias_at: c.qkv_bias.then(|| place(first)).transpose()?,
                gamma_at: c.qk_norm.then(|| place(gamma)).transpose()?,
                sinks_at: (sink_words > 0).then(|| place(sinks)).transpose()?,
            });
        }
        Ok(Layers {
            layers,
            offsets,
            qkv_stride,
            head_words,
        })
    }

    /// The weight of a norm, and behind it, where there is one, a bias of as many values.
    fn norm_and_bias(&mut self, norm: &str, bias: Option<String>) -> Result<BufId> {
        let Some(bias) = bias else {
            return self.vector(norm);
        };
        let padded = tensor(self.d, norm)?.elements().next_multiple_of(32);
        let buffer = self.buffer(format!("{norm}+{bias}"), 2 * padded);
        self.vector_at(norm, buffer, 0)?;
        self.vector_at(&bias, buffer, padded)?;
        Ok(buffer)
    }

    /// Products of q, k and v of layer `n`, and the form of their input.
    fn projections(&mut self, n: u32, offsets: [u32; 3]) -> Result<(Vec<Projection>, ActKind)> {
        let name = |part: &str| format!("blk.{n}.{part}.weight");
        let names = if self.c.fused_qkv {
            vec![name("attn_qkv")]
        } else {
            ["attn_q", "attn_k", "attn_v"].map(name).to_vec()
        };
        let types = names
            .iter()
            .map(|n| self.weight_type(n))
            .collect::<Result<Vec<_>>>()?;
        // Neighbours of one type share a segment, if that keeps them where the offsets say.
        let mut runs: Vec<(u32, Vec<Rows>)> = Vec::new();
        let mut before = None;
        for ((name, ty), offset) in names.iter().zip(&types).zip(offsets) {
            let rows = self.rows(name)?;
            match runs.last_mut() {
                Some((first, all))
                    if before == Some(*ty)
                        && *first as usize + Rows::total(all) == offset as usize =>
                {
                    all.extend(rows);
                }
                _ => runs.push((offset, rows)),
            }
            before = Some(*ty);
        }
        let mut parts: Vec<(usize, u32)> = Vec::new();
        for (first, rows) in runs {
            for segment in self.segment(rows)? {
                let row0 = self.segments[segment].row0 as u32;
                parts.push((segment, first + row0));
            }
        }
        // Two neighbours go in one dispatch where the second's values follow the first's tiles.
        let mut out: Vec<Projection> = Vec::new();
        for (segment, first) in parts {
            match out.last_mut() {
                Some(last) if last.b.is_none() && self.end_of(last) == first => {
                    last.b = Some(segment);
                }
                _ => out.push(Projection {
                    a: segment,
                    b: None,
                    first,
                }),
            }
        }
        Ok((out, self.act_kind(&types)))
    }

    /// Where the tiles of a product of one matrix end in qkv.
    fn end_of(&self, product: &Projection) -> u32 {
        product.first + (self.segments[product.a].rows as u32).next_multiple_of(32)
    }
}
