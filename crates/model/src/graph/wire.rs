//! Steps of all layers, bound to buffers: for a batch of rows, and for the one row of decoding.

use super::layers::Layer;
use super::{GraphOptions, Ids};
use crate::config::Config;
use crate::weights::Segment;
use chord_kernels::KvShape;
use chord_kernels::act::ActKind;
use chord_kernels::activate::Activate;
use chord_kernels::attention::Attention;
use chord_kernels::embed::Embed;
use chord_kernels::kv_write::KvWrite;
use chord_kernels::matmul::{Epilogue, MatMul};
use chord_kernels::op::{BufId, Step};

/// Everything the steps refer to.
pub(super) struct Wiring<'a> {
    pub config: &'a Config,
    pub options: &'a GraphOptions,
    pub segments: &'a [Segment],
    pub layers: &'a [Layer],
    pub ids: &'a Ids,
    pub shape: KvShape,
    pub embed: usize,
    pub output_norm: BufId,
    pub head_kind: ActKind,
}

/// Where a residual product reads, writes and what follows it.
struct Residual {
    name: String,
    segment: usize,
    act_in: (BufId, ActKind),
    next_norm: BufId,
    act_out: (BufId, ActKind),
    tap: usize,
}

/// A product without its place in the layer.
fn product(
    a: &Segment,
    b: Option<&Segment>,
    c: &Config,
    o: &GraphOptions,
    epilogue: Epilogue,
) -> MatMul {
    MatMul {
        a: a.ty,
        b: b.map(|s| s.ty),
        rows_a: a.rows as u32,
        rows_b: b.map_or(0, |s| s.rows as u32),
        k_blocks: a.k.div_ceil(32) as u32,
        epilogue,
        norm: (epilogue != Epilogue::Residual).then_some((c.d_model, c.rms_eps)),
        scale: 1.0,
        act_in: ActKind::F32,
        act_out: ActKind::F32,
        cols: 1,
        layout: o.layout,
        tap: None,
        place: None,
    }
}

/// The head over one row.
pub(super) fn head(segment: &Segment, c: &Config, o: &GraphOptions, kind: ActKind) -> MatMul {
    MatMul {
        act_in: kind,
        scale: c.multipliers.logit,
        ..product(segment, None, c, o, Epilogue::Plain)
    }
}

