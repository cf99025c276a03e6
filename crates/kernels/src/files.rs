//! Small files of our own that are always read and replaced as a whole.

pub use crate::fingerprint::fingerprint;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The bytes of a file of at most `most` bytes; None for anything else.
#[must_use]
pub fn read(path: &Path, most: u64) -> Option<Vec<u8>> {
    let about = fs::metadata(path).ok()?;
    (about.is_file() && about.len() <= most).then(|| fs::read(path).ok())?
}

/// Writes a file, its folder too. A reader sees the old file or the new one, and of two writers the last one's.
///
/// # Errors
/// Of the file system; then no part of the new file is left.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let part = path.with_extension(format!("{}-{count}.part", std::process::id()));
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_no_part_is_left() {
        let folder = std::env::temp_dir().join(format!("chord-files-{}", std::process::id()));
        let path = folder.join("inner").join("gpu.bin");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"new");
        assert_eq!(read(&path, 2), None, "longer than asked for");
        // A folder cannot be replaced by a file.
        let taken = folder.join("inner").join("taken.bin");
        fs::create_dir_all(taken.join("by a folder")).unwrap();
        assert!(replace(&taken, b"new").is_err());
        assert_eq!(read(&taken, 3), None);
        assert_eq!(fs::read_dir(folder.join("inner")).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    }
}
