//! Architectures that are run: all are one graph, and differ in what this table says.

use chord_gguf::Directory;

use super::{Keys, RopePairing};
use crate::error::{Error, Result};

/// Architectures that are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// `llama`: Llama 1 to 3, SmolLM, Mistral and others of the same graph.
    Llama,
    /// `qwen2`: Qwen 2 and 2.5.
    Qwen2,
    /// `qwen3`: Qwen 3 without experts.
    Qwen3,
    /// `smollm3`.
    SmolLm3,
    /// `granite`: Granite 3 without experts.
    Granite,
}

/// What sets an architecture apart. Facts as in llama.cpp's `llama-model.cpp`.
pub(crate) struct Family {
    arch: Arch,
    name: &'static str,
    pub pairing: RopePairing,
    /// q, k and v have biases.
    pub qkv_bias: bool,
    /// q and k are normed per head.
    pub qk_norm: bool,
    /// Every so-manieth layer does not rotate; 0: all do.
    pub no_rope_step: u32,
    /// The file has multipliers.
    multipliers: bool,
}

const LLAMA: Family = Family {
    arch: Arch::Llama,
    name: "llama",
    pairing: RopePairing::Interleaved,
    qkv_bias: false,
    qk_norm: false,
    no_rope_step: 0,
    multipliers: false,
};

const FAMILIES: [Family; 5] = [
    LLAMA,
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
];

const NAMES: [&str; 5] = {
    let mut names = [""; 5];
    let mut i = 0;
    while i < 5 {
        names[i] = FAMILIES[i].name;
        i += 1;
    }
    names
};

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

/// Factors that Granite models carry; 1 elsewhere, but for the attention's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multipliers {
    /// On token embeddings.
    pub embedding: f32,
    /// On what attention and feed-forward add to the residual.
    pub residual: f32,
    /// On q·k: 1 / √head_dim where the file does not say.
    pub attention: f32,
    /// On logits: one over the file's `logit_scale`.
    pub logit: f32,
}

impl Multipliers {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a head's width is far below 2^24"
    )]
    pub(super) fn read(keys: &Keys<'_>, family: &Family, head_dim: u32) -> Result<Self> {
        let usual = 1.0 / (head_dim as f32).sqrt();
        let read = |name| {
            if family.multipliers {
                // llama.cpp takes 0 as "not set".
                let value = keys.opt_f32(name, "a finite number, at least 0", |v| v >= 0.0)?;
                return Ok(value.filter(|v| *v != 0.0));
            }
            Ok::<_, Error>(None)
        };
        Ok(Self {
            embedding: read("embedding_scale")?.unwrap_or(1.0),
            residual: read("residual_scale")?.unwrap_or(1.0),
            attention: read("attention.scale")?.unwrap_or(usual),
            logit: 1.0 / read("logit_scale")?.unwrap_or(1.0),
        })
    }
}
