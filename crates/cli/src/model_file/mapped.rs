//! The files of a model mapped into memory: the page cache holds the only copy on the host.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::Error;

/// The mapped file of a model, or its parts in order.
pub struct Mapped {
    parts: Vec<Mmap>,
}

impl Mapped {
    pub fn open(paths: &[PathBuf]) -> Result<Mapped, Error> {
        let parts = paths.iter().map(|path| map(path));
        Ok(Mapped {
            parts: parts.collect::<Result<_, _>>()?,
        })
    }
}

fn map(path: &Path) -> Result<Mmap, Error> {
    let failed = |source: io::Error| Error::ModelFile {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    // SAFETY: the map is only read, through `read_at` which copies. A file that another process shortens meanwhile
    // ends this process with SIGBUS: the price of not copying gigabytes, the same as in every program that maps
    // models. Downloads never touch a finished file: they are renamed into place.
    unsafe { Mmap::map(&file) }.map_err(failed)
}

impl chord_runtime::ModelSource for Mapped {
    fn size(&self) -> Option<u64> {
        Some(self.parts.iter().map(|part| part.len() as u64).sum())
    }

    fn parts(&self) -> Vec<u64> {
        match self.parts.as_slice() {
            [_] => Vec::new(),
            parts => parts.iter().map(|part| part.len() as u64).collect(),
        }
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        for part in &self.parts {
            if start < part.len() {
                let end = start.checked_add(buf.len());
                let bytes = end.and_then(|end| part.get(start..end));
                buf.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
                return Ok(());
            }
            start -= part.len();
        }
        if buf.is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
