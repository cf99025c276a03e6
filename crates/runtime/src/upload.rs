//! Weights from the file to the device: in the order of the file, a bounded slice at a time.

use crate::Error;
use crate::load::{LoadProgress, Watch};
use crate::source::{ModelSource, read};
use chord_gguf::Directory;
use chord_kernels::device::{Buffers, Device};
use chord_model::{Plan, Slice};
use web_time::Instant;

/// Bytes of the file read and repacked at once.
const SLICE_BYTES: usize = 4 << 20;
/// Bytes handed to the device at once; it takes them while as many more are made ready.
const SENT_BYTES: usize = 16 << 20;

/// What a read is for.
enum Target {
    /// A slice of the segment of this index.
    Slice(usize, Slice),
    /// The vector of this index.
    Vector(usize),
    /// The factors of the RoPE's angles, for the host.
    RopeFactors,
}

struct Read {
    offset: u64,
    bytes: usize,
    target: Target,
}

/// What uploading leaves behind.
pub(crate) struct Uploaded {
    /// The factors of the RoPE's angles, where the file has them.
    pub rope_factors: Option<Vec<f32>>,
    pub work: Uploading,
}

/// What uploading took.
pub(crate) struct Uploading {
    /// Bytes of the file.
    pub bytes: u64,
    /// From the first read until the device had them all.
    pub ns: u64,
    /// Most host bytes held at once.
    pub peak_host_bytes: u64,
}

/// Every read of a plan, in the order of the file.
fn reads(d: &Directory, plan: &Plan, factors: &str) -> Result<Vec<Read>, Error> {
    let mut reads = Vec::new();
    for (i, segment) in plan.segments.iter().enumerate() {
        for slice in segment.slices(SLICE_BYTES)? {
            reads.push(Read {
                offset: slice.offset,
                bytes: slice.bytes,
                target: Target::Slice(i, slice),
            });
        }
    }
    for (i, vector) in plan.vectors.iter().enumerate() {
        reads.push(Read {
            offset: vector.offset,
            bytes: 4 * vector.len,
            target: Target::Vector(i),
        });
    }
    if let Some(t) = d.tensor(factors) {
        reads.push(Read {
            offset: t.offset,
            bytes: 4 * usize::try_from(t.elements()).unwrap_or(0),
            target: Target::RopeFactors,
        });
    }
    reads.sort_by_key(|read| read.offset);
    Ok(reads)
}

/// Streams every weight through a bounded slice to the device. `factors` names the tensor of the RoPE's factors.
pub(crate) async fn upload(
    source: &impl ModelSource,
    (d, factors): (&Directory, &str),
    device: &Device,
    plan: &Plan,
    buffers: &Buffers,
    watch: &Watch<'_>,
) -> Result<Uploaded, Error> {
    let started = Instant::now();
    let reads = reads(d, plan, factors)?;
    let total = reads.iter().map(|read| read.bytes as u64).sum();
    let say = |done| watch.say(LoadProgress::Weights { done, total });
    // Bytes written since something was sent, and sent with that.
    let (mut done, mut pending, mut sent, mut peak) = (0, 0, 0, 0);
    let (mut bytes, mut quants, mut scales) = (Vec::new(), Vec::new(), Vec::new());
    let mut rope_factors = None;
    say(0)?;
    for Read {
        offset,
        bytes: length,
        target,
    } in reads
    {
        bytes.resize(length, 0);
        read(source, offset, &mut bytes).await?;
        let floats = || bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        match target {
            Target::Slice(i, slice) => {
                let segment = &plan.segments[i];
                quants.resize(slice.quants.1, 0);
                scales.resize(slice.scales.1, 0);
                segment.repack(&bytes, &mut quants, &mut scales)?;
                device.write(buffers.buffer(segment.quants), slice.quants.0, &quants);
                device.write(buffers.buffer(segment.scales), slice.scales.0, &scales);
                pending += 4 * (quants.len() + scales.len());
            }
            Target::Vector(i) => {
                let words: Vec<u32> = floats().map(u32::from_le_bytes).collect();
                let vector = &plan.vectors[i];
                device.write(buffers.buffer(vector.buffer), vector.at, &words);
                pending += 4 * words.len();
            }
            Target::RopeFactors => rope_factors = Some(floats().map(f32::from_le_bytes).collect()),
        }
        peak = peak.max(bytes.len() + 4 * (quants.len() + scales.len()) + pending + sent);
        if pending >= SENT_BYTES {
            device.send().await?;
            (sent, pending) = (pending, 0);
        }
        done += length as u64;
        say(done)?;
    }
    device.flush().await?;
    Ok(Uploaded {
        rope_factors,
        work: Uploading {
            bytes: total,
            ns: started.elapsed().as_nanos() as u64,
            peak_host_bytes: peak as u64,
        },
    })
}
