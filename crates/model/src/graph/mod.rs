//! Config and options to the static plan: every buffer and every step, decided once. Model families differ in the
//! [`Config`], not here.

mod feed_forward;
mod layers;
mod plan;
mod products;
mod wire;

use crate::config::{Config, RopePairing};
use crate::error::{Error, Result};
use crate::weights::{Segment, Vector, matrix, tensor};
use chord_gguf::Directory;
use chord_kernels::act::ActKind;
use chord_kernels::attention::{Attention, Out};
use chord_kernels::matmul::MatMul;
use chord_kernels::op::{BufDesc, BufId, Role, Step};
use chord_kernels::sample::{self, Sample, SampleTops};
use chord_kernels::{KvShape, PAGE};
use chord_quant::WeightType;
use layers::Layer;
pub use plan::{Batch, GraphOptions, Ids, Plan, Reach, Splits, Tiles};
use wire::Wiring;

struct Builder<'a> {
    d: &'a Directory,
    c: &'a Config,
    o: &'a GraphOptions,
    buffers: Vec<BufDesc>,
    segments: Vec<Segment>,
    vectors: Vec<Vector>,
}

impl Builder<'_> {
    fn buffer(&mut self, label: impl Into<String>, words: u64) -> BufId {
        self.buffer_as(Role::Storage, label, words)
    }

    fn buffer_as(&mut self, role: Role, label: impl Into<String>, words: u64) -> BufId {
        self.buffers.push(BufDesc {
            label: label.into(),
            words,
            role,
        });
        self.buffers.len() - 1
    }

    fn vector(&mut self, name: &str) -> Result<BufId> {
        let len = tensor(self.d, name)?.elements();
        let buffer = self.buffer(name, len.next_multiple_of(32));
        self.vector_at(name, buffer, 0)?;
        Ok(buffer)
    }

    /// A vector that shares a buffer with others, from word `at` on.
    fn vector_at(&mut self, name: &str, buffer: BufId, at: u64) -> Result<()> {
        let info = tensor(self.d, name)?;
        self.vectors.push(Vector {
            name: name.into(),
            buffer,
            at,
            offset: info.offset,
            len: usize::try_from(info.elements()).map_err(|_| Error::ModelData {
                what: format!("{name} is too long"),
            })?,
        });
        Ok(())
    }

    fn weight_type(&self, name: &str) -> Result<WeightType> {
        Ok(matrix(tensor(self.d, name)?)?.0)
    }

    /// Form of the activations that products with these weights take: int8 dots need integer weights.
    fn act_kind(&self, types: &[WeightType]) -> ActKind {
        if !self.o.exact && types.iter().all(|t| t.is_integer()) {
            ActKind::Q8
        } else {
            ActKind::F32
        }
    }
}

/// Builds the plan of a checked model.
///
/// # Errors
/// `E_MODEL_DATA` for shapes the kernels cannot take.
pub fn plan(d: &Directory, c: &Config, o: &GraphOptions) -> Result<Plan> {
    if !c.head_dim.is_multiple_of(4) {
        let what = format!(
            "heads of {} values; the kernels need a multiple of 4",
            c.head_dim
        );
        return Err(Error::ModelData { what });
    }
    let mut b = Builder {
        d,
        c,
        o,
        buffers: Vec::new(),
        segments: Vec::new(),
        vectors: Vec::new(),
    };
    b.build()
}

