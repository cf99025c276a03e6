//! Architectures that are run: all are one graph, and differ in what this table says.

use chord_gguf::Directory;
use chord_kernels::matmul::Glu;

use super::RopePairing;
use crate::error::{Error, Result};

/// Architectures that are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// `llama`: Llama 1 to 3, SmolLM, Mistral, Mixtral and others of the same graph.
    Llama,
    /// `qwen2`: Qwen 2 and 2.5.
    Qwen2,
    /// `qwen3`: Qwen 3 without experts.
    Qwen3,
    /// `qwen3moe`: Qwen 3 with experts.
    Qwen3Moe,
    /// `gemma`: the first Gemma.
    Gemma,
    /// `gemma2`.
    Gemma2,
    /// `gemma3`: its text models.
    Gemma3,
    /// `phi3`: Phi 3, 3.5 and 4.
    Phi3,
    /// `smollm3`.
    SmolLm3,
    /// `granite`: Granite 3 without experts.
    Granite,
    /// `gpt-oss`.
    GptOss,
}

/// What sets an architecture apart. Facts as in llama.cpp's files of models.
pub(crate) struct Family {
    arch: Arch,
    name: &'static str,
    pub pairing: RopePairing,
    /// q, k and v must have biases; elsewhere they may.
    pub qkv_bias: bool,
    /// q and k are normed per head.
    pub qk_norm: bool,
    /// Every so-manieth layer does not rotate; 0: all do.
    pub no_rope_step: u32,
    /// Only a part of a head may rotate.
    pub partial_rope: bool,
    /// Embeddings are multiplied by the root of their width.
    pub scaled_embedding: bool,
    /// The file has multipliers.
    pub multipliers: bool,
    pub glu: Glu,
    /// What attention and feed-forward add to the residual is normed.
    pub post_norms: bool,
    /// Layers that see a window only.
    pub windows: Option<Windows>,
    /// Caps on scores and logits where the file does not say.
    pub soft_caps: Option<SoftCaps>,
    /// At this number of layers scores are scaled by the model's width per head, not by the head's.
    pub wide_scale_layers: u32,
    pub experts: Experts,
    /// `ffn_up` holds gate and up, one below the other.
    pub fused_glu: bool,
    /// Attention has sinks; router and experts have biases.
    pub sinks: bool,
    /// The norm before the feed-forward layer.
    pub ffn_norm: &'static str,
}

/// Every so-manieth layer, the last of each group, sees everything; the others see a window.
pub(crate) struct Windows {
    pub every: u32,
    /// Positions where the file does not say; None: without the key there are no windows.
    pub size: Option<u32>,
    /// Windows without the key are an error.
    pub required: bool,
    /// The base of rotation in layers with a window where the file does not say, without scaling; None: as elsewhere.
    pub local_base: Option<f32>,
}

/// Caps on scores and logits.
pub(crate) struct SoftCaps {
    /// None: scores are never capped.
    pub attention: Option<f32>,
    pub logits: Option<f32>,
}

/// Whether feed-forward layers are mixtures of experts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Experts {
    Never,
    /// Where the file has a count of them, each as wide as `feed_forward_length`.
    Optional,
    Always,
}

const LLAMA: Family = Family {
    arch: Arch::Llama,
    name: "llama",
    pairing: RopePairing::Interleaved,
    qkv_bias: false,
    qk_norm: false,
    no_rope_step: 0,
    partial_rope: false,
    scaled_embedding: false,
    multipliers: false,
    glu: Glu::Silu,
    post_norms: false,
    windows: None,
    soft_caps: None,
    wide_scale_layers: 0,
    experts: Experts::Never,
    fused_glu: false,
    sinks: false,
    ffn_norm: "ffn_norm",
};

const GEMMA: Family = Family {
    arch: Arch::Gemma,
    name: "gemma",
    pairing: RopePairing::Neox,
    scaled_embedding: true,
    glu: Glu::Gelu,
    ..LLAMA
};

const FAMILIES: [Family; 11] = [
    Family {
        experts: Experts::Optional,
        ..LLAMA
    },
    Family {
        arch: Arch::Qwen2,
        name: "qwen2",
        pairing: RopePairing::Neox,
        qkv_bias: true,
        ..LLAMA
    },
    Family {
        arch: Arch::Qwen3,
        name: "qwen3",
        pairing: RopePairing::Neox,
        qk_norm: true,
        ..LLAMA
    },
    Family {
        arch: Arch::Qwen3Moe,
        name: "qwen3moe",
        pairing: RopePairing::Neox,
        qk_norm: true,
        experts: Experts::Always,
        ..LLAMA
    },
    GEMMA,
    Family {
        arch: Arch::Gemma2,
        name: "gemma2",
        post_norms: true,
        windows: Some(Windows {
            every: 2,
            size: Some(4096),
            required: false,
            local_base: None,
        }),
        soft_caps: Some(SoftCaps {
            attention: Some(50.0),
            logits: Some(30.0),
        }),
        wide_scale_layers: 46,
        ..GEMMA
    },
    Family {
        arch: Arch::Gemma3,
        name: "gemma3",
        qk_norm: true,
        post_norms: true,
        windows: Some(Windows {
            every: 6,
            size: None,
            required: false,
            local_base: Some(10_000.0),
        }),
        soft_caps: Some(SoftCaps {
            attention: None,
            logits: None,
        }),
        wide_scale_layers: 62,
        ..GEMMA
    },
    Family {
        arch: Arch::Phi3,
        name: "phi3",
        pairing: RopePairing::Neox,
        partial_rope: true,
        fused_glu: true,
        ..LLAMA
    },
    Family {
        arch: Arch::SmolLm3,
        name: "smollm3",
        no_rope_step: 4,
        ..LLAMA
    },
    Family {
        arch: Arch::Granite,
        name: "granite",
        multipliers: true,
        ..LLAMA
    },
    Family {
        arch: Arch::GptOss,
        name: "gpt-oss",
        pairing: RopePairing::Neox,
        qkv_bias: true,
        glu: Glu::SwigluOai,
        windows: Some(Windows {
            every: 2,
            size: None,
            required: true,
            local_base: None,
        }),
        experts: Experts::Always,
        sinks: true,
        ffn_norm: "post_attention_norm",
        ..LLAMA
    },
];

const NAMES: [&str; FAMILIES.len()] = {
    let mut names = [""; FAMILIES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = FAMILIES[i].name;
        i += 1;
    }
    names
};

impl Family {
    /// What is added to the residual is added as it is: a bias may come with it.
    pub fn plain_residual(&self) -> bool {
        !self.multipliers && !self.post_norms
    }
}

impl Arch {
    /// The name in `general.architecture`.
    pub fn name(self) -> &'static str {
        self.family().name
    }

    pub(crate) fn family(self) -> &'static Family {
        const { &FAMILIES }
            .iter()
            .find(|family| family.arch == self)
            .unwrap_or(&LLAMA)
    }

    pub(super) fn read(d: &Directory) -> Result<Self> {
        let found = d.str("general.architecture")?;
        let known = FAMILIES.iter().find(|family| family.name == found);
        known.map(|family| family.arch).ok_or_else(|| Error::Arch {
            found: found.chars().take(80).collect(),
            at: d.value_offset("general.architecture").unwrap_or(0),
            supported: &NAMES,
        })
    }
}
