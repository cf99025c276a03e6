//! Where a model's bytes come from, and its header.

use crate::Error;
use chord_gguf::{Directory, Limits, Parser, Progress};
use std::future::Future;

/// The bytes of a model file. The engine reads the header first, in steps of 256 KiB, then every tensor in the order of the
/// file, so that a source may be a download: reads go forwards, but for the header's last step, which may reach into the
/// first tensor.
pub trait ModelSource {
    /// Bytes in the file, where they are known before its end.
    fn size(&self) -> Option<u64>;
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> impl Future<Output = std::io::Result<()>>;
}

/// Bytes of header read at once.
const HEADER_STEP: usize = 256 << 10;
/// The same where the file's end is unknown: reading over it would fail.
const BLIND_STEP: usize = 4 << 10;

/// Reads and checks the header: nothing else is touched before this says yes.
///
/// # Errors
/// `chord_gguf`'s, or reading.
pub async fn read_header(source: &impl ModelSource) -> Result<Box<Directory>, Error> {
    let size = source.size();
    let mut parser = Parser::new(Limits::default());
    if let Some(size) = size {
        parser = parser.with_file_len(size);
    }
    let mut offset = 0;
    let gguf = |e| Error::Model(chord_model::Error::Gguf(e));
    loop {
        let step = match size {
            Some(size) => HEADER_STEP.min(usize::try_from(size - offset).unwrap_or(usize::MAX)),
            None => BLIND_STEP,
        };
        let mut bytes = vec![0; step];
        if bytes.is_empty() {
            return parser.finish().map_err(gguf);
        }
        read(source, offset, &mut bytes).await?;
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
