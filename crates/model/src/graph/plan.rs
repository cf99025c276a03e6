//! What a plan is made for, and what it consists of.

use crate::fit::CHUNK;
use crate::weights::{Segment, Vector};
use chord_kernels::act::ActKind;
use chord_kernels::attention::Attention;
use chord_kernels::matmul::{Layout, MatMul};
use chord_kernels::op::{BufDesc, BufId, Step};
use chord_kernels::{KvShape, KvType, PAGE};

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
    /// Rows of the largest batch; a multiple of `cols`, `attention_cols` and of a tile's.
    pub chunk: u32,
    /// Tokens per workgroup of a batch.
    pub cols: u32,
    /// Thread layout of matrix products.
    pub layout: Layout,
    /// How products of large batches go by tiles; None: they never do.
    pub tiles: Option<Tiles>,
    /// Threads of attention.
    pub attention_threads: u32,
    /// Most rows of a batch that share a workgroup of attention.
    pub attention_cols: u32,
    /// How attention of one token is split; None: never.
    pub splits: Option<Splits>,
    /// End-of-generation ids.
    pub eog: u32,
    /// Positions the RoPE table covers (beyond the context in a ring).
    pub positions: u32,
    /// Batch steps also write what trace shows.
    pub taps: bool,
    /// Bytes of the largest storage binding: matrices above it are cut by rows.
    pub max_binding: u64,
}

/// When the attention of decoding is split over more workgroups than there are KV heads, and over how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splits {
    /// Workgroups of a layer, about.
    pub workgroups: u32,
    /// Layers that see more tokens than this can be split.
    pub above: u32,
    /// They are for tokens that see more than this, which is not below `above`: no part of the plan, so that it can be measured.
    pub from: u32,
}

impl Splits {
    /// For a GPU. 256 workgroups are two for each of the 128 or so processors of the largest; on smaller ones they take turns.
    /// Above 128 tokens: a workgroup alone goes through 4 pages there one after another, each with several barriers, and the
    /// step that puts the splits together costs about as much as one or two of them.
    pub const GPU: Self = Self {
        workgroups: 256,
        above: 128,
        from: 128,
    };
}

impl GraphOptions {
    /// Batches may go by tiles: what those need is there even if what was measured is against them, so that buffers stay the same.
    pub(super) fn by_tiles(&self) -> bool {
        self.chunk > CHUNK
    }

    /// Splits of a layer without a window; None where the context is too short for more than one.
    pub(super) fn most_splits(&self, shape: &KvShape) -> Option<u32> {
        let splits = self.splits?;
        let tiles = shape.n_heads / Attention::group(shape);
        let count = (splits.workgroups / tiles).min(self.seq_pages);
        (count > 1 && self.seq_pages > splits.above / PAGE).then_some(count)
    }
}

/// Products by tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Tokens per workgroup.
    pub cols: u32,
    /// Layout for int8 activations; for f32 it is [`Layout::Tile`].
    pub int8: Layout,
}

/// How many rows steps are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// One token.
    One,
    /// A batch, down to a few.
    Few,
    /// A batch of many, by tiles.
    Many,
}

/// Which tokens a step of decoding is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    Any,
    /// Those that see few enough tokens for attention to be whole.
    Short,
    /// Those for which it is split.
    Long,
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
    /// What the splits of attention find, for one row.
    pub attn_parts: Option<BufId>,
    /// FFN inner activation; one row for each expert a token uses.
    pub act_ff: BufId,
    /// What a half of a layer adds to the residual, where it is normed first: `[chunk, d_model padded]`.
    pub added: Option<BufId>,
    /// Logits of experts, `[chunk, experts padded]`.
    pub router: Option<BufId>,
    /// What each route of a batch gives, `[chunk, experts a token uses, d_model padded]`, where batches go by tiles.
    pub routed: Option<BufId>,
    /// The experts' input in int8, where the router's is f32.
    pub act_experts: Option<BufId>,
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
    /// Sampler parameters, control words, end-of-generation ids, the logits' tops.
    pub sampler: [BufId; 4],
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
    /// The same by tiles: for batches of many rows. None where no product goes by tiles.
    pub tiled: Option<Vec<Step>>,
    /// One row through all layers, ending in `act_head`: the steps of every [`Reach`], see [`Plan::decode_at`].
    pub decode: Vec<Step>,
    /// Of each of them.
    pub reach: Vec<Reach>,
    /// How attention is split, where any layer's is.
    pub splits: Option<Splits>,
    /// `act_head` to logits: a step for each part of the matrix.
    pub head: Vec<Step>,
    /// Logits to the next token in `rows[0]`: their tops, then the choice.
    pub sample: [Step; 2],
    /// The head's products and their weights, for evaluation of every row.
    pub head_parts: Vec<(MatMul, usize)>,
    /// Named buffers.
    pub ids: Ids,
    /// Shape of the KV store.
    pub kv_shape: KvShape,
    /// The same with what sets each layer apart.
    pub layer_shapes: Vec<KvShape>,
    /// Pages in the KV store.
    pub pages: u32,
    /// Tokens per workgroup of a batch's products.
    pub prefill_cols: u32,
    /// A batch's rows come in multiples of this, by tiles of the other; those it has no tokens for are not valid.
    pub row_multiples: [u32; 2],
    /// Rows of the largest batch.
    pub chunk: u32,
    /// Thread layout of the products.
    pub layout: Layout,
    /// Form of the inputs of each layer's q|k|v, attention output, gate|up (or router) and down; then the head's.
    pub act_kinds: Vec<[ActKind; 4]>,
}

impl Plan {
    /// Places in `decode` of the steps for a token at `position`, in order. The position alone decides: so a token is computed the
    /// same way however many others share its submit.
    pub fn decode_at(&self, position: u32) -> impl Iterator<Item = usize> {
        let left_out = match self.splits {
            Some(splits) if position >= splits.from => Reach::Short,
            _ => Reach::Long,
        };
        let places = self.reach.iter().enumerate();
        places.filter_map(move |(at, reach)| (*reach != left_out).then_some(at))
    }
}
