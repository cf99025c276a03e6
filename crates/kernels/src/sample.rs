//! The sampler (shaders/sample_tops.wgsl, shaders/sample.wgsl): top-k, top-p, min-p, temperature, draw, in llama.cpp's order.
//!
//! Every filter is a threshold on the logits: all tokens tied with the last one kept are kept, so the result depends on no
//! order of execution. top-p counts the untempered probabilities of what top-k left. The draw is a function of (seed,
//! position) alone: a run repeats, and so does any part of it.

mod choose;
mod tops;

pub use choose::choose_at;
pub use tops::{CHUNK, NOT_FINITE, SampleTops};

use crate::cpu::CpuBindings;
use crate::op::{Access, Grid, Kernel};
use crate::shaders::Shader;
use bytemuck::{Pod, Zeroable};

/// The best token, lowest id first: no draw.
pub const GREEDY: u32 = 1;
/// top-p is on.
pub const TOP_P: u32 = 2;
/// min-p is on.
pub const MIN_P: u32 = 4;

/// Words of `ctl`.
pub mod ctl {
    /// Tokens produced in this submit.
    pub const STEP: usize = 0;
    /// 1 = the generation has ended; nothing is written any more.
    pub const DONE: usize = 1;
    /// Low word of the seed.
    pub const SEED_LOW: usize = 2;
    /// High word of the seed.
    pub const SEED_HIGH: usize = 3;
    /// 1 = a logit was NaN or infinite: no token was produced, and DONE is set.
    pub const FAULT: usize = 4;
    /// Tokens at the start of the log that are a draft: the generation ends in this submit where one is not what was chosen.
    pub const DRAFTED: usize = 5;
    /// Step n reads its logits so many words times n further on; 0 where each step's replace those before.
    pub const LOGITS_STRIDE: usize = 6;
    /// First word of the token log.
    pub const LOG: usize = 8;
    /// Tokens the log holds.
    pub const LOG_LENGTH: usize = 64;
    /// Length of the buffer in words.
    pub const WORDS: usize = LOG + LOG_LENGTH;

    /// Where the logits of the step to come start.
    pub(crate) fn logits_at(ctl: &[u32]) -> usize {
        ctl[STEP] as usize * ctl[LOGITS_STRIDE] as usize
    }
}

/// Contents of binding 0; the host rewrites it per request.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct SampleParams {
    /// Logits.
    pub n_vocab: u32,
    /// Tokens kept by top-k; 0 = off.
    pub top_k: u32,
    /// Ids in the end-of-generation list.
    pub n_eog: u32,
    /// [`GREEDY`] | [`TOP_P`] | [`MIN_P`].
    pub flags: u32,
    /// 1 / temperature, at most 1e6.
    pub inv_temperature: f32,
    /// Share of the probability kept by top-p.
    pub top_p: f32,
    /// Natural logarithm of min-p: the host's, so that CPU and GPU compare with the same number.
    pub ln_min_p: f32,
    /// Fills the uniform up to 16 bytes.
    pub pad: u32,
}

impl SampleParams {
    /// From a request's settings: `temperature` 0 is greedy, `top_k` 0 or `>= n_vocab`, `top_p >= 1` and `min_p <= 0` are off.
    #[must_use]
    pub fn new(
        n_vocab: u32,
        n_eog: u32,
        temperature: f32,
        top_k: u32,
        top_p: f32,
        min_p: f32,
    ) -> Self {
        let mut flags = 0;
        if temperature <= 0.0 {
            flags |= GREEDY;
        }
        if top_p < 1.0 {
            flags |= TOP_P;
        }
        if min_p > 0.0 {
            flags |= MIN_P;
        }
        Self {
            n_vocab,
            top_k: if top_k < n_vocab { top_k } else { 0 },
            n_eog,
            flags,
            inv_temperature: temperature.max(1e-6).recip(),
            top_p,
            ln_min_p: if min_p > 0.0 { min_p.ln() } else { 0.0 },
            pad: 0,
        }
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// A logit is NaN or infinite: the model's numbers broke down before the sampler.
    #[error("the logit of token {id} is not a finite number")]
    NonFinite {
        /// Lowest token id whose logit is not finite.
        id: u32,
    },
    /// There are no logits.
    #[error("there are no logits to sample from")]
    Empty,
}

impl SampleError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NonFinite { .. } => "E_NONFINITE",
            Self::Empty => "E_NO_LOGITS",
        }
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NonFinite { .. } => "find the first step that goes wrong with a trace; try exact precision and KV in f32".into(),
            Self::Empty => "the vocabulary is empty: the model file is damaged".into(),
        }
    }
}

