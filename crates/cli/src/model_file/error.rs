//! Why a download failed, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::cache;

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{url}: {why}")]
    Url { url: String, why: &'static str },
    #[error("{url}: the server answered {status}")]
    Status {
        url: String,
        status: u16,
        retry_after: Option<u64>,
    },
    #[error("{url}: redirected too often, or to nowhere")]
    Redirect { url: String },
    #[error("{url}: {what}")]
    Network { url: String, what: String },
    #[error("{url}: the transfer ended at byte {have} of {want}")]
    Short { url: String, have: u64, want: u64 },
    #[error("{url}: the server sent more than the {want} bytes that it announced")]
    Long { url: String, want: u64 },
    #[error("{url}: SHA-256 is {found}, expected {expected}")]
    Hash {
        url: String,
        found: String,
        expected: String,
    },
    #[error("{url}: the server says that its SHA-256 is {stated}, expected {expected}")]
    OtherFile {
        url: String,
        stated: String,
        expected: String,
    },
    #[error("not enough space in {}: {need} bytes needed, {have} free", folder.display())]
    Space {
        folder: PathBuf,
        need: u64,
        have: u64,
    },
    #[error("cache file {}: {source}", path.display())]
    Cache { path: PathBuf, source: io::Error },
    #[error("this system names no cache folder")]
    NoCacheFolder,
}

impl Error {
    pub(super) fn cache(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Cache { path, source }
    }

    /// Stable name of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Url { .. } => "E_URL",
            Error::Status {
                status: 404 | 410, ..
            } => "E_HTTP_NOT_FOUND",
            Error::Status {
                status: 401 | 403, ..
            } => "E_HTTP_DENIED",
            Error::Status { status: 429, .. } => "E_HTTP_BUSY",
            Error::Status { .. } => "E_HTTP_STATUS",
            Error::Redirect { .. } => "E_REDIRECT",
            Error::Network { .. } => "E_NETWORK",
            Error::Short { .. } => "E_DOWNLOAD_SHORT",
            Error::Long { .. } => "E_DOWNLOAD_LONG",
            Error::Hash { .. } | Error::OtherFile { .. } => "E_SHA256",
            Error::Space { .. } => "E_DISK_FULL",
            Error::Cache { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "E_DISK_FULL"
            }
            Error::Cache { .. } => "E_CACHE",
            Error::NoCacheFolder => "E_CACHE",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        let env = cache::CACHE_ENV;
        match self {
            Error::Url { .. } => "give a file, an https:// address, or hf:owner/repo/file.gguf".into(),
            Error::Status { status: 404 | 410, .. } => "check the spelling of owner, repository and file name".into(),
            Error::Status { status: 401 | 403, .. } => {
                "the file is private or must be agreed to on its web page; then set HF_TOKEN to an access token of yours".into()
            }
            Error::Status { status: 429, .. } => "the server is limiting requests: try again in some minutes; what is there is kept".into(),
            Error::Status { .. } | Error::Redirect { .. } => "try again later; what is there is kept".into(),
            Error::Network { .. } | Error::Short { .. } => {
                "check the connection and run the same command again: it goes on where it stopped".into()
            }
            Error::Long { .. } => "the server is faulty: get the file in another way and give its path".into(),
            Error::Hash { .. } => "the file on the server is not the expected one, or was damaged on the way: run the command again".into(),
            Error::OtherFile { .. } => "check the hash given with --sha256: the file on the server is another one".into(),
            Error::Space { .. } => format!("free some space, or set {env} to a folder on a larger disk"),
            Error::Cache { .. } => format!("check the folder's permissions and free space, or set {env} to another folder"),
            Error::NoCacheFolder => format!("set {env} to a folder where models may be kept"),
        }
    }

    /// Whether what has been fetched is still the beginning of the file, so that the next run can go on with it.
    pub(super) fn keeps_part(&self) -> bool {
        match self {
            Error::Long { .. } | Error::Hash { .. } => false,
            Error::Url { .. }
            | Error::Status { .. }
            | Error::Redirect { .. }
            | Error::Network { .. }
            | Error::Short { .. }
            | Error::OtherFile { .. }
            | Error::Space { .. }
            | Error::Cache { .. }
            | Error::NoCacheFolder => true,
        }
    }

    /// Whether the same request may work a moment later.
    pub(super) fn transient(&self) -> bool {
        match self {
            Error::Network { .. } | Error::Short { .. } => true,
            Error::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}
