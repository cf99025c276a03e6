//! Steps of all layers, bound to buffers: for a batch of rows, and for the one row of decoding.

use super::layers::Layer;
use super::products::{Residual, product};
use super::{Batch, GraphOptions, Ids, Reach};
use crate::config::Config;
use crate::weights::Segment;
use chord_kernels::KvShape;
use chord_kernels::act::ActKind;
use chord_kernels::activate::Activate;
use chord_kernels::attention::{Attention, AttentionReduce, Out};
use chord_kernels::embed::Embed;
use chord_kernels::kv_write::KvWrite;
use chord_kernels::matmul::{Epilogue, Layout, MatMul};
use chord_kernels::op::{BufId, Step};
use chord_kernels::route::Route;
use chord_kernels::variants::EXPERT_COLS;

/// Everything the steps refer to.
pub(super) struct Wiring<'a> {
    pub config: &'a Config,
    pub options: &'a GraphOptions,
    pub segments: &'a [Segment],
    pub layers: &'a [Layer],
    pub ids: &'a Ids,
    pub shape: KvShape,
    /// Words of one RoPE table.
    pub table_words: u64,
    pub embed: Vec<usize>,
    pub output_norm: BufId,
    pub head_kind: ActKind,
}

/// Steps and which tokens they are for.
#[derive(Default)]
pub(super) struct Steps {
    pub all: Vec<Step>,
    pub reach: Vec<Reach>,
}

impl Steps {
    pub(super) fn push(&mut self, step: Step) {
        self.push_for(Reach::Any, step);
    }

    fn push_for(&mut self, reach: Reach, step: Step) {
        self.all.push(step);
        self.reach.push(reach);
    }
}

