//! The files of a model, read piece by piece: a mapping of them would count as this process's memory beside the weights.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::read_ahead::ReadAhead;
use crate::error::Error;

/// The open file of a model, or its parts in order, each with its length.
pub struct Files {
    parts: Vec<(File, u64)>,
    ahead: Option<ReadAhead>,
}

impl Files {
    pub fn open(paths: &[PathBuf]) -> Result<Files, Error> {
        let parts = paths.iter().map(|path| open(path));
        let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        let bytes = parts.iter().map(|(_, length)| length).sum();
        Ok(Files {
            parts,
            ahead: ReadAhead::start(paths.to_vec(), bytes),
        })
    }
}

fn open(path: &Path) -> Result<(File, u64), Error> {
    let failed = |source: io::Error| Error::ModelFile {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    Ok((file, about.len()))
}

impl chord_runtime::ModelSource for Files {
    fn size(&self) -> Option<u64> {
        Some(self.parts.iter().map(|(_, length)| length).sum())
    }

    fn parts(&self) -> Vec<u64> {
        match self.parts.as_slice() {
            [_] => Vec::new(),
            parts => parts.iter().map(|(_, length)| *length).collect(),
        }
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if let Some(ahead) = &self.ahead {
            ahead.reached(offset);
        }
        let mut start = offset;
        for (file, length) in &self.parts {
            if start < *length {
                let mut file = file;
                file.seek(SeekFrom::Start(start))?;
                return file.read_exact(buf);
            }
            start -= length;
        }
        if buf.is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
