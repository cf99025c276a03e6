//! The kernels of a plan at a small size, over fixed pseudo-random memory.

use super::{Check, Form};
use chord_kernels::act::{self, ActKind, BLOCK};
use chord_kernels::attention::Attention;
use chord_kernels::kv_write::KvWrite;
use chord_kernels::matmul::{Epilogue, MatMul};
use chord_kernels::op::{BufDesc, BufId, Kernel, Role, Step};
use chord_kernels::shaders::Shader;
use chord_kernels::{KvShape, KvType, PAGE};
use chord_model::{GraphOptions, Plan};
use chord_quant::{WeightType, layout, repack_rows};
use std::collections::{BTreeSet, HashMap};

/// Rows of a matrix: two tiles.
const ROWS: u32 = 64;
/// Columns: two K-quant blocks, and two 32-blocks for each of eight lanes.
const K: usize = 512;
/// Pages each row of the attention checks may use.
const SEQ_PAGES: u32 = 2;
/// Positions of the rotation table.
const POSITIONS: u32 = 64;

/// A seeded generator (xorshift64*): the answers must be the same on every load.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Uniform in [-1, 1).
    fn float(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }

    /// The bits of a normal half of either sign with this exponent field: 2^(exponent - 15) to twice that.
    fn half(&mut self, exponent: u16) -> u16 {
        let bits = self.next() as u16;
        (bits & 0x83ff) | exponent << 10
    }

    fn floats(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.float().to_bits()).collect()
    }
}

/// Exponent field of a block's halves that makes weights of about 0.1.
fn half_exponent(ty: WeightType) -> u16 {
    match ty {
        WeightType::Q2K | WeightType::Q4_0 | WeightType::Q4_1 => 9,
        WeightType::Q5_0 | WeightType::Q5_1 => 8,
        WeightType::Q8_0 | WeightType::Iq4Nl => 5,
        WeightType::Q3K | WeightType::Q4K | WeightType::Q5K => 3,
        WeightType::Q6K | WeightType::Iq4Xs => 1,
        WeightType::F16 => 11,
        WeightType::F32 | WeightType::BF16 | WeightType::Mxfp4 => 0,
    }
}

/// Buffers, what they hold before the checks, and the checks.
pub(super) struct Cases {
    /// Rows of every batch.
    pub tokens: u32,
    pub buffers: Vec<BufDesc>,
    pub contents: Vec<Vec<u32>>,
    pub checks: Vec<Check>,
    rng: Rng,
    /// Inputs are read only, so checks share them. Weights by type and place in the product.
    weights: HashMap<(WeightType, usize), [BufId; 2]>,
    acts: HashMap<ActKind, BufId>,
    gamma: Option<BufId>,
}

impl Cases {
    /// A check for every pipeline of matrix products, KV writes and attention that `plan` uses, and for no other.
    pub(super) fn of(plan: &Plan, options: &GraphOptions) -> Result<Self, chord_quant::Error> {
        let mut cases = Self {
            tokens: options.cols,
            buffers: Vec::new(),
            contents: Vec::new(),
            checks: Vec::new(),
            rng: Rng(0x9e37_79b9_7f4a_7c15),
            weights: HashMap::new(),
            acts: HashMap::new(),
            gamma: None,
        };
        let steps = plan.prefill.iter().chain(&plan.decode).chain([&plan.head]);
        let mut used: BTreeSet<Shader> = steps.map(|s| s.kernel.shader()).collect();
        for kernel in products(plan, options) {
            if used.remove(&kernel.shader()) {
                cases.product(kernel)?;
            }
        }
        let shape = small(&plan.kv_shape);
        let write = KvWrite { shape, wg: 32 };
        if used.remove(&write.shader()) {
            cases.kv_write(write);
        }
        for kernel in attentions(shape, options) {
            if used.remove(&kernel.shader()) {
                cases.attention(kernel);
            }
        }
        Ok(cases)
    }

    fn buffer(&mut self, words: Vec<u32>) -> BufId {
        self.buffers.push(BufDesc {
            label: "self-test".into(),
            words: words.len() as u64,
            role: Role::Storage,
        });
        self.contents.push(words);
        self.buffers.len() - 1
    }

    fn zeros(&mut self, words: usize) -> BufId {
        self.buffer(vec![0; words])
    }

    fn floats(&mut self, n: usize) -> BufId {
        let words = self.rng.floats(n);
        self.buffer(words)
    }

    fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// Streams of a matrix of `ROWS` x `K`, made as GGUF blocks.
    fn weights(&mut self, ty: WeightType, place: usize) -> Result<[BufId; 2], chord_quant::Error> {
        if let Some(known) = self.weights.get(&(ty, place)) {
            return Ok(*known);
        }
        let bytes = ROWS as usize * ty.row_bytes(K)?;
        let mut blocks: Vec<u8> = (0..bytes).map(|_| self.rng.next() as u8).collect();
        for block in blocks.chunks_exact_mut(ty.block_bytes()) {
            let float = (self.rng.float() * 0.2).to_le_bytes();
            match ty {
                WeightType::F32 => block.copy_from_slice(&float),
                WeightType::BF16 => block.copy_from_slice(&float[2..]),
                // 2^-5 times at most 12.
                WeightType::Mxfp4 => block[0] = 123,
                _ => {}
            }
            for at in ty.half_fields() {
                let half = self.rng.half(half_exponent(ty));
                block[*at..at + 2].copy_from_slice(&half.to_le_bytes());
            }
        }
        let l = layout(ty, ROWS as usize, K)?;
        let (mut quants, mut scales) = (vec![0; l.quant_words], vec![0; l.scale_words]);
        repack_rows(ty, K, &blocks, &mut quants, &mut scales)?;
        let made = [self.buffer(quants), self.buffer(scales)];
        self.weights.insert((ty, place), made);
        Ok(made)
    }

    fn act(&mut self, kind: ActKind) -> BufId {
        if let Some(known) = self.acts.get(&kind) {
            return *known;
        }
        let mut words = vec![0; self.tokens() * K / BLOCK * kind.words()];
        for block in words.chunks_exact_mut(kind.words()) {
            let values: [f32; BLOCK] = std::array::from_fn(|_| self.rng.float());
            let ssq = values.iter().map(|v| v * v).sum();
            act::encode(kind, &values, ssq, block);
        }
        let made = self.buffer(words);
        self.acts.insert(kind, made);
        made
    }

    fn product(&mut self, kernel: MatMul) -> Result<(), chord_quant::Error> {
        let values = self.tokens() * kernel.width() as usize;
        let [quants, scales] = self.weights(kernel.a, 0)?;
        let mut bind = vec![(1, quants), (2, scales)];
        if let Some(b) = kernel.b {
            let [quants, scales] = self.weights(b, 1)?;
            bind.extend([(3, quants), (4, scales)]);
        }
        bind.push((5, self.act(kernel.act_in)));
        let mut results = Vec::new();
        if kernel.epilogue != Epilogue::Glu {
            let out = if kernel.epilogue == Epilogue::Residual {
                self.floats(values)
            } else {
                self.zeros(values)
            };
            bind.push((6, out));
            results.push((out, Form::F32));
        }
        if kernel.epilogue == Epilogue::Residual {
            let gamma = match self.gamma {
                Some(known) => known,
                None => self.floats(ROWS as usize),
            };
            self.gamma = Some(gamma);
            bind.push((7, gamma));
        }
        if kernel.epilogue != Epilogue::Plain {
            let out = self.zeros(values / BLOCK * kernel.act_out.words());
            bind.push((8, out));
            results.push((out, Form::Blocks(kernel.act_out)));
        }
        if kernel.tap.is_some() {
            let tap = self.zeros(values);
            bind.push((9, tap));
            results.push((tap, Form::F32));
        }
        let types = [Some(kernel.a), kernel.b].into_iter().flatten();
        let name = format!(
            "{} ({}, {}, {} tokens a group)",
            types
                .map(WeightType::name)
                .collect::<Vec<_>>()
                .join(" and "),
            match kernel.epilogue {
                Epilogue::Plain => "plain",
                Epilogue::Residual => "residual",
                Epilogue::Glu => "gated",
            },
            match kernel.act_in {
                ActKind::F32 => "f32",
                ActKind::Q8 => "int8",
            },
            kernel.cols,
        );
        self.checks.push(Check {
            step: Step::new(name, kernel, bind),
            results,
            product: true,
        });
        Ok(())
    }

    /// Bindings 1 to 6 of the attention kernels: rows of different sequences in the middle of their second page, because a
    /// decoding step may not see what another row writes.
    fn attention_inputs(&mut self, shape: &KvShape) -> Vec<(u32, BufId)> {
        let qkv = self.floats(self.tokens() * shape.qkv_stride as usize);
        let values = self.tokens() * (SEQ_PAGES * PAGE * shape.head_dim) as usize;
        let mut store = || {
            let words = match shape.kv {
                KvType::F32 => self.rng.floats(values),
                KvType::F16 => {
                    let mut half = || u32::from(self.rng.half(14));
                    (0..values / 2).map(|_| half() | half() << 16).collect()
                }
            };
            self.buffer(words)
        };
        let (k, v) = (store(), store());
        // The strides' table is one entry: no position reaches 256.
        let tables = (POSITIONS + 1) * shape.rope_dim;
        let rope = self.floats((tables + shape.qkv_stride + 2 * shape.head_dim) as usize);
        let row = |r| [0, PAGE + (1 + 7 * r) % PAGE, SEQ_PAGES * r, 1];
        let rows = self.buffer((0..self.tokens).flat_map(row).collect());
        let table = self.buffer((0..self.tokens * SEQ_PAGES).rev().collect());
        vec![(1, qkv), (2, k), (3, v), (4, rope), (5, rows), (6, table)]
    }