impl Wiring<'_> {
    fn streams(&self, segment: usize, slots: [u32; 2]) -> [(u32, BufId); 2] {
        let s = &self.segments[segment];
        [(slots[0], s.quants), (slots[1], s.scales)]
    }

    /// Embedding and every layer, for a batch or for one row.
    pub(super) fn steps(&self, batch: bool) -> Vec<Step> {
        let (c, ids) = (self.config, self.ids);
        let embed = &self.segments[self.embed];
        let first = &self.layers[0];
        let kernel = Embed {
            a: embed.ty,
            n_vocab: c.n_vocab,
            k_blocks: c.d_model.div_ceil(32),
            scale: c.multipliers.embedding,
            act_out: first.kinds[0],
        };
        let mut bind = self.streams(self.embed, [1, 2]).to_vec();
        bind.extend([
            (3, ids.rows),
            (4, first.attn_norm),
            (5, ids.x),
            (6, ids.act),
        ]);
        let mut steps = vec![Step::new("embed", kernel, bind)];
        for n in 0..self.layers.len() {
            self.attention_steps(n, batch, &mut steps);
            self.ffn_steps(n, batch, &mut steps);
        }
        steps
    }

    fn cols(&self, batch: bool) -> u32 {
        if batch { self.options.cols } else { 1 }
    }

    fn attention_steps(&self, n: usize, batch: bool, steps: &mut Vec<Step>) {
        let (ids, layer) = (self.ids, &self.layers[n]);
        let shape = KvShape {
            rope_dim: self.config.rope.dim_of_layer(n as u32),
            bias_at: layer.bias_at,
            qk_norm: layer.gamma_at.map(|at| (self.config.rms_eps, at)),
            ..self.shape
        };
        let [qkv_kind, attn_kind, ffn_kind, _] = layer.kinds;
        for (i, (a, b, first)) in layer.qkv.iter().enumerate() {
            let second = b.map(|b| &self.segments[b]);
            let kernel = MatMul {
                act_in: qkv_kind,
                cols: self.cols(batch),
                place: Some((*first, shape.qkv_stride)),
                ..product(
                    &self.segments[*a],
                    second,
                    self.config,
                    self.options,
                    Epilogue::Plain,
                )
            };
            let mut bind = self.streams(*a, [1, 2]).to_vec();
            bind.extend(b.iter().flat_map(|b| self.streams(*b, [3, 4])));
            bind.extend([(5, ids.act), (6, ids.qkv)]);
            let name = if i == 0 { "qkv" } else { "qkv2" };
            steps.push(Step::new(format!("layer{n}.{name}"), kernel, bind));
        }
        let (k, v) = ids.kv[n];
        let mut bind = vec![
            (1, ids.qkv),
            (2, k),
            (3, v),
            (4, ids.rope),
            (5, ids.rows),
            (6, ids.table),
        ];
        let fused = !batch && Attention::subgroups(&shape) == 1;
        if !fused {
            let kernel = KvWrite { shape, wg: 32 };
            steps.push(Step::new(
                format!("layer{n}.kv_write"),
                kernel,
                bind.clone(),
            ));
        }
        let taps = ids.taps.filter(|_| batch);
        bind.push((7, ids.attn_rows.unwrap_or(ids.act_attn)));
        bind.extend(taps.map(|t| (8, t[0])));
        let kernel = Attention {
            shape,
            fused,
            act_out: ids.attn_rows.is_none().then_some(attn_kind),
            wg: self.options.attention_threads,
            tap: taps.is_some(),
        };
        steps.push(Step::new(format!("layer{n}.attention"), kernel, bind));
        if let Some(rows) = ids.attn_rows {
            let n_values = shape.n_heads * shape.head_dim;
            let kernel = Activate {
                n_values,
                stride: n_values.next_multiple_of(32),
                act_out: attn_kind,
            };
            let bind = vec![(1, rows), (2, ids.act_attn)];
            steps.push(Step::new(format!("layer{n}.activate"), kernel, bind));
        }
        let projection = Residual {
            name: format!("layer{n}.attn_out"),
            segment: layer.attn_out,
            act_in: (ids.act_attn, attn_kind),
            next_norm: layer.ffn_norm,
            act_out: (ids.act, ffn_kind),
            tap: 1,
        };
        steps.push(self.residual(projection, batch));
    }

    fn ffn_steps(&self, n: usize, batch: bool, steps: &mut Vec<Step>) {
        let (ids, layer) = (self.ids, &self.layers[n]);
        let [_, _, ffn_kind, down_kind] = layer.kinds;
        let up = Some(&self.segments[layer.up]);
        let kernel = MatMul {
            act_in: ffn_kind,
            act_out: down_kind,
            cols: self.cols(batch),
            ..product(
                &self.segments[layer.gate],
                up,
                self.config,
                self.options,
                Epilogue::Glu,
            )
        };
        let mut bind = self.streams(layer.gate, [1, 2]).to_vec();
        bind.extend(self.streams(layer.up, [3, 4]));
        bind.extend([(5, ids.act), (8, ids.act_ff)]);
        steps.push(Step::new(format!("layer{n}.glu"), kernel, bind));
        let next = self.layers.get(n + 1);
        let (next_norm, next_kind) = next.map_or((self.output_norm, self.head_kind), |l| {
            (l.attn_norm, l.kinds[0])
        });
        // The last layer of a single row feeds the head directly; of a batch, the engine picks the row.
        let out = if next.is_none() && !batch {
            ids.act_head
        } else {
            ids.act
        };
        let down = Residual {
            name: format!("layer{n}.down"),
            segment: layer.down,
            act_in: (ids.act_ff, down_kind),
            next_norm,
            act_out: (out, next_kind),
            tap: 2,
        };
        steps.push(self.residual(down, batch));
    }

    fn residual(&self, r: Residual, batch: bool) -> Step {
        let taps = self.ids.taps.filter(|_| batch);
        let kernel = MatMul {
            act_in: r.act_in.1,
            act_out: r.act_out.1,
            cols: self.cols(batch),
            tap: taps.map(|_| self.ids.tap_strides[r.tap]),
            scale: self.config.multipliers.residual,
            ..product(
                &self.segments[r.segment],
                None,
                self.config,
                self.options,
                Epilogue::Residual,
            )
        };
        let mut bind = self.streams(r.segment, [1, 2]).to_vec();
        bind.extend([
            (5, r.act_in.0),
            (6, self.ids.x),
            (7, r.next_norm),
            (8, r.act_out.0),
        ]);
        bind.extend(taps.map(|t| (9, t[r.tap])));
        Step::new(r.name, kernel, bind)
    }
}
