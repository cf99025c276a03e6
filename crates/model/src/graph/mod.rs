//! Config and options to the static plan: every buffer and every step, decided once. Model families differ in the
//! [`Config`], not here.

mod layers;
mod wire;

use crate::config::{Config, RopePairing};
use crate::error::{Error, Result};
use crate::weights::{Segment, Vector, matrix, tensor};
use chord_gguf::Directory;
use chord_kernels::act::ActKind;
use chord_kernels::attention::Attention;
use chord_kernels::matmul::{Layout, MatMul};
use chord_kernels::op::{BufDesc, BufId, Role, Step};
use chord_kernels::sample::{self, Sample};
use chord_kernels::{KvShape, KvType, PAGE};
use chord_quant::WeightType;
use wire::Wiring;

/// What the plan is made for.
#[derive(Clone, Debug)]
pub struct GraphOptions {
    /// KV storage.
    pub kv: KvType,
    /// Keep every operand f32; else activations may be int8.
    pub exact: bool,
    /// Pages a sequence may hold.
    pub seq_pages: u32,
    /// First pages of a sequence that a ring never recycles.
    pub sink_pages: u32,
    /// Pages in the store.
    pub pages: u32,
    /// Sequences.
    pub sequences: u32,
    /// Rows of the largest batch; a multiple of `cols`.
    pub chunk: u32,
    /// Tokens per workgroup of a batch.
    pub cols: u32,
    /// Thread layout of matrix products.
    pub layout: Layout,
    /// Threads of attention.
    pub attention_threads: u32,
    /// End-of-generation ids.
    pub eog: u32,
    /// Positions the RoPE table covers (beyond the context in a ring).
    pub positions: u32,
    /// Batch steps also write what trace shows.
    pub taps: bool,
}

/// Buffers the engine writes or reads by itself.
#[derive(Clone, Debug)]
pub struct Ids {
    /// Batch rows: (token, position, table base, valid).
    pub rows: BufId,
    /// Page table, `[sequences, seq_pages]`.
    pub table: BufId,
    /// RoPE table.
    pub rope: BufId,
    /// Residual stream, `[chunk, d_model padded]`.
    pub x: BufId,
    /// Inputs of the products that follow a norm, `[chunk]` rows of blocks.
    pub act: BufId,
    /// Attention output.
    pub act_attn: BufId,
    /// Attention output as plain rows, where a KV head's group does not fill whole blocks.
    pub attn_rows: Option<BufId>,
    /// FFN inner activation.
    pub act_ff: BufId,
    /// The head's input, one row.
    pub act_head: BufId,
    /// Words of one row of `act_head`, and of the last layer's rows in `act`.
    pub act_head_words: u32,
    /// `q|k|v` of the batch.
    pub qkv: BufId,
    /// One row of logits, padded to whole tiles.
    pub logits: BufId,
    /// Words of it.
    pub logits_words: u64,
    /// Sampler parameters, control words, end-of-generation ids.
    pub sampler: [BufId; 3],
    /// One page of K or V: a copy within one buffer goes through it.
    pub page: BufId,
    /// Words of a page of K or V of one layer.
    pub page_words: u64,
    /// K and V per layer.
    pub kv: Vec<(BufId, BufId)>,
    /// Taps: attention queries and statistics, attention projection, FFN output.
    pub taps: Option<[BufId; 3]>,
    /// f32 per row of the taps.
    pub tap_strides: [u32; 3],
}

