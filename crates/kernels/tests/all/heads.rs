//! What attention's tests share: shapes, tables, and stores with NaN wherever nothing may look.

use crate::common::*;
use chord_kernels::{KvShape, KvType, PAGE, rope_table};

pub const NAN: u32 = 0x7fc0_0000;

pub struct Setup {
    pub shape: KvShape,
    pub rope: Vec<u32>,
    pub table: Vec<u32>,
    pub pages: u32,
}

/// What becomes of a head before it is stored or scored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form {
    pub neox: bool,
    pub bias: bool,
    pub norm: bool,
    pub window: Option<u32>,
    pub soft_cap: Option<f32>,
    pub sinks: bool,
}

pub const INTERLEAVED: Form = Form {
    neox: false,
    bias: false,
    norm: false,
    window: None,
    soft_cap: None,
    sinks: false,
};
pub const NEOX: Form = Form {
    neox: true,
    ..INTERLEAVED
};
pub const BIAS: Form = Form { bias: true, ..NEOX };
pub const NORM: Form = Form { norm: true, ..NEOX };
/// As Gemma 3's local layers, Gemma 2's and those of gpt-oss; windows that end within a page, on its border, and beyond the ring.
pub const WINDOWS: [Form; 4] = [
    Form {
        window: Some(20),
        ..NORM
    },
    Form {
        window: Some(33),
        soft_cap: Some(0.5),
        ..NEOX
    },
    Form {
        window: Some(64),
        sinks: true,
        ..BIAS
    },
    Form {
        window: Some(1000),
        sinks: true,
        soft_cap: Some(2.0),
        ..NEOX
    },
];

/// Two sequences of four pages.
pub fn setup(
    rng: &mut Rng,
    heads: (u32, u32, u32),
    form: Form,
    kv: KvType,
    rope_dim: u32,
) -> Setup {
    setup_of(4, rng, heads, form, kv, rope_dim)
}

/// The same with so many pages.
pub fn setup_of(
    seq_pages: u32,
    rng: &mut Rng,
    heads: (u32, u32, u32),
    form: Form,
    kv: KvType,
    rope_dim: u32,
) -> Setup {
    let (n_heads, n_kv_heads, head_dim) = heads;
    let angles: Vec<f64> = (0..rope_dim / 2)
        .map(|i| 10_000f64.powf(-2.0 * f64::from(i) / f64::from(rope_dim)))
        .collect();
    let (mut rope, rope_hi) = rope_table(&angles, 1.1, 1024);
    let qkv_stride = (n_heads + 2 * n_kv_heads) * head_dim;
    let bias_at = rope.len() as u32;
    rope.extend((0..qkv_stride + 2 * head_dim + n_heads).map(|_| rng.float()));
    let pages = 2 * seq_pages + 1;
    // Two sequences whose pages lie shuffled in the pool; page 0 belongs to nobody.
    let mut table: Vec<u32> = (1..pages).collect();
    for i in (1..table.len()).rev() {
        table.swap(i, rng.next() as usize % (i + 1));
    }
    let shape = KvShape {
        n_heads,
        n_kv_heads,
        head_dim,
        rope_dim,
        neox: form.neox,
        rope_hi,
        qkv_stride,
        k_off: n_heads * head_dim,
        v_off: (n_heads + n_kv_heads) * head_dim,
        seq_pages,
        sink_pages: 1,
        kv,
        scale: 1.0 / (head_dim as f32).sqrt(),
        bias_at: form.bias.then_some(bias_at),
        qk_norm: form.norm.then_some((1e-6, bias_at + qkv_stride)),
        rope_lo: 0,
        window: form.window,
        soft_cap: form.soft_cap,
        sinks_at: form.sinks.then_some(bias_at + qkv_stride + 2 * head_dim),
    };
    Setup {
        shape,
        rope: rope.iter().map(|v| v.to_bits()).collect(),
        table,
        pages,
    }
}

/// A KV buffer with random values in the slots below each sequence's length (exclusive) and NaN in every other.
pub fn store(rng: &mut Rng, s: &Setup, lengths: [u32; 2]) -> Vec<u32> {
    let nan = match s.shape.kv {
        KvType::F32 => NAN,
        KvType::F16 | KvType::Q8_0 => 0x7e00_7e00,
    };
    let mut words = vec![nan; s.shape.head_at(s.pages, 0)];
    for (sequence, length) in lengths.into_iter().enumerate() {
        let ring_pages = s.shape.seq_pages - s.shape.sink_pages;
        let resident = |pos: &u32| {
            pos / PAGE < s.shape.sink_pages || pos / PAGE + ring_pages > (length.max(1) - 1) / PAGE
        };
        for pos in (0..length).filter(resident) {
            let page = s.table
                [sequence * s.shape.seq_pages as usize + s.shape.ring_index(pos / PAGE) as usize];
            for head in 0..s.shape.n_kv_heads {
                let values: Vec<f32> = (0..s.shape.head_dim).map(|_| rng.float()).collect();
                s.shape.store(&mut words, page, head, pos % PAGE, &values);
            }
        }
    }
    words
}

pub fn kv_floats(shape: &KvShape, words: &[u32]) -> Vec<f32> {
    shape
        .values(words)
        .map(|v| if v.is_nan() { -77.0 } else { v })
        .collect()
}

/// How far keys and values in a store may be from the twin's: where they are rounded, one next to a boundary may land on either side.
pub fn stored_budget(kv: KvType) -> f64 {
    match kv {
        KvType::F32 => 1e-12,
        KvType::F16 | KvType::Q8_0 => 1e-8,
    }
}

/// The same of what attention makes of them.
pub fn attended_budget(kv: KvType) -> f64 {
    match kv {
        KvType::F32 => 1e-10,
        KvType::F16 | KvType::Q8_0 => 1e-7,
    }
}

pub const HEADS: [(u32, u32, u32); 8] = [
    // The last two do not fill whole activation blocks.
    (9, 3, 64),
    (4, 4, 32),
    (8, 1, 80),
    (16, 2, 128),
    (6, 3, 48),
    (4, 2, 8),
    (3, 3, 80),
    // Two workgroups per KV head.
    (32, 1, 128),
];
