//! A model file mapped into memory: the page cache holds the only copy on the host.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

use crate::error::Error;

/// A mapped model file.
pub struct Mapped {
    map: Mmap,
}

impl Mapped {
    pub fn open(path: &Path) -> Result<Mapped, Error> {
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
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        Ok(Mapped { map })
    }
}

impl chord_runtime::ModelSource for Mapped {
    fn size(&self) -> Option<u64> {
        u64::try_from(self.map.len()).ok()
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start
            .checked_add(buf.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self
            .map
            .get(start..end)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}