/// pcg4d: M. Jarzynski, M. Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020. The shader's, bit for bit.
#[must_use]
pub fn pcg4d(seed: [u32; 4]) -> [u32; 4] {
    let mix = |[mut x, mut y, mut z, mut w]: [u32; 4]| {
        x = x.wrapping_add(y.wrapping_mul(w));
        y = y.wrapping_add(z.wrapping_mul(x));
        z = z.wrapping_add(x.wrapping_mul(y));
        w = w.wrapping_add(y.wrapping_mul(z));
        [x, y, z, w]
    };
    let v = seed.map(|v| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix(mix(v).map(|v| v ^ v >> 16))
}

/// The uniform number in [0, 1) of the token at `position`: 24 random bits.
#[must_use]
pub fn uniform(seed: u64, position: u32) -> f32 {
    let [a, b, c, d, e, f, g, h] = seed.to_le_bytes();
    let [x, ..] = pcg4d([
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
        position,
        0,
    ]);
    // 24 bits are exact in f32.
    (x >> 8) as f32 * 2.0_f32.powi(-24)
}

/// The token for `position`: the scalar truth of the shader, also used by the runtime where the CPU samples.
///
/// # Errors
/// A logit that is not finite, or no logits.
pub fn choose(
    p: &SampleParams,
    logits: &[f32],
    seed: u64,
    position: u32,
) -> Result<u32, SampleError> {
    choose_at(p, logits, uniform(seed, position))
}

/// The whole kernel: chooses a token and advances `rows` and `ctl` as the shader does.
/// Shapes: `logits[n_vocab]`, or with a stride that for every step, `rows` of 4 words, of which the first row is used, `ctl` of
/// [`ctl::WORDS`], `eog[n_eog]`.
pub fn sample(p: &SampleParams, logits: &[f32], rows: &mut [u32], ctl: &mut [u32], eog: &[u32]) {
    step(p, logits, rows, ctl, eog, |logits, u| {
        choose_at(p, logits, u)
    });
}

/// The same by a choice out of a step's logits with a uniform number.
fn step(
    p: &SampleParams,
    logits: &[f32],
    rows: &mut [u32],
    ctl: &mut [u32],
    eog: &[u32],
    choose: impl FnOnce(&[f32], f32) -> Result<u32, SampleError>,
) {
    if ctl[ctl::DONE] != 0 {
        return;
    }
    let step = ctl[ctl::STEP] as usize;
    let logits = &logits[ctl::logits_at(ctl)..][..p.n_vocab as usize];
    let seed = u64::from(ctl[ctl::SEED_HIGH]) << 32 | u64::from(ctl[ctl::SEED_LOW]);
    let position = rows[1].wrapping_add(1);
    let Ok(token) = choose(logits, uniform(seed, position)) else {
        ctl[ctl::FAULT] = 1;
        ctl[ctl::DONE] = 1;
        return;
    };
    rows[0] = token;
    rows[1] = position;
    if step < ctl::LOG_LENGTH {
        if step < ctl[ctl::DRAFTED] as usize && ctl[ctl::LOG + step] != token {
            ctl[ctl::DONE] = 1;
        }
        ctl[ctl::LOG + step] = token;
    }
    ctl[ctl::STEP] += 1;
    if eog.iter().take(p.n_eog as usize).any(|id| *id == token) {
        ctl[ctl::DONE] = 1;
    }
}

/// The step behind [`SampleTops`]. Their parameters are bound as a uniform buffer of the plan, because they change with every request.
#[derive(Clone, Copy, Debug)]
pub struct Sample;

impl Kernel for Sample {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "sample",
            defines: Vec::new(),
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![
            (0, Access::Uniform),
            (1, Access::Read),
            (2, Access::ReadWrite),
            (3, Access::ReadWrite),
            (4, Access::Read),
            (5, Access::Read),
        ]
    }

    fn params(&self) -> Vec<u8> {
        Vec::new()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: 1,
            rows_per_group: u32::MAX,
            groups: 1,
        }
    }

    fn cpu(&self, _rows: u32, mem: &CpuBindings<'_>) {
        let p: SampleParams = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&mem.read(0)[..8]));
        let (logits, eog, tops) = (mem.read(1), mem.read(4), mem.read(5));
        let tops = &tops[..(p.n_vocab as usize).div_ceil(CHUNK)];
        step(
            &p,
            bytemuck::cast_slice(&logits),
            &mut mem.write(2),
            &mut mem.write(3),
            &eog,
            |logits, u| choose::choose_by(&p, logits, tops, u),
        );
    }
}