impl Builder<'_> {
    fn build(&mut self) -> Result<Plan> {
        let (c, o) = (self.c, self.o);
        let rows = self.rows("token_embd.weight")?;
        let embed = self.segment(rows)?;
        let head_segments = if c.tied {
            embed.clone()
        } else {
            let rows = self.rows("output.weight")?;
            self.segment(rows)?
        };
        // The RoPE tables, and behind them what belongs to each layer's heads.
        let strides = u64::from(256 + o.positions.div_ceil(256).max(1));
        let table = 2 * u64::from(c.rope.dim / 2) * strides;
        let local = c.windows.as_ref().and_then(|w| w.rope.as_ref());
        let tables = if local.is_some() { 2 * table } else { table };
        let rope = self.buffers.len();
        self.buffer("rope", 0);
        let layers = self.layers(rope, tables)?;
        let (offsets, qkv_stride) = (layers.offsets, layers.qkv_stride);
        self.buffers[rope].words = tables + u64::from(layers.head_words) * u64::from(c.n_layers);
        let layers = layers.layers;
        let output_norm = self.vector("output_norm.weight")?;
        let head_kind = self.act_kind(&[self.segments[head_segments[0]].ty]);

        let blocks = |n: u32| n.div_ceil(32);
        let widest = |at: usize| {
            if layers.iter().any(|l| l.kinds[at] == ActKind::F32) {
                ActKind::F32
            } else {
                ActKind::Q8
            }
        };
        let first = if head_kind == ActKind::F32 || widest(2) == ActKind::F32 {
            ActKind::F32
        } else {
            widest(0)
        };
        let act_words =
            |n: u32, kind: ActKind| u64::from(o.chunk) * u64::from(blocks(n)) * kind.words() as u64;
        let shape = KvShape {
            n_heads: c.n_heads,
            n_kv_heads: c.n_kv_heads,
            head_dim: c.head_dim,
            rope_dim: c.rope.dim,
            neox: c.rope.pairing == RopePairing::Neox,
            rope_lo: 0,
            rope_hi: 256 * (c.rope.dim / 2),
            qkv_stride,
            k_off: offsets[1],
            v_off: offsets[2],
            seq_pages: o.seq_pages,
            sink_pages: o.sink_pages,
            kv: o.kv,
            scale: c.multipliers.attention,
            bias_at: None,
            qk_norm: None,
            window: None,
            soft_cap: c.soft_caps.attention,
            sinks_at: None,
        };
        let page_words = u64::from(c.n_kv_heads * PAGE) * u64::from(shape.head_words());
        let attention = Attention {
            shape,
            fused: false,
            out: Out::Rows,
            cols: 1,
            wg: o.attention_threads,
            tap: o.taps,
        };
        let head_parts: Vec<(MatMul, usize)> = head_segments
            .into_iter()
            .map(|s| (products::head(&self.segments[s], c, o, head_kind), s))
            .collect();
        let logits_words = u64::from(c.n_vocab.next_multiple_of(32));
        let tap_strides = [
            attention.tap_stride(),
            c.d_model.next_multiple_of(32),
            c.d_model.next_multiple_of(32),
        ];
        let taps = o
            .taps
            .then(|| tap_strides.map(|s| self.buffer("tap", u64::from(o.chunk) * u64::from(s))));
        let ids = Ids {
            rows: self.buffer("rows", 4 * u64::from(o.chunk)),
            table: self.buffer(
                "page table",
                u64::from(o.sequences) * u64::from(o.seq_pages),
            ),
            rope,
            x: self.buffer(
                "residual",
                u64::from(o.chunk) * u64::from(blocks(c.d_model)) * 32,
            ),
            act: self.buffer("act", act_words(c.d_model, first)),
            attn_rows: (!Attention::fills_blocks(&shape)).then(|| {
                self.buffer(
                    "attention rows",
                    u64::from(o.chunk) * u64::from(blocks(c.n_heads * c.head_dim)) * 32,
                )
            }),
            act_attn: self.buffer(
                "act attention",
                act_words(c.n_heads * c.head_dim, widest(1)),
            ),
            attn_parts: o
                .most_splits(&shape)
                .map(|n| self.buffer("attention parts", Attention::parts_words(&shape, n).into())),
            act_ff: self.buffer(
                "act ffn",
                act_words(c.d_ff, widest(3)) * c.experts.map_or(1, |e| u64::from(e.used)),
            ),
            added: c.arch.family().post_norms.then(|| {
                self.buffer(
                    "added",
                    u64::from(o.chunk) * u64::from(blocks(c.d_model)) * 32,
                )
            }),
            router: c.experts.map(|experts| {
                let stride = u64::from(blocks(experts.count)) * 32;
                self.buffer("router", u64::from(o.chunk) * stride)
            }),
            routed: c.experts.filter(|_| o.by_tiles()).map(|experts| {
                let routes = u64::from(o.chunk) * u64::from(experts.used);
                self.buffer("routed", routes * u64::from(blocks(c.d_model)) * 32)
            }),
            act_experts: layers
                .iter()
                .any(Layer::quantises)
                .then(|| self.buffer("act experts", act_words(c.d_model, ActKind::Q8))),
            act_head: self.buffer(
                "act head",
                u64::from(blocks(c.d_model)) * head_kind.words() as u64,
            ),
            act_head_words: blocks(c.d_model) * head_kind.words() as u32,
            qkv: self.buffer("qkv", u64::from(o.chunk) * u64::from(qkv_stride)),
            logits: self.buffer("logits", logits_words),
            logits_words,
            sampler: {
                let params = self.buffer_as(Role::Uniform, "sampler", 8);
                [
                    params,
                    self.buffer("ctl", sample::ctl::WORDS as u64),
                    self.buffer("eog", u64::from(o.eog.max(1))),
                    self.buffer("tops", SampleTops::words(c.n_vocab)),
                ]
            },
            page: self.buffer("page", page_words),
            page_words,
            kv: (0..c.n_layers)
                .map(|n| {
                    let words = u64::from(o.pages) * page_words;
                    (
                        self.buffer_as(shape.key_role(), format!("K {n}"), words),
                        self.buffer(format!("V {n}"), words),
                    )
                })
                .collect(),
            taps,
            tap_strides,
        };
        let wiring = Wiring {
            config: c,
            options: o,
            segments: &self.segments,
            layers: &layers,
            ids: &ids,
            shape,
            table_words: table,
            embed,
            output_norm,
            head_kind,
        };
        let (prefill, decode) = (wiring.steps(Batch::Few), wiring.steps(Batch::One));
        let tiled = o.tiles.map(|_| wiring.steps(Batch::Many).all);
        let layer_shapes = (0..c.n_layers).map(|n| wiring.layer_shape(n)).collect();
        let head = head_parts.iter().map(|(kernel, segment)| {
            let s = &self.segments[*segment];
            let bind = vec![
                (1, s.quants),
                (2, s.scales),
                (5, ids.act_head),
                (6, ids.logits),
            ];
            Step::new("head", kernel.clone(), bind)
        });
        let head = head.collect();
        let [params, ctl, eog, tops] = ids.sampler;
        let tops_kernel = SampleTops {
            n_vocab: c.n_vocab,
            chunk_per_thread: o.layout.is_row_per_thread(),
        };
        let bind = vec![(0, params), (1, ids.logits), (2, ctl), (3, tops)];
        let tops_step = Step::new("sample_tops", tops_kernel, bind);
        let bind = [params, ids.logits, ids.rows, ctl, eog, tops];
        let sample = Step::new("sample", Sample, (0..).zip(bind).collect());
        let mut act_kinds: Vec<_> = layers.iter().map(|l| l.kinds).collect();
        act_kinds.push([head_kind; 4]);
        Ok(Plan {
            buffers: std::mem::take(&mut self.buffers),
            segments: std::mem::take(&mut self.segments),
            vectors: std::mem::take(&mut self.vectors),
            prefill: prefill.all,
            tiled,
            splits: o.splits.filter(|_| decode.reach.contains(&Reach::Long)),
            decode: decode.all,
            reach: decode.reach,
            head,
            sample: [tops_step, sample],
            head_parts,
            ids,
            kv_shape: shape,
            layer_shapes,
            pages: o.pages,
            prefill_cols: o.cols,
            row_multiples: [o.cols, o.tiles.map_or(o.cols, |t| t.cols)]
                .map(|c| c.max(o.attention_cols)),
            chunk: o.chunk,
            layout: o.layout,
            act_kinds,
        })
    }
}