/// The static plan.
#[derive(Debug)]
pub struct Plan {
    /// Every buffer.
    pub buffers: Vec<BufDesc>,
    /// Weights to upload.
    pub segments: Vec<Segment>,
    /// Norm weights to upload.
    pub vectors: Vec<Vector>,
    /// A batch of rows through all layers.
    pub prefill: Vec<Step>,
    /// One row through all layers, ending in `act_head`.
    pub decode: Vec<Step>,
    /// `act_head` to logits.
    pub head: Step,
    /// Logits to the next token in `rows[0]`.
    pub sample: Step,
    /// The head as a description, for evaluation of every row.
    pub head_kernel: MatMul,
    /// Weights of the head, for the same.
    pub head_segment: usize,
    /// Named buffers.
    pub ids: Ids,
    /// Shape of the KV store.
    pub kv_shape: KvShape,
    /// Pages in the KV store.
    pub pages: u32,
    /// Tokens per workgroup of a batch.
    pub prefill_cols: u32,
    /// Form of the inputs of each layer's q|k|v, attention output, gate|up and down; then the head's.
    pub act_kinds: Vec<[ActKind; 4]>,
}

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
        self.buffers.push(BufDesc {
            label: label.into(),
            words,
            role: Role::Storage,
        });
        self.buffers.len() - 1
    }

    fn segment(&mut self, names: &[String]) -> Result<usize> {
        self.segments
            .push(Segment::new(self.d, names, &mut self.buffers)?);
        Ok(self.segments.len() - 1)
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
        let embed = self.segment(&["token_embd.weight".into()])?;
        let head_segment = if c.tied {
            embed
        } else {
            self.segment(&["output.weight".into()])?
        };
        // The RoPE tables, and behind them what belongs to each layer's heads.
        let strides = u64::from(256 + o.positions.div_ceil(256).max(1));
        let tables = 2 * u64::from(c.rope.dim / 2) * strides;
        let rope = self.buffers.len();
        self.buffer("rope", 0);
        let layers = self.layers(rope, tables)?;
        let (offsets, qkv_stride) = (layers.offsets, layers.qkv_stride);
        self.buffers[rope].words = tables + u64::from(layers.head_words) * u64::from(c.n_layers);
        let layers = layers.layers;
        let output_norm = self.vector("output_norm.weight")?;
        let head_kind = self.act_kind(&[self.segments[head_segment].ty]);

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
            rope_hi: 256 * (c.rope.dim / 2),
            qkv_stride,
            k_off: offsets[1],
            v_off: offsets[2],
            seq_pages: o.seq_pages,
            sink_pages: o.sink_pages,
            kv: o.kv,
            scale: c.multipliers.attention,
            bias_at: layers[0].bias_at,
            qk_norm: layers[0].gamma_at.map(|at| (c.rms_eps, at)),
        };
        let page_words = o.kv.words(u64::from(c.n_kv_heads * PAGE * c.head_dim));
        let attention = Attention {
            shape,
            fused: false,
            act_out: None,
            wg: o.attention_threads,
            tap: o.taps,
        };
        let head_kernel = wire::head(&self.segments[head_segment], c, o, head_kind);
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
            act_ff: self.buffer("act ffn", act_words(c.d_ff, widest(3))),
            act_head: self.buffer(
                "act head",
                u64::from(blocks(c.d_model)) * head_kind.words() as u64,
            ),
            act_head_words: blocks(c.d_model) * head_kind.words() as u32,
            qkv: self.buffer("qkv", u64::from(o.chunk) * u64::from(qkv_stride)),
            logits: self.buffer("logits", u64::from(head_kernel.width())),
            logits_words: u64::from(head_kernel.width()),
            sampler: {
                self.buffers.push(BufDesc {
                    label: "sampler".into(),
                    words: 8,
                    role: Role::Uniform,
                });
                let params = self.buffers.len() - 1;
                [
                    params,
                    self.buffer("ctl", sample::ctl::WORDS as u64),
                    self.buffer("eog", u64::from(o.eog.max(1))),
                ]
            },
            page: self.buffer("page", page_words),
            page_words,
            kv: (0..c.n_layers)
                .map(|n| {
                    let words = u64::from(o.pages) * page_words;
                    (
                        self.buffer(format!("K {n}"), words),
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
            embed,
            output_norm,
            head_kind,
        };
        let (prefill, decode) = (wiring.steps(true), wiring.steps(false));
        let s = &self.segments[head_segment];
        let head = Step::new(
            "head",
            head_kernel.clone(),
            vec![
                (1, s.quants),
                (2, s.scales),
                (5, ids.act_head),
                (6, ids.logits),
            ],
        );
        let [params, ctl, eog] = ids.sampler;
        let sample = Step::new(
            "sample",
            Sample,
            vec![
                (0, params),
                (1, ids.logits),
                (2, ids.rows),
                (3, ctl),
                (4, eog),
            ],
        );
        let mut act_kinds: Vec<_> = layers.iter().map(|l| l.kinds).collect();
        act_kinds.push([head_kind; 4]);
        Ok(Plan {
            buffers: std::mem::take(&mut self.buffers),
            segments: std::mem::take(&mut self.segments),
            vectors: std::mem::take(&mut self.vectors),
            prefill,
            decode,
            head,
            sample,
            head_kernel,
            head_segment,
            ids,
            kv_shape: shape,
            pages: o.pages,
            prefill_cols: o.cols,
            act_kinds,
        })
    }
}
