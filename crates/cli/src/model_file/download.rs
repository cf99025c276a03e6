//! Fetching a model: one stream that is hashed and whose header is checked as it comes, resumed where it was cut.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use ureq::http::StatusCode;

use super::arrival::Arrival;
use super::cache::{self, Entry, Record};
use super::error::Error;
use super::header::HeaderCheck;
use super::http::{self, Reply, Token};
use super::progress::Progress;
use super::url::Url;
use crate::out::note;

/// Tries in a row that bring no new byte before we give up.
const TRIES: u32 = 5;
/// Room that the rest of the system keeps.
const SPARE_BYTES: u64 = 64 << 20;

/// Gets the model at `url`, or the `part` of one, into the cache and gives its path; its SHA-256 is `expected`, if that is given.
/// A finished download is used without asking the network. `arrival` is told how it goes.
pub fn fetch(
    url: &Url,
    part: bool,
    expected: Option<&str>,
    token: Option<&Token>,
    arrival: &Arrival,
) -> Result<PathBuf, crate::error::Error> {
    let entry = Entry::new(url)?;
    if entry.finished().is_some() {
        return super::check_hash(entry.file, expected);
    }
    let _lock =
        entry.lock(|| note("another wasm-chord is downloading this model; waiting for it"))?;
    if entry.finished().is_some() {
        return super::check_hash(entry.file, expected);
    }
    let agent = http::agent();
    let mut failures = 0u32;
    let mut restarted = false;
    let mut transfer = Transfer::resume(&entry, url, part, arrival)?;
    loop {
        let had = transfer.have;
        let result = transfer.run(&agent, expected, token);
        let progressed = transfer.have > had;
        match result {
            Ok(()) => return Ok(entry.file),
            // A resumed file with a wrong hash may be two versions glued together: once more from the start.
            Err(crate::error::Error::Download(Error::Hash { .. })) if had > 0 && !restarted => {
                restarted = true;
                note("the resumed download is not the expected file; starting anew");
                entry.discard();
                transfer = Transfer::resume(&entry, url, part, arrival)?;
            }
            Err(crate::error::Error::Download(e)) if e.transient() => {
                failures = if progressed {
                    1
                } else {
                    failures.saturating_add(1)
                };
                if failures >= TRIES {
                    return Err(e.into());
                }
                let wait = match &e {
                    Error::Status {
                        retry_after: Some(s),
                        ..
                    } => Duration::from_secs((*s).min(60)),
                    _ => Duration::from_millis(250u64 << failures.min(6)),
                };
                note(&format!("{e}; trying again in {:.1} s", wait.as_secs_f32()));
                std::thread::sleep(wait);
            }
            Err(e) => {
                let kept = match &e {
                    crate::error::Error::Interrupted => true,
                    crate::error::Error::Download(e) => e.keeps_part(),
                    _ => false,
                };
                if !kept || transfer.have == 0 {
                    entry.discard();
                }
                return Err(e);
            }
        }
    }
}

/// Whether the model at `url` is in the cache, whole.
pub fn is_here(url: &Url) -> Result<bool, Error> {
    Ok(Entry::new(url)?.finished().is_some())
}

/// Where the model at `url` grows while it is downloaded.
pub fn part(url: &Url) -> Result<PathBuf, Error> {
    Ok(Entry::new(url)?.part)
}

/// One attempt, with the state that a resumed part brings along.
struct Transfer<'a> {
    entry: &'a Entry,
    url: &'a Url,
    file: File,
    have: u64,
    hash: Sha256,
    part: bool,
    header: HeaderCheck,
    etag: Option<String>,
    /// Length of the whole file that the part is of, where the server said it.
    size: Option<u64>,
    arrival: &'a Arrival,
}

