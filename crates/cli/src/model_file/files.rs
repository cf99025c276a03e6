//! The files of a model, read piece by piece: a mapping of them would count as this process's memory beside the weights.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;

use super::arrival::{Arrival, Bytes};
use super::download;
use super::http::Token;
use super::read_ahead::ReadAhead;
use super::url::Url;
use crate::error::Error;

/// The open file of a model, or its parts in order, each with its length.
pub struct Files {
    parts: Vec<(File, u64)>,
    ahead: Option<ReadAhead>,
    arrival: Option<Arc<Arrival>>,
}

impl Files {
    pub fn open(paths: &[PathBuf]) -> Result<Files, Error> {
        let parts = paths.iter().map(|path| open(path));
        let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        let bytes = parts.iter().map(|(_, length)| length).sum();
        Ok(Files {
            parts,
            ahead: ReadAhead::start(paths.to_vec(), bytes),
            arrival: None,
        })
    }

    /// A file that is being downloaded, from when its header has been accepted on; where the server does not say how long it is,
    /// the whole file.
    pub(super) fn arriving(
        url: Url,
        expected: Option<String>,
        token: Option<Token>,
    ) -> Result<Files, Error> {
        let part = download::part(&url)?;
        let arrival = Arc::new(Arrival::default());
        let told = arrival.clone();
        let work = move || {
            let (expected, token) = (expected.as_deref(), token.as_ref());
            told.ends_with(|arrival| download::fetch(&url, false, expected, token, arrival));
        };
        let thread = std::thread::Builder::new().name("download".into());
        thread.spawn(work).map_err(Error::Thread)?;
        let length = arrival.length();
        // What has ended meanwhile is not there under this name.
        match (length, File::open(part)) {
            (Some(length), Ok(file)) => Ok(Files {
                parts: vec![(file, length)],
                ahead: None,
                arrival: Some(arrival),
            }),
            _ => Files::open(&[arrival.finish()?.0]),
        }
    }

    /// Whether bytes are still arriving.
    pub fn are_arriving(&self) -> bool {
        self.arrival.as_ref().is_some_and(|a| a.goes_on())
    }

    /// After reading, which went well or not: waits for the end of a download. What was read is to be read again from the
    /// paths that this gives, if any; it was of another file.
    ///
    /// # Errors
    /// The download's, which says more than that of reading what did not come. One that nobody needs any more, since reading
    /// failed for another reason, is given up: what is there is kept.
    pub fn settle(&self, well: bool) -> Result<Option<Vec<PathBuf>>, Error> {
        let Some(arrival) = &self.arrival else {
            return Ok(None);
        };
        if !well && !arrival.is_lost() {
            arrival.give_up();
            return Ok(None);
        }
        let (path, same) = arrival.finish()?;
        Ok((!same).then(|| vec![path]))
    }

    /// Waits until the first `bytes` are there, and lets others work meanwhile.
    async fn arrived(&self, bytes: u64) -> io::Result<()> {
        let Some(arrival) = &self.arrival else {
            return Ok(());
        };
        poll_fn(|context| match arrival.first(bytes) {
            Bytes::Here => Poll::Ready(Ok(())),
            Bytes::Never => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Bytes::NotYet => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
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
        self.arrived(offset.saturating_add(buf.len() as u64))
            .await?;
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
