//! The step before the sampler (shaders/sample_tops.wgsl): the largest key of every [`CHUNK`] logits. Many workgroups, or threads, read
//! the vocabulary once; what chooses the token looks at the tops and at the few chunks that they say matter.

use super::{SampleParams, ctl};
use crate::cpu::{Cores, CpuBindings};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define};

/// Logits that share a top.
pub const CHUNK: usize = 64;
/// The top of a chunk with a logit that is NaN or infinite: above the key of every finite one.
pub const NOT_FINITE: u32 = u32::MAX;

/// Threads of a workgroup, as in shaders/sample_tops.wgsl.
const THREADS: u32 = 256;
/// Chunks that a thread of the processor takes at a time.
const PART: usize = 256;
/// So many elements are compared at once.
const LANES: usize = 8;

/// The step: `tops[ceil(n_vocab / 64)]` of the logits that the sampler chooses from next.
#[derive(Clone, Copy, Debug)]
pub struct SampleTops {
    /// Logits, at most: how many there are is the sampler's parameter.
    pub n_vocab: u32,
    /// A thread has a chunk to itself: for software adapters, where barriers are dear.
    pub chunk_per_thread: bool,
}

impl SampleTops {
    fn lanes(&self) -> u32 {
        if self.chunk_per_thread { 1 } else { 8 }
    }

    /// Tops of so many logits.
    #[must_use]
    pub fn words(n_vocab: u32) -> u64 {
        u64::from(n_vocab).div_ceil(CHUNK as u64)
    }
}

impl Kernel for SampleTops {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "sample_tops",
            defines: vec![define("LANES", &self.lanes())],
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![
            (0, Access::Uniform),
            (1, Access::Read),
            (2, Access::Read),
            (3, Access::ReadWrite),
        ]
    }

    fn params(&self) -> Vec<u8> {
        Vec::new()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: self.n_vocab.div_ceil(THREADS / self.lanes() * CHUNK as u32),
            rows_per_group: Grid::ALL,
            groups: 1,
        }
    }

    fn cpu(&self, _rows: u32, mem: &CpuBindings<'_>) {
        let key = |bits: &u32| match f32::from_bits(*bits).is_finite() {
            true => key_of(*bits),
            false => NOT_FINITE,
        };
        with_parts(mem, |parts| {
            for (tops, logits) in parts {
                for (top, chunk) in tops.iter_mut().zip(logits.chunks(CHUNK)) {
                    *top = chunk.iter().map(key).max().unwrap_or(0);
                }
            }
        });
    }

    fn fast(&self, _rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        with_parts(mem, |parts| {
            cores.each(parts, |(tops, logits)| {
                for (top, chunk) in tops.iter_mut().zip(logits.chunks(CHUNK)) {
                    *top = of(bytemuck::cast_slice(chunk));
                }
            });
        });
    }
}

/// Hands over tops to be written and the bits of the logits that they are of, part by part; none behind the end of the generation.
fn with_parts(mem: &CpuBindings<'_>, make: impl FnOnce(Vec<(&mut [u32], &[u32])>)) {
    let p: SampleParams = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&mem.read(0)[..8]));
    let (logits, control, mut tops) = (mem.read(1), mem.read(2), mem.write(3));
    if control[ctl::DONE] != 0 {
        return;
    }
    let logits = &logits[ctl::logits_at(&control)..][..p.n_vocab as usize];
    let tops = tops.chunks_mut(PART);
    make(tops.zip(logits.chunks(PART * CHUNK)).collect());
}

/// The top of a chunk of logits.
pub(super) fn of(chunk: &[f32]) -> u32 {
    // Both in a form that compilers make vectors of.
    let infinite = |x: &f32| u32::from(!x.is_finite());
    if chunk.iter().map(infinite).fold(0, |any, x| any | x) > 0 {
        return NOT_FINITE;
    }
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (lanes, rest) = chunk.as_chunks::<LANES>();
    let mut tops = [f32::NEG_INFINITY; LANES];
    for lanes in lanes {
        for (top, x) in tops.iter_mut().zip(lanes) {
            *top = larger(*top, *x);
        }
    }
    let all = tops.iter().chain(rest);
    key_of(all.fold(f32::NEG_INFINITY, |a, b| larger(a, *b)).to_bits())
}

/// Unsigned integers in the order of the floats; -0 and +0 are one key.
fn key_of(bits: u32) -> u32 {
    match bits {
        0x8000_0000 => 0x8000_0000,
        bits if bits >> 31 == 1 => !bits,
        bits => bits | 0x8000_0000,
    }
}

/// The logit of a key, +0 for either zero.
pub(super) fn value_of(key: u32) -> f32 {
    f32::from_bits(match key >> 31 {
        1 => key & 0x7fff_ffff,
        _ => !key,
    })
}
