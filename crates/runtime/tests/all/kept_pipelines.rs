//! Compiled kernels kept in a folder from one run to the next; whatever lies there, the model loads and answers right.

use crate::common::*;
use chord_runtime::{Counters, Engine, EngineOptions};
use std::path::{Path, PathBuf};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("chord-kept-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The one file there is.
    fn file(&self) -> PathBuf {
        let mut files: Vec<_> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Loads with this folder.
fn loads(folder: &Path, options: EngineOptions) -> Engine {
    let options = EngineOptions {
        kernel_cache: Some(folder.to_owned()),
        ..options
    };
    load(TINY, &options)
}

/// Loads with this folder, holds the answer to the reference's, and counts.
fn answers(folder: &Path) -> Counters {
    let mut engine = loads(folder, exact());
    let loaded = engine.counters();
    let prompt = reference(TINY, "deq").prompts.remove(0);
    let mut session = engine.new_session().unwrap();
    let request = greedy(&prompt.prompt_ids, prompt.ids.len() as u32);
    let done = generate(&mut engine, &mut session, &request);
    assert_eq!(done.tokens, prompt.ids);
    loaded
}

#[test]
fn a_second_run_finds_what_the_first_has_kept_on_gpu_on_both() {
    gpu_only();
    let folder = Folder::new("again");
    let first = answers(&folder.0);
    assert!(first.pipelines > 0);
    assert_eq!(first.pipelines_kept, 0);
    let (path, written) = (folder.file(), std::fs::read(folder.file()).unwrap());
    let again = answers(&folder.0);
    assert_eq!(again.pipelines_kept, again.pipelines);
    // Nothing was new: the file is the same one.
    assert_eq!(std::fs::read(&path).unwrap(), written);
    // What the first did not need is added to what it did.
    let fast = loads(&folder.0, base()).counters();
    assert!(fast.pipelines_kept < fast.pipelines);
    assert!(std::fs::read(folder.file()).unwrap().len() > written.len());
    for options in [exact(), base()] {
        let counters = loads(&folder.0, options).counters();
        assert_eq!(counters.pipelines_kept, counters.pipelines);
    }
}

#[test]
fn a_damaged_file_is_replaced_on_gpu() {
    gpu_only();
    let folder = Folder::new("damaged");
    answers(&folder.0);
    let path = folder.file();
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let bare = good[good.len() - 32..].to_vec();
    for bad in [flipped, good[..good.len() - 1].to_vec(), Vec::new(), bare] {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(answers(&folder.0).pipelines_kept, 0);
        assert_eq!(std::fs::read(folder.file()).unwrap(), good);
    }
}

#[test]
fn a_folder_that_cannot_be_used_breaks_nothing_on_gpu() {
    gpu_only();
    let folder = Folder::new("unusable");
    answers(&folder.0);
    let path = folder.file();
    // A folder in the file's place, and a file in the folder's.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("occupied")).unwrap();
    assert_eq!(answers(&folder.0).pipelines_kept, 0);
    assert_eq!(folder.file(), path);
    std::fs::remove_dir_all(&folder.0).unwrap();
    std::fs::write(&folder.0, b"no folder").unwrap();
    assert_eq!(answers(&folder.0).pipelines_kept, 0);
    std::fs::remove_file(&folder.0).unwrap();
}
