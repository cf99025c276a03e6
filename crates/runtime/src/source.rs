//! Where a model's bytes come from, and its header.

use crate::Error;
use chord_gguf::{Directory, Limits, Parser, Progress};
use chord_model::synth::Synth;
use std::future::Future;

/// The bytes of a model file, or of the parts of a split model one after another. The engine reads the headers first, in steps of
/// 256 KiB, then every tensor in that order, so that a source may be a download: reads go forwards, but for a header's last
/// step, which may reach into the first tensor.
pub trait ModelSource {
    /// Bytes in all, where they are known before the end.
    fn size(&self) -> Option<u64>;
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> impl Future<Output = std::io::Result<()>>;
    /// Bytes of each part of a split model; empty for a whole file.
    fn parts(&self) -> Vec<u64> {
        Vec::new()
    }
    /// Fills `buf` from a part's own `offset`: the headers of parts behind the first, before any tensor.
    ///
    /// # Errors
    /// The system's.
    fn read_part_header(
        &self,
        part: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> impl Future<Output = std::io::Result<()>> {
        async move {
            let before: u64 = self.parts().iter().take(part).sum();
            self.read_at(before + offset, buf).await
        }
    }
}

impl ModelSource for Synth {
    fn size(&self) -> Option<u64> {
        Some(Synth::size(self))
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.read(offset, buf);
        Ok(())
    }
}

/// Bytes of header read at once.
const HEADER_STEP: usize = 256 << 10;
/// The same where the file's end is unknown: reading over it would fail.
const BLIND_STEP: usize = 4 << 10;

/// Reads and checks the header, or those of all parts: nothing else is touched before this says yes.
///
/// # Errors
/// `chord_gguf`'s, or reading.
pub async fn read_header(source: &impl ModelSource) -> Result<Box<Directory>, Error> {
    let sizes = source.parts();
    let read = async |offset, buf: &mut [u8]| read(source, offset, buf).await;
    let Some((first, others)) = sizes.split_first() else {
        return read_one(read, source.size()).await;
    };
    let mut parts = vec![(*read_one(read, Some(*first)).await?, *first)];
    let mut begin = *first;
    for (part, size) in (1..).zip(others) {
        let read = async |offset, buf: &mut [u8]| {
            let done = source.read_part_header(part, offset, buf).await;
            done.map_err(|source| Error::Read {
                offset: begin + offset,
                source,
            })
        };
        parts.push((*read_one(read, Some(*size)).await?, *size));
        begin += size;
    }
    Directory::join(parts).map(Box::new).map_err(gguf)
}

fn gguf(e: chord_gguf::Error) -> Error {
    Error::Model(chord_model::Error::Gguf(e))
}

/// The header of a file of `size` bytes.
async fn read_one(
    read: impl AsyncFn(u64, &mut [u8]) -> Result<(), Error>,
    size: Option<u64>,
) -> Result<Box<Directory>, Error> {
    let mut parser = Parser::new(Limits::default());
    if let Some(size) = size {
        parser = parser.with_file_len(size);
    }
    let mut offset = 0;
    loop {
        let step = match size {
            Some(size) => HEADER_STEP.min(usize::try_from(size - offset).unwrap_or(usize::MAX)),
            None => BLIND_STEP,
        };
        let mut bytes = vec![0; step];
        if bytes.is_empty() {
            return parser.finish().map_err(gguf);
        }
        read(offset, &mut bytes).await?;
        offset += bytes.len() as u64;
        if let Progress::Ready(directory) = parser.feed(&bytes).map_err(gguf)? {
            if let Some(size) = size {
                directory.check_file_len(size).map_err(gguf)?;
            }
            return Ok(directory);
        }
    }
}

pub(crate) async fn read(
    source: &impl ModelSource,
    offset: u64,
    buf: &mut [u8],
) -> Result<(), Error> {
    source
        .read_at(offset, buf)
        .await
        .map_err(|source| Error::Read { offset, source })
}