impl Wiring<'_> {
    /// The KV store's shape with what sets layer `n` apart.
    pub(super) fn layer_shape(&self, n: u32) -> KvShape {
        let c = self.config;
        let layer = &self.layers[n as usize];
        let window = c.windows.as_ref().and_then(|w| w.of_layer(n));
        // The table of layers with windows follows the other; entries are two words.
        let own = c.windows.as_ref().and_then(|w| w.rope.as_ref());
        let table = match (window, own) {
            (Some(_), Some(_)) => (self.table_words / 2) as u32,
            _ => 0,
        };
        KvShape {
            rope_dim: c.rope.dim_of_layer(n),
            rope_lo: self.shape.rope_lo + table,
            rope_hi: self.shape.rope_hi + table,
            bias_at: layer.bias_at,
            qk_norm: layer.gamma_at.map(|at| (c.rms_eps, at)),
            sinks_at: layer.sinks_at,
            window,
            ..self.shape
        }
    }

    /// Workgroups that share the pages of a layer's sequence; None where one alone is enough.
    fn splits(&self, shape: &KvShape) -> Option<u32> {
        let splits = self.options.splits?;
        let sees = shape.window.unwrap_or(u32::MAX);
        (sees > splits.above).then(|| self.options.most_splits(&self.shape))?
    }

    /// Embedding and every layer.
    pub(super) fn steps(&self, batch: Batch) -> Steps {
        let (c, ids) = (self.config, self.ids);
        let first = &self.layers[0];
        let mut steps = Steps::default();
        for embed in &self.embed {
            let segment = &self.segments[*embed];
            let kernel = Embed {
                a: segment.ty,
                n_vocab: c.n_vocab,
                part: (segment.row0 as u32, segment.rows as u32),
                k_blocks: c.d_model.div_ceil(32),
                scale: c.multipliers.embedding,
                act_out: first.kinds[0],
            };
            let mut bind = self.streams(*embed, [1, 2]).to_vec();
            bind.extend([
                (3, ids.rows),
                (4, first.attn_norm),
                (5, ids.x),
                (6, ids.act),
            ]);
            steps.push(Step::new("embed", kernel, bind));
        }
        for n in 0..self.layers.len() {
            self.attention_steps(n, batch, &mut steps);
            self.ffn_steps(n, batch, &mut steps);
        }
        steps
    }

    fn attention_steps(&self, n: usize, batch: Batch, steps: &mut Steps) {
        let several = batch != Batch::One;
        let (ids, layer) = (self.ids, &self.layers[n]);
        let shape = self.layer_shape(n as u32);
        let [qkv_kind, attn_kind, ffn_kind, _] = layer.kinds;
        for (i, projection) in layer.qkv.iter().enumerate() {
            let name = match i {
                0 => format!("layer{n}.qkv"),
                i => format!("layer{n}.qkv{}", i + 1),
            };
            let out = (ids.qkv, (projection.first, shape.qkv_stride));
            let matrices = (projection.a, projection.b);
            steps.push(self.plain(name, matrices, (ids.act, qkv_kind), out, batch));
        }
        let (k, v) = ids.kv[n];
        let bind = vec![
            (1, ids.qkv),
            (2, k),
            (3, v),
            (4, ids.rope),
            (5, ids.rows),
            (6, ids.table),
        ];
        let fused = !several && Attention::subgroups(&shape) == 1;
        if !fused {
            let kernel = KvWrite { shape, wg: 32 };
            steps.push(Step::new(
                format!("layer{n}.kv_write"),
                kernel,
                bind.clone(),
            ));
        }
        let splits = self.splits(&shape).filter(|_| !several);
        let whole = splits.map_or(Reach::Any, |_| Reach::Short);
        let taps = ids.taps.filter(|_| several);
        let attention = Attention {
            shape,
            fused,
            out: match ids.attn_rows {
                Some(_) => Out::Rows,
                None => Out::Blocks(attn_kind),
            },
            cols: if several && taps.is_none() {
                let (threads, most) = (self.options.attention_threads, self.options.attention_cols);
                Attention::cols(&shape, threads, most)
            } else {
                1
            },
            wg: self.options.attention_threads,
            tap: taps.is_some(),
        };
        let bound = |out: BufId| [&bind[..], &[(7, out)]].concat();
        let mut of_whole = bound(ids.attn_rows.unwrap_or(ids.act_attn));
        of_whole.extend(taps.map(|t| (8, t[0])));
        let name = format!("layer{n}.attention");
        steps.push_for(whole, Step::new(name, attention.clone(), of_whole));
        if let Some(rows) = ids.attn_rows {
            let n_values = shape.n_heads * shape.head_dim;
            let kernel = Activate {
                n_values,
                stride: n_values.next_multiple_of(32),
                act_out: attn_kind,
            };
            let bind = vec![(1, rows), (2, ids.act_attn)];
            steps.push_for(whole, Step::new(format!("layer{n}.activate"), kernel, bind));
        }
        if let (Some(splits), Some(parts)) = (splits, ids.attn_parts) {
            let kernel = Attention {
                out: Out::Parts(splits),
                ..attention
            };
            let name = format!("layer{n}.attention_split");
            steps.push_for(Reach::Long, Step::new(name, kernel, bound(parts)));
            let kernel = AttentionReduce {
                shape,
                splits,
                act_out: attn_kind,
            };
            let bind = vec![(1, parts), (2, ids.act_attn)];
            let name = format!("layer{n}.attention_reduce");
            steps.push_for(Reach::Long, Step::new(name, kernel, bind));
        }
        let projection = Residual {
            name: format!("layer{n}.attn_out"),
            segments: &layer.attn_out,
            act_in: (ids.act_attn, attn_kind),
            next_norm: layer.ffn_norm,
            bias: self.config.attn_out_bias,
            post_norm: layer.post_norms.map(|norms| ("attn_post_norm", norms[0])),
            act_out: (ids.act, ffn_kind),
            tap: 1,
        };
        self.residual(n, &projection, None, batch, steps);
    }

    fn ffn_steps(&self, n: usize, batch: Batch, steps: &mut Steps) {
        let (c, ids, layer) = (self.config, self.ids, &self.layers[n]);
        let [_, _, ffn_kind, down_kind] = layer.kinds;
        let mut input = (ids.act, ffn_kind);
        if let (Some(experts), Some(routes), Some(logits)) = (c.experts, &layer.experts, ids.router)
        {
            let stride = experts.count.next_multiple_of(32);
            for router in &routes.router {
                let place = (self.segments[*router].row0 as u32, stride);
                let name = format!("layer{n}.router");
                steps.push(self.plain(name, (*router, None), input, (logits, place), batch));
            }
            let quantised = ids.act_experts.filter(|_| layer.quantises());
            let kernel = Route {
                n_experts: experts.count,
                used: experts.used,
                stride,
                bias_at: routes.bias_at.map(|at| at[0]),
                quantise: quantised.map(|_| c.d_model.div_ceil(32)),
                rows_at: routes.rows_at.filter(|_| batch == Batch::Many),
            };
            let mut bind = vec![(1, logits), (2, routes.routes)];
            if let Some(quantised) = quantised {
                bind.extend([(3, ids.act), (4, quantised)]);
                input = (quantised, ActKind::Q8);
            }
            steps.push(Step::new(format!("layer{n}.route"), kernel, bind));
        }
        for (gate, up) in layer.gate.iter().zip(&layer.up) {
            let segment = &self.segments[*gate];
            let experts = self.experts(layer, *gate, c.d_ff, [1, 2], batch);
            let whole = product(
                segment,
                Some(&self.segments[*up]),
                c,
                self.options,
                Epilogue::Glu,
            );
            let (layout, cols) = self.shared(batch, input.1);
            let mut kernel = MatMul {
                act_in: input.1,
                act_out: down_kind,
                layout,
                cols,
                glu: c.arch.family().glu,
                part: (layer.gate.len() > 1)
                    .then_some((segment.row0 as u32 / 32, c.d_ff.div_ceil(32))),
                ..whole
            };
            let mut bind = self.streams(*gate, [1, 2]).to_vec();
            bind.extend(self.streams(*up, [3, 4]));
            bind.extend([(5, input.0), (8, ids.act_ff)]);
            if let (Some(_), Some(of_layer)) = (experts, &layer.experts) {
                let (layout, cols) = match batch {
                    Batch::Many => (Layout::Tile, EXPERT_COLS),
                    Batch::One | Batch::Few => (self.options.layout, 1),
                };
                kernel = MatMul {
                    rows_a: c.d_ff,
                    rows_b: c.d_ff,
                    layout,
                    cols,
                    part: None,
                    experts,
                    ..kernel
                };
                bind.push((10, of_layer.routes));
            }
            steps.push(Step::new(format!("layer{n}.glu"), kernel, bind));
        }
        let next = self.layers.get(n + 1);
        let (next_norm, next_kind) = next.map_or((self.output_norm, self.head_kind), |l| {
            (l.attn_norm, l.kinds[0])
        });
        // The last layer of a single row feeds the head directly; of a batch, the engine picks the row.
        let out = if next.is_none() && batch == Batch::One {
            ids.act_head
        } else {
            ids.act
        };
        let down = Residual {
            name: format!("layer{n}.down"),
            segments: &layer.down,
            act_in: (ids.act_ff, down_kind),
            next_norm,
            bias: false,
            post_norm: layer.post_norms.map(|norms| ("ffn_post_norm", norms[1])),
            act_out: (out, next_kind),
            tap: 2,
        };
        let routes = layer.experts.as_ref().map(|experts| experts.routes);
        self.residual(n, &down, routes, batch, steps);
    }
}
