//! Names, and the shapes behind them. A name is a shape and a mix of types: `llama-8b-q4_k_m`.

use chord_quant::WeightType;

/// What a model looks like. Figures as in the `config.json` that is published with each.
#[derive(Debug)]
pub(super) struct Shape {
    pub name: &'static str,
    pub arch: &'static str,
    pub layers: u32,
    pub width: u32,
    pub heads: u32,
    pub kv_heads: u32,
    pub head_dim: u32,
    /// Of an expert, where there are several.
    pub feed_forward: u32,
    /// (experts of a layer, how many each token goes to).
    pub experts: Option<(u32, u32)>,
    pub vocab: u32,
    pub context: u32,
    pub rope_base: f32,
    pub eps: f32,
    pub tied: bool,
    /// A norm over each head of q and k.
    pub qk_norm: bool,
    /// Norms behind both halves of a layer, and windows of so many positions.
    pub post_norms: Option<u32>,
    /// Factors on the angles of the rotation (Llama 3.1 and later).
    pub rope_factors: bool,
}

const LLAMA: Shape = Shape {
    name: "",
    arch: "llama",
    layers: 0,
    width: 0,
    heads: 0,
    kv_heads: 8,
    head_dim: 128,
    feed_forward: 0,
    experts: None,
    vocab: 128_256,
    context: 131_072,
    rope_base: 500_000.0,
    eps: 1e-5,
    tied: true,
    qk_norm: false,
    post_norms: None,
    rope_factors: true,
};

const SHAPES: [Shape; 8] = [
    // meta-llama/Llama-3.2-1B
    Shape {
        name: "llama-1b",
        layers: 16,
        width: 2048,
        heads: 32,
        head_dim: 64,
        feed_forward: 8192,
        ..LLAMA
    },
    // meta-llama/Llama-3.2-3B
    Shape {
        name: "llama-3b",
        layers: 28,
        width: 3072,
        heads: 24,
        feed_forward: 8192,
        ..LLAMA
    },
    // meta-llama/Llama-3.1-8B
    Shape {
        name: "llama-8b",
        layers: 32,
        width: 4096,
        heads: 32,
        feed_forward: 14_336,
        tied: false,
        ..LLAMA
    },
    // Qwen/Qwen3-0.6B
    Shape {
        name: "qwen3-0.6b",
        arch: "qwen3",
        layers: 28,
        width: 1024,
        heads: 16,
        feed_forward: 3072,
        vocab: 151_936,
        context: 40_960,
        rope_base: 1_000_000.0,
        eps: 1e-6,
        qk_norm: true,
        rope_factors: false,
        ..LLAMA
    },
    // Qwen/Qwen3-30B-A3B
    Shape {
        name: "qwen3-30b-a3b",
        arch: "qwen3moe",
        layers: 48,
        width: 2048,
        heads: 32,
        kv_heads: 4,
        feed_forward: 768,
        experts: Some((128, 8)),
        vocab: 151_936,
        context: 40_960,
        rope_base: 1_000_000.0,
        eps: 1e-6,
        tied: false,
        qk_norm: true,
        rope_factors: false,
        ..LLAMA
    },
    // google/gemma-3-270m
    Shape {
        name: "gemma3-270m",
        arch: "gemma3",
        layers: 18,
        width: 640,
        heads: 4,
        kv_heads: 1,
        head_dim: 256,
        feed_forward: 2048,
        vocab: 262_144,
        context: 32_768,
        rope_base: 1_000_000.0,
        eps: 1e-6,
        qk_norm: true,
        post_norms: Some(512),
        rope_factors: false,
        ..LLAMA
    },
    // No model: small enough for a test.
    Shape {
        name: "tiny",
        layers: 4,
        width: 256,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        feed_forward: 512,
        vocab: 2048,
        context: 1024,
        ..LLAMA
    },
    // Nor this.
    Shape {
        name: "tiny-moe",
        arch: "qwen3moe",
        layers: 4,
        width: 256,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        feed_forward: 256,
        experts: Some((16, 4)),
        vocab: 2048,
        context: 1024,
        qk_norm: true,
        rope_factors: false,
        ..LLAMA
    },
];

/// Which types the matrices have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mix {
    Q4KM,
    Q4_0,
    Q8_0,
}

const MIXES: [(&str, Mix); 3] = [
    ("q4_k_m", Mix::Q4KM),
    ("q4_0", Mix::Q4_0),
    ("q8_0", Mix::Q8_0),
];

/// A shape with a mix.
#[derive(Debug)]
pub(super) struct Spec {
    pub name: String,
    pub shape: &'static Shape,
    pub mix: Mix,
}

impl Spec {
    pub(super) fn parse(name: &str) -> Option<Self> {
        const { &SHAPES }.iter().find_map(|shape| {
            let mix = name.strip_prefix(shape.name)?.strip_prefix('-')?;
            let (_, mix) = MIXES.iter().find(|(named, _)| *named == mix)?;
            Some(Self {
                name: name.into(),
                shape,
                mix: *mix,
            })
        })
    }
}

/// Every name there is.
pub fn names() -> impl Iterator<Item = String> {
    let shapes = const { &SHAPES }.iter();
    shapes.flat_map(|s| {
        MIXES
            .iter()
            .map(move |(mix, _)| format!("{}-{mix}", s.name))
    })
}

/// Which matrix of the model it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Matrix {
    /// The head, or the embedding where it is both.
    Head,
    AttnV,
    FfnDown,
    /// Which experts a token goes to: never quantised.
    Router,
    Other,
}

impl Spec {
    /// The type of a matrix of `k` columns in layer `n`, as llama.cpp's `llama_tensor_get_type` chooses.
    pub(super) fn ty(&self, matrix: Matrix, n: u32, k: u32) -> WeightType {
        let ty = match (self.mix, matrix) {
            (_, Matrix::Router) => WeightType::F32,
            (Mix::Q8_0, _) => WeightType::Q8_0,
            (Mix::Q4KM, Matrix::AttnV | Matrix::FfnDown) if more_bits(n, self.shape.layers) => {
                WeightType::Q6K
            }
            (_, Matrix::Head) => WeightType::Q6K,
            (Mix::Q4KM, _) => WeightType::Q4K,
            (Mix::Q4_0, _) => WeightType::Q4_0,
        };
        // Rows that are no whole super-blocks fall back to small blocks of about as many bits.
        match ty {
            WeightType::Q4K if !k.is_multiple_of(256) => WeightType::Q5_0,
            WeightType::Q6K if !k.is_multiple_of(256) => WeightType::Q8_0,
            ty => ty,
        }
    }
}

/// The layers whose values and down projections get more bits: the first and last eighth, and every third between.
fn more_bits(n: u32, layers: u32) -> bool {
    n < layers / 8 || n >= 7 * layers / 8 || (n - layers / 8) % 3 == 2
}