    fn kv_write(&mut self, kernel: KvWrite) {
        let bind = self.attention_inputs(&kernel.shape);
        let form = Form::Kv(kernel.shape);
        self.checks.push(Check {
            results: vec![(bind[1].1, form), (bind[2].1, form)],
            step: Step::new("KV write", kernel, bind),
            product: false,
        });
    }

    fn attention(&mut self, kernel: Attention) {
        let mut bind = self.attention_inputs(&kernel.shape);
        let blocks = (kernel.shape.n_heads * kernel.shape.head_dim).div_ceil(BLOCK as u32) as usize;
        let (words, form) = match kernel.act_out {
            Some(kind) => (kind.words(), Form::Blocks(kind)),
            None => (BLOCK, Form::F32),
        };
        let out = self.zeros(self.tokens() * blocks * words);
        let mut results = vec![(out, form)];
        if kernel.fused {
            let form = Form::Kv(kernel.shape);
            results.extend([(bind[1].1, form), (bind[2].1, form)]);
        }
        bind.push((7, out));
        if kernel.tap {
            let tap = self.zeros(self.tokens() * kernel.tap_stride() as usize);
            bind.push((8, tap));
        }
        let name = if kernel.fused {
            "attention of one token"
        } else {
            "attention of a batch"
        };
        self.checks.push(Check {
            step: Step::new(name, kernel, bind),
            results,
            product: false,
        });
    }
}

/// Every product a plan over these weights may have, and more.
fn products(plan: &Plan, options: &GraphOptions) -> Vec<MatMul> {
    let mut types: Vec<WeightType> = Vec::new();
    for segment in &plan.segments {
        if !types.contains(&segment.ty) {
            types.push(segment.ty);
        }
    }
    let mut products = Vec::new();
    for a in &types {
        for b in std::iter::once(None).chain(types.iter().map(Some)) {
            let other = if b.is_some() {
                Epilogue::Glu
            } else {
                Epilogue::Residual
            };
            for epilogue in [Epilogue::Plain, other] {
                products.push(MatMul {
                    a: *a,
                    b: b.copied(),
                    rows_a: ROWS,
                    rows_b: b.map_or(0, |_| ROWS),
                    k_blocks: (K / BLOCK) as u32,
                    epilogue,
                    norm: (epilogue != Epilogue::Residual).then_some((K as u32, 1e-5)),
                    scale: 1.0,
                    act_in: ActKind::F32,
                    act_out: ActKind::F32,
                    cols: 1,
                    layout: options.layout,
                    tap: None,
                    place: None,
                });
            }
        }
    }
    let batch = |k: &mut MatMul| k.cols = options.cols;
    let products = with_and_without(products, batch);
    let products = with_and_without(products, |k| k.act_in = ActKind::Q8);
    let products = with_and_without(products, |k| k.act_out = ActKind::Q8);
    with_and_without(products, |k| {
        k.tap = (k.epilogue == Epilogue::Residual).then_some(ROWS);
    })
}

/// The products as they are, and changed.
fn with_and_without(products: Vec<MatMul>, change: impl Fn(&mut MatMul)) -> Vec<MatMul> {
    let mut out = products.clone();
    out.extend(products);
    let half = out.len() / 2;
    out.iter_mut().skip(half).for_each(change);
    out
}

/// The model's shape with one KV head: counts are no part of a permutation, the ratio and the length of a head are.
fn small(shape: &KvShape) -> KvShape {
    let (heads, dim) = (shape.n_heads / shape.n_kv_heads, shape.head_dim);
    let behind_tables = (POSITIONS + 1) * shape.rope_dim;
    let qkv_stride = (heads + 2) * dim;
    KvShape {
        n_heads: heads,
        n_kv_heads: 1,
        rope_hi: POSITIONS * (shape.rope_dim / 2),
        qkv_stride,
        k_off: heads * dim,
        v_off: (heads + 1) * dim,
        seq_pages: SEQ_PAGES,
        sink_pages: 0,
        bias_at: shape.bias_at.map(|_| behind_tables),
        qk_norm: shape
            .qk_norm
            .map(|(eps, _)| (eps, behind_tables + qkv_stride)),
        ..*shape
    }
}

/// Every form of attention over this shape.
fn attentions(shape: KvShape, options: &GraphOptions) -> Vec<Attention> {
    let mut out = Vec::new();
    for fused in [true, false] {
        for act_out in [None, Some(ActKind::F32), Some(ActKind::Q8)] {
            for tap in [false, true] {
                out.push(Attention {
                    shape,
                    fused,
                    act_out,
                    wg: options.attention_threads,
                    tap,
                });
            }
        }
    }
    out
}
