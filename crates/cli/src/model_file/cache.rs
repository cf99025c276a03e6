//! Where downloaded models are kept: one finished file per address, a record of what it is, and the unfinished part.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::url::Url;

/// Overrides the platform's cache folder.
pub const CACHE_ENV: &str = "WASM_CHORD_CACHE";

/// The command's own folder inside the platform's cache folder.
pub fn folder() -> Result<PathBuf, Error> {
    if let Some(dir) = std::env::var_os(CACHE_ENV).filter(|d| !d.is_empty()) {
        return Ok(PathBuf::from(dir));
    }
    dirs::cache_dir()
        .map(|d| d.join("wasm-chord"))
        .ok_or(Error::NoCacheFolder)
}

/// What is known about a finished or unfinished download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Address asked for.
    pub url: String,
    /// Strong entity tag of the server's copy.
    pub etag: Option<String>,
    /// Length in bytes, where the server said it.
    pub size: Option<u64>,
    /// SHA-256 of the finished file, lower-case hex.
    pub sha256: Option<String>,
}

/// The files of one address.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The finished model.
    pub file: PathBuf,
    record: PathBuf,
    /// The unfinished model.
    pub part: PathBuf,
    part_record: PathBuf,
    lock: PathBuf,
}

impl Entry {
    /// Files for `url`; creates the folder.
    pub fn new(url: &Url) -> Result<Entry, Error> {
        let models = folder()?.join("models");
        fs::create_dir_all(&models).map_err(Error::cache(&models))?;
        // Two addresses may end in the same file name: a piece of the address's hash keeps them apart.
        let hash = hex(&Sha256::digest(url.text().as_bytes()));
        let name = url.file_name();
        let stem = name.strip_suffix(".gguf").unwrap_or(&name);
        let base = format!("{stem}-{}", hash.get(..12).unwrap_or(&hash));
        let at = |end: &str| models.join(format!("{base}{end}"));
        Ok(Entry {
            file: at(".gguf"),
            record: at(".json"),
            part: at(".part"),
            part_record: at(".part.json"),
            lock: at(".lock"),
        })
    }

    /// The finished model's record, when the file is there in its full length.
    pub fn finished(&self) -> Option<Record> {
        let record: Record = serde_json::from_slice(&fs::read(&self.record).ok()?).ok()?;
        let length = fs::metadata(&self.file).ok()?.len();
        (record.size == Some(length)).then_some(record)
    }

    /// Record of the unfinished part.
    pub fn unfinished(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(&self.part_record).ok()?).ok()
    }

    /// Says what the unfinished part is, before its first byte is written.
    pub fn begin(&self, record: &Record) -> Result<(), Error> {
        write_json(&self.part_record, record)
    }

    /// Drops the unfinished part.
    pub fn discard(&self) {
        // Neither file may be there; a part without a record is never resumed, so order does not matter.
        let _ = fs::remove_file(&self.part_record);
        let _ = fs::remove_file(&self.part);
    }

    /// Makes the part the finished model. The record comes first: a finished file always has one.
    pub fn commit(&self, record: &Record) -> Result<(), Error> {
        write_json(&self.record, record)?;
        fs::rename(&self.part, &self.file).map_err(Error::cache(&self.file))?;
        let _ = fs::remove_file(&self.part_record);
        Ok(())
    }

    /// Only one process downloads an address at a time; `waiting` is told when another one is at it. The lock ends
    /// with the returned file, also when the process is killed.
    pub fn lock(&self, waiting: impl FnOnce()) -> Result<File, Error> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.lock)
            .map_err(Error::cache(&self.lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(Error::cache(&self.lock))?;
            }
            // Some network file systems know no locks: go on, the hash check still guards the result.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => {
                return Err(Error::Cache {
                    path: self.lock.clone(),
                    source: e,
                });
            }
        }
        Ok(file)
    }
}

fn write_json(path: &Path, record: &Record) -> Result<(), Error> {
    let text = serde_json::to_vec(record).map_err(|e| Error::Cache {
        path: path.to_owned(),
        source: io::Error::other(e),
    })?;
    fs::write(path, text).map_err(Error::cache(path))
}

/// Bytes free for this user on the file system that holds `path`; `None` where that is not known.
pub fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let stat = nix::sys::statvfs::statvfs(path).ok()?;
        // Both are narrower than u64 on some platforms.
        #[allow(
            clippy::useless_conversion,
            reason = "c_ulong and fsblkcnt_t differ between platforms"
        )]
        u64::from(stat.fragment_size()).checked_mul(u64::from(stat.blocks_available()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(
        String::with_capacity(bytes.len().saturating_mul(2)),
        |mut s, b| {
            let _ = write!(s, "{b:02x}");
            s
        },
    )
}

/// Whether `text` is a SHA-256 in hex; gives it in lower case.
pub fn sha256_hex(text: &str) -> Option<String> {
    (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| text.to_ascii_lowercase())
}