impl<'a> Transfer<'a> {
    /// Reads back what an earlier attempt left, so that hash and header check go on from there.
    fn resume(
        entry: &'a Entry,
        url: &'a Url,
        part: bool,
        arrival: &'a Arrival,
    ) -> Result<Transfer<'a>, crate::error::Error> {
        let known = entry
            .unfinished()
            .filter(|r| r.url == url.text() && r.etag.is_some());
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&entry.part)
            .map_err(Error::cache(&entry.part))?;
        let mut transfer = Transfer {
            entry,
            url,
            file: file.try_clone().map_err(Error::cache(&entry.part))?,
            have: 0,
            hash: Sha256::new(),
            part,
            header: HeaderCheck::new(part),
            etag: None,
            size: None,
            arrival,
        };
        let Some(record) = known else {
            transfer.restart()?;
            return Ok(transfer);
        };
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            let n = file.read(&mut buffer).map_err(Error::cache(&entry.part))?;
            let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else {
                break;
            };
            if transfer.header.feed(bytes).is_err() {
                transfer.restart()?;
                return Ok(transfer);
            }
            transfer.account(bytes);
        }
        transfer.etag = record.etag;
        transfer.size = record.size;
        Ok(transfer)
    }

    fn account(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.have = self
            .have
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.arrival.have(self.have);
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.arrival.begins();
        self.file
            .set_len(0)
            .map_err(Error::cache(&self.entry.part))?;
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(Error::cache(&self.entry.part))?;
        self.have = 0;
        self.hash = Sha256::new();
        self.header = HeaderCheck::new(self.part);
        self.etag = None;
        self.size = None;
        Ok(())
    }

    /// Whether `reply` brings the rest of what the part is the beginning of. Not every server heeds `If-Range`: one that sends
    /// the rest of another version may still say so by its tag or its length.
    fn goes_on_with(&self, reply: &Reply) -> bool {
        fn agree<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.zip(b).is_none_or(|(a, b)| a == b)
        }
        reply.status == StatusCode::PARTIAL_CONTENT
            && reply.start == self.have
            && reply.resumable
            && agree(reply.etag.as_ref(), self.etag.as_ref())
            && agree(reply.size.as_ref(), self.size.as_ref())
    }

    fn run(
        &mut self,
        agent: &ureq::Agent,
        expected: Option<&str>,
        token: Option<&Token>,
    ) -> Result<(), crate::error::Error> {
        let reply = match http::get(agent, self.url, self.have, self.etag.as_deref(), token) {
            // The part is as long as the file, or longer: only a fresh start can tell.
            Err(Error::Status { status: 416, .. }) => {
                self.restart()?;
                http::get(agent, self.url, 0, None, token)?
            }
            other => other?,
        };
        let reply = if self.goes_on_with(&reply) {
            reply
        } else {
            // The server knows no ranges, or the file has changed since: begin again.
            self.restart()?;
            if reply.status == StatusCode::OK {
                reply
            } else {
                http::get(agent, self.url, 0, None, token)?
            }
        };
        if reply.start != self.have {
            return Err(Error::Network {
                url: self.url.shown(),
                what: "the server sent a part that was not asked for".into(),
            }
            .into());
        }
        self.receive(reply, expected)
    }

    fn receive(
        &mut self,
        mut reply: Reply,
        expected: Option<&str>,
    ) -> Result<(), crate::error::Error> {
        let shown = self.url.shown();
        let stated = reply.sha256.take();
        if let (Some(want), Some(stated)) = (expected, &stated)
            && want != stated
        {
            return Err(Error::OtherFile {
                url: shown,
                stated: stated.clone(),
                expected: want.to_owned(),
            }
            .into());
        }
        let want_hash = expected.map(str::to_owned).or(stated);
        self.check_space(reply.size)?;
        let mut record = Record {
            url: self.url.text(),
            etag: reply.etag.take().filter(|_| reply.resumable),
            size: reply.size,
            sha256: want_hash.clone(),
        };
        self.entry.begin(&record)?;
        self.etag.clone_from(&record.etag);
        self.size = record.size;

        let progress = Progress::new(&self.url.file_name(), self.have, reply.size);
        let mut buffer = vec![0u8; 256 << 10];
        loop {
            if let Some(size) = reply.size.filter(|_| self.header.accepted()) {
                self.arrival.accepted(size);
            }
            if self.arrival.is_unwanted() {
                return Err(crate::error::Error::Interrupted);
            }
            let n = match reply.body.read(&mut buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(Error::Network {
                        url: shown,
                        what: e.to_string(),
                    }
                    .into());
                }
            };
            let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else {
                break;
            };
            // A file that we cannot run is refused here, before its bulk is fetched.
            self.header.feed(bytes)?;
            self.header.check_len(reply.size)?;
            self.file
                .write_all(bytes)
                .map_err(Error::cache(&self.entry.part))?;
            self.account(bytes);
            progress.at(self.have);
            if let Some(want) = reply.size.filter(|w| self.have > *w) {
                return Err(Error::Long { url: shown, want }.into());
            }
        }
        if let Some(want) = reply.size.filter(|w| self.have < *w) {
            return Err(Error::Short {
                url: shown,
                have: self.have,
                want,
            }
            .into());
        }
        progress.finish();
        self.header.finish(self.have)?;
        self.file
            .sync_all()
            .map_err(Error::cache(&self.entry.part))?;
        let found = cache::hex(&std::mem::take(&mut self.hash).finalize());
        if let Some(want) = want_hash.filter(|w| *w != found) {
            return Err(Error::Hash {
                url: shown,
                found,
                expected: want,
            }
            .into());
        }
        record.size = Some(self.have);
        record.sha256 = Some(found);
        self.entry.commit(&record)?;
        Ok(())
    }

    /// Better no download than one that fills the disk and fails.
    fn check_space(&self, size: Option<u64>) -> Result<(), Error> {
        let folder = self.entry.part.parent().unwrap_or(Path::new("."));
        let (Some(size), Some(have)) = (size, cache::free_bytes(folder)) else {
            return Ok(());
        };
        let need = size.saturating_sub(self.have).saturating_add(SPARE_BYTES);
        if have < need {
            Err(Error::Space {
                folder: folder.to_owned(),
                need,
                have,
            })
        } else {
            Ok(())
        }
    }
}

/// The header of the model at `url` and the file's length, without fetching the weights. `None` for the length where
/// the server does not say it.
pub fn fetch_header(
    url: &Url,
    token: Option<&Token>,
) -> Result<(Box<chord_gguf::Directory>, Option<u64>), crate::error::Error> {
    let entry = Entry::new(url)?;
    if entry.finished().is_some() {
        let (directory, length) = super::read_header(&entry.file)?;
        return Ok((directory, Some(length)));
    }
    let mut reply = http::get(&http::agent(), url, 0, None, token)?;
    let mut parser = chord_gguf::Parser::new(chord_gguf::Limits::default());
    if let Some(size) = reply.size {
        parser = parser.with_file_len(size);
    }
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let n = reply.body.read(&mut buffer).map_err(|e| Error::Network {
            url: url.shown(),
            what: e.to_string(),
        })?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else {
            return match parser.finish() {
                Ok(directory) => Ok((directory, reply.size)),
                Err(e) => Err(e.into()),
            };
        };
        if let chord_gguf::Progress::Ready(directory) = parser.feed(bytes)? {
            return Ok((directory, reply.size));
        }
    }
}

/// SHA-256 of a whole file, lower-case hex.
pub fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(cache::hex(&hash.finalize())),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}
