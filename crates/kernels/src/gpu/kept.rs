//! Compiled pipelines, kept on disk from one run to the next where wgpu hands them out: on Vulkan.
//!
//! A file per model of GPU, always replaced as a whole. Whatever is wrong with it, it counts as not there: pipelines are then compiled.

use super::{Counters, Gpu};
use crate::files::{self, fingerprint};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const FEATURES: wgpu::Features = wgpu::Features::PIPELINE_CACHE;

/// First bytes of a file; the last of them is the version of its form.
const MAGIC: [u8; 8] = *b"chordpc1";
/// A driver's cache can only grow: beyond so many bytes it starts afresh.
const MOST: u64 = 64 << 20;

/// What a file holds, or will.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    /// Fingerprints of the texts whose pipelines are in it.
    texts: BTreeSet<u64>,
    /// The driver's.
    data: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Kept {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    origin: String,
    texts: Mutex<Texts>,
}

#[derive(Debug)]
struct Texts {
    all: BTreeSet<u64>,
    /// Some are not in the file yet.
    new: bool,
}

impl Kept {
    /// The cache of this adapter in `folder`; None where there can be none.
    pub(super) async fn open(
        device: &wgpu::Device,
        adapter: &wgpu::AdapterInfo,
        folder: &Path,
    ) -> Option<Self> {
        if !device.features().contains(FEATURES) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(adapter)?;
        let path = folder.join(format!("{key}.bin"));
        let origin = origin(adapter);
        let found = read(&path, &origin).unwrap_or_default();
        let mut made = None;
        if !found.data.is_empty() {
            made = create(device, Some(&found.data))
                .await
                .zip(Some(found.texts));
        }
        let (cache, all) = match made {
            Some(made) => made,
            None => (create(device, None).await?, BTreeSet::new()),
        };
        tracing::debug!(path = %path.display(), pipelines = all.len(), "kept pipelines");
        let texts = Mutex::new(Texts { all, new: false });
        Some(Self {
            cache,
            path,
            origin,
            texts,
        })
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file where it lacks a pipeline made since.
    fn store(&self) -> io::Result<()> {
        let mut texts = self.texts();
        if !texts.new {
            return Ok(());
        }
        let Some(data) = self.cache.get_data() else {
            return Ok(());
        };
        let contents = Contents {
            texts: texts.all.clone(),
            data,
        };
        files::replace(&self.path, &to_bytes(&contents, &self.origin))?;
        texts.new = false;
        Ok(())
    }
}

impl Gpu {
    /// Where a pipeline of this text is looked up and kept.
    pub(super) fn kept(&self, text: &str) -> Option<&wgpu::PipelineCache> {
        let kept = self.kept.as_ref()?;
        let mut texts = kept.texts();
        // Checked or not, it is another pipeline.
        let print = fingerprint(text.as_bytes()) ^ u64::from(self.checked);
        if texts.all.insert(print) {
            texts.new = true;
        } else {
            Counters::add(&self.counters.pipelines_kept, 1);
        }
        Some(&kept.cache)
    }

    /// Keeps the pipelines made so far for the next run.
    pub(crate) fn keep_pipelines(&self) {
        if let Some(kept) = &self.kept
            && let Err(e) = kept.store()
        {
            tracing::warn!("pipelines not kept in {}: {e}", kept.path.display());
        }
    }
}

/// A cache that begins with these bytes; None where wgpu refuses.
#[allow(
    unsafe_code,
    reason = "that these bytes are the driver's own is ours to say"
)]
async fn create(device: &wgpu::Device, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    // SAFETY: `data` is what `get_data` gave this program on this adapter with this driver: `parse` held it to our own magic, a checksum
    // over every byte and the adapter's and driver's names and versions, so that no damage, and no file of another program, driver or
    // GPU gets here. wgpu and the driver hold it to device and driver version once more, by headers of their own (`fallback`: what
    // they find outdated is left out). Left over is a file forged with a right checksum: the folder is the user's own, and who may
    // write there can do to this user's programs what they like.
    let cache = unsafe {
        device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
            label: Some("kept pipelines"),
            data,
            fallback: true,
        })
    };
    scope.pop().await.is_none().then_some(cache)
}

/// What a file was made with: anything else could read its bytes differently.
fn origin(adapter: &wgpu::AdapterInfo) -> String {
    let wgpu::AdapterInfo {
        name,
        vendor,
        device,
        driver,
        driver_info,
        ..
    } = adapter;
    format!("{name}\n{vendor:x}:{device:x}\n{driver}\n{driver_info}")
}

/// Magic, fingerprint of all that follows, length and bytes of the origin, number and fingerprints of texts, data.
fn to_bytes(contents: &Contents, origin: &str) -> Vec<u8> {
    let mut rest = Vec::with_capacity(contents.data.len() + 64 + 8 * contents.texts.len());
    rest.extend((origin.len() as u64).to_le_bytes());
    rest.extend(origin.as_bytes());
    rest.extend((contents.texts.len() as u64).to_le_bytes());
    rest.extend(contents.texts.iter().flat_map(|text| text.to_le_bytes()));
    rest.extend(&contents.data);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(fingerprint(&rest).to_le_bytes());
    bytes.extend(rest);
    bytes
}

/// None for anything but what [`to_bytes`] made with the same origin.
fn parse(bytes: &[u8], origin: &str) -> Option<Contents> {
    let (magic, bytes) = bytes.split_first_chunk()?;
    let (sum, bytes) = number(bytes)?;
    if *magic != MAGIC || sum != fingerprint(bytes) {
        return None;
    }
    let (length, bytes) = number(bytes)?;
    let (made_with, bytes) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    if made_with != origin.as_bytes() {
        return None;
    }
    let (count, bytes) = number(bytes)?;
    let length = usize::try_from(count).ok()?.checked_mul(8)?;
    let (texts, data) = bytes.split_at_checked(length)?;
    let texts = texts.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b));
    Some(Contents {
        texts: texts.collect(),
        data: data.to_vec(),
    })
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

fn read(path: &Path, origin: &str) -> Option<Contents> {
    parse(&files::read(path, MOST)?, origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_of_the_same_driver_is_taken() {
        let contents = Contents {
            texts: BTreeSet::from([1, u64::MAX]),
            data: b"of the driver".to_vec(),
        };
        let bytes = to_bytes(&contents, "a GPU, driver 1");
        assert_eq!(parse(&bytes, "a GPU, driver 1"), Some(contents));
        assert_eq!(parse(&bytes, "a GPU, driver 2"), None);
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length], "a GPU, driver 1"), None, "{length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(parse(&longer, "a GPU, driver 1"), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(parse(&damaged, "a GPU, driver 1"), None, "byte {at}");
        }
    }

    /// A right checksum proves nothing about the lengths behind it.
    #[test]
    fn lengths_are_held_to_the_bytes_there_are() {
        let with_sum = |rest: &[u8]| [&MAGIC[..], &fingerprint(rest).to_le_bytes(), rest].concat();
        let empty = [&0u64.to_le_bytes()[..], &0u64.to_le_bytes()].concat();
        assert_eq!(parse(&with_sum(&empty), ""), Some(Contents::default()));
        for huge in [1, 1 << 61, u64::MAX] {
            let origin = [&huge.to_le_bytes()[..], &0u64.to_le_bytes()[..4]].concat();
            assert_eq!(parse(&with_sum(&origin), ""), None);
            let texts = [&0u64.to_le_bytes()[..], &huge.to_le_bytes()].concat();
            assert_eq!(parse(&with_sum(&texts), ""), None);
        }
    }
}
