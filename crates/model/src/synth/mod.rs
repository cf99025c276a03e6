//! Models of real shapes with made-up weights, for measuring where no file is at hand.
//!
//! In: a name. Out: the bytes of a GGUF file, any range of them at any time, and never more than the range asked for. The
//! engine loads it like a file, so that what is measured (formats, repacking, plan, kernels) is what a real model runs. Weights
//! are one run of random blocks for each type and width, repeated: made as fast as memory is copied, with no two neighbouring
//! rows alike. Answers are noise, but finite noise.

mod blocks;
mod header;
mod shapes;

pub use shapes::names;

use chord_quant::WeightType;
use shapes::Spec;

/// A made-up model.
#[derive(Debug)]
pub struct Synth {
    header: Vec<u8>,
    size: u64,
    tensors: Vec<Tensor>,
    /// A run of blocks for each type and width.
    runs: Vec<((WeightType, usize), Vec<u8>)>,
}

/// Where a tensor's bytes are and what they repeat.
#[derive(Debug)]
struct Tensor {
    offset: u64,
    bytes: u64,
    run: usize,
    /// Where in the run it begins, so that tensors of a kind differ.
    phase: u64,
}

impl Synth {
    /// The model of a name that [`names`] lists; None for others.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Some(Self::of(&Spec::parse(name)?))
    }

    fn of(spec: &Spec) -> Self {
        let (header, described) = header::write(spec);
        let mut runs: Vec<((WeightType, usize), Vec<u8>)> = Vec::new();
        let mut tensors = Vec::new();
        let mut size = header.len() as u64;
        for (n, d) in (0u64..).zip(described) {
            let kind = (d.ty, d.k);
            let run = runs
                .iter()
                .position(|(of, _)| *of == kind)
                .unwrap_or_else(|| {
                    runs.push((kind, blocks::run(d.ty, d.k)));
                    runs.len() - 1
                });
            let block = d.ty.block_bytes() as u64;
            let blocks = runs[run].1.len() as u64 / block;
            let offset = header.len() as u64 + d.offset;
            size = offset + d.bytes;
            tensors.push(Tensor {
                offset,
                bytes: d.bytes,
                run,
                phase: n * 977 % blocks * block,
            });
        }
        Self {
            header,
            size,
            tensors,
            runs,
        }
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from `offset` on; zeros between tensors and behind the last.
    pub fn read(&self, offset: u64, buf: &mut [u8]) {
        buf.fill(0);
        let end = offset + buf.len() as u64;
        let begin = (offset as usize).min(self.header.len());
        let header = &self.header[begin..(end as usize).min(self.header.len())];
        buf[..header.len()].copy_from_slice(header);
        let first = self
            .tensors
            .partition_point(|t| t.offset + t.bytes <= offset);
        for t in &self.tensors[first..] {
            if t.offset >= end {
                break;
            }
            let from = t.offset.max(offset);
            let to = (t.offset + t.bytes).min(end);
            let out = &mut buf[(from - offset) as usize..(to - offset) as usize];
            repeat(&self.runs[t.run].1, t.phase + (from - t.offset), out);
        }
    }
}

/// Fills `out` with `run`, over and over, from byte `at` of it on.
fn repeat(run: &[u8], at: u64, out: &mut [u8]) {
    let mut at = (at % run.len() as u64) as usize;
    let mut rest = out;
    while !rest.is_empty() {
        let n = rest.len().min(run.len() - at);
        let (now, later) = rest.split_at_mut(n);
        now.copy_from_slice(&run[at..at + n]);
        (rest, at) = (later, 0);
    }
}
