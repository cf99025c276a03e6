//! What was measured, kept for the next load of the same model on the same GPU. Whatever does not read as it was written counts as not there.

use super::Variant;
use crate::options::EngineOptions;
use chord_kernels::files;
use chord_kernels::gpu::{AdapterInfo, Caps};
use chord_kernels::shaders;
use chord_model::Plan;
use std::fmt;
use std::path::{Path, PathBuf};

/// A line: more than any file of ours holds.
const MOST: u64 = 4096;

/// What a load left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub variant: Variant,
    /// Loads that had no time for everything; None once one had.
    pub unfinished: Option<u32>,
}

impl Kept {
    /// Nothing is measured again.
    pub(super) fn is_final(&self) -> bool {
        self.unfinished.is_none_or(|loads| loads >= super::LOADS)
    }

    fn parse(text: &str, caps: &Caps) -> Option<Self> {
        let (variant, unfinished) = match text.split_once(UNFINISHED) {
            Some((variant, loads)) => (variant, Some(loads.parse().ok()?)),
            None => (text, None),
        };
        Some(Self {
            variant: Variant::parse(variant, caps)?,
            unfinished,
        })
    }
}

impl From<Variant> for Kept {
    fn from(variant: Variant) -> Self {
        Self {
            variant,
            unfinished: None,
        }
    }
}

/// Between a variant and the number of loads.
const UNFINISHED: &str = " unfinished ";

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.variant)?;
        self.unfinished
            .map_or(Ok(()), |loads| write!(f, "{UNFINISHED}{loads}"))
    }
}

/// What a measurement is of: this program and its shaders, the GPU with its driver, and the products of the model.
pub(super) fn key(adapter: &AdapterInfo, plan: &Plan) -> String {
    // Tiles need batches that are large enough for them.
    let chunk = plan.chunk.to_le_bytes().to_vec();
    let steps = plan.prefill.iter().chain(&plan.decode).chain(&plan.head);
    let products = steps.flat_map(|step| {
        let kernel = &step.kernel;
        [kernel.shader().name().into_bytes(), kernel.params()]
    });
    let model = std::iter::once(chunk).chain(products);
    key_of(shaders::FINGERPRINT, adapter, model)
}

fn key_of(shaders: u64, adapter: &AdapterInfo, model: impl IntoIterator<Item = Vec<u8>>) -> String {
    let mut all = Vec::new();
    let mut add = |part: &[u8]| {
        all.extend(part);
        // No part runs into the next.
        all.push(0xff);
    };
    // A winner among other texts is none among these, whatever the version says.
    add(&shaders.to_le_bytes());
    let AdapterInfo {
        name,
        backend,
        kind,
        driver,
    } = adapter;
    for part in [env!("CARGO_PKG_VERSION"), name, backend, kind, driver] {
        add(part.as_bytes());
    }
    for part in model {
        add(&part);
    }
    format!("{:016x}", files::fingerprint(&all))
}

fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("tuned-{key}.txt"))
}

/// What an earlier run measured: by the caller's text, or else in the folder.
pub(super) fn find(opts: &EngineOptions, key: &str, caps: &Caps) -> Option<Kept> {
    let of = |text: &str| text.lines().find_map(|line| parse(line, key, caps));
    let given = opts.tuned.as_deref().and_then(of);
    given.or_else(|| {
        let path = path(opts.kernel_cache.as_ref()?, key);
        of(&String::from_utf8(files::read(&path, MOST)?).ok()?)
    })
}

fn parse(line: &str, key: &str, caps: &Caps) -> Option<Kept> {
    let (of, kept) = line.split_once(' ')?;
    (of == key).then(|| Kept::parse(kept, caps))?
}

/// Writes it to the folder, where there is one. A failure is no error: the next run measures again.
pub(super) fn keep(opts: &EngineOptions, key: &str, text: &str) {
    let Some(folder) = &opts.kernel_cache else {
        return;
    };
    let path = path(folder, key);
    let line = format!("{text}\n");
    let there = files::read(&path, MOST).is_some_and(|found| found == line.as_bytes());
    if !there && let Err(e) = files::replace(&path, line.as_bytes()) {
        tracing::warn!("what was measured is not kept in {}: {e}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_shaders_another_driver_or_another_model_are_another_measurement() {
        let adapter = |driver: &str| AdapterInfo {
            name: "a GPU".into(),
            backend: "vulkan".into(),
            kind: "discrete".into(),
            driver: driver.into(),
        };
        let key = |shaders, driver, model: &[u8]| key_of(shaders, &adapter(driver), [model.into()]);
        let of_text = |text: &str| files::fingerprint(text.as_bytes());
        let (old, new) = (of_text("fn a() {}"), of_text("fn a() { b(); }"));
        assert_ne!(old, new);
        let first = key(old, "1", b"model");
        assert_eq!(first, key(old, "1", b"model"));
        for other in [
            key(new, "1", b"model"),
            key(old, "2", b"model"),
            key(old, "1", b"another"),
        ] {
            assert_ne!(first, other);
        }
    }
}
