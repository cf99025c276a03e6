//! The incremental reader: feed it the file's bytes from the start, in pieces of any size.

use crate::cursor::{Cursor, Stop};
use crate::directory::{Directory, Entry};
use crate::error::{Error, Result};
use crate::items::{self, Item, Strings};
use crate::layout::{self, TensorEntry};
use crate::limits::Limits;

/// What a parser says after some bytes.
#[derive(Debug)]
pub enum Progress {
    /// The header goes on: at least this many bytes, counted from the start of the file, are needed.
    Need(u64),
    /// The whole header was read and every check of it passed.
    Ready(Box<Directory>),
}

/// Reads a GGUF header piece by piece. Does no I/O, and holds the header only.
///
/// The result does not depend on how the file was cut into pieces.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    file_len: Option<u64>,
    /// The file from its start, up to a little past what was asked for.
    buf: Vec<u8>,
    /// Where the item being read begins in the file.
    pos: u64,
    /// No progress is possible before this many bytes.
    need: u64,
    state: State,
    version: u32,
    n_tensors: u64,
    n_kv: u64,
    alignment: u32,
    entries: Vec<Entry>,
    tensors: Vec<TensorEntry>,
}

#[derive(Debug)]
enum State {
    Head,
    Kv,
    /// In the middle of an array of strings.
    Strings(Strings),
    Tensor,
    /// Everything is read; the checks over all of it remain.
    Complete,
    /// A verdict was given.
    Finished,
}

/// Bytes copied beyond what is needed now, so that small items do not each cost a copy.
const AHEAD: usize = 64 << 10;

impl Parser {
    /// A parser for a file whose length is not known.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            file_len: None,
            buf: Vec::new(),
            pos: 0,
            need: 0,
            state: State::Head,
            version: 0,
            n_tensors: 0,
            n_kv: 0,
            alignment: 32,
            entries: Vec::new(),
            tensors: Vec::new(),
        }
    }

    /// Tells the length of the whole file, bytes: counts and lengths are then checked against what is left of it as
    /// soon as they are read, and tensor data that the file is too short for is refused with the header.
    #[must_use]
    pub fn with_file_len(mut self, file_len: u64) -> Self {
        self.file_len = Some(file_len);
        self
    }

    /// Takes the next bytes of the file. Bytes after the header are ignored.
    ///
    /// # Errors
    /// Everything that can be wrong with a header; [`Error::Finished`] after a verdict was given.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Progress> {
        loop {
            let have = u64::try_from(self.buf.len()).unwrap_or(u64::MAX);
            if have >= self.need {
                match self.advance() {
                    Ok(directory) => return Ok(Progress::Ready(directory)),
                    Err(Stop::Need(need)) => self.need = need,
                    Err(Stop::Fail(error)) => {
                        self.release();
                        return Err(error);
                    }
                }
            }
            if bytes.is_empty() {
                return Ok(Progress::Need(self.need));
            }
            let wanted = usize::try_from(self.need.saturating_sub(have))
                .unwrap_or(usize::MAX)
                .max(AHEAD);
            let (now, later) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            if let Err(error) = self.hold(now) {
                self.release();
                return Err(error);
            }
            bytes = later;
        }
    }

    /// Says that the file has ended.
    ///
    /// # Errors
    /// [`Error::Truncated`], or the error of the length that the end of the file proves wrong.
    pub fn finish(mut self) -> Result<Box<Directory>> {
        self.file_len = Some(u64::try_from(self.buf.len()).unwrap_or(u64::MAX));
        match self.advance() {
            Ok(directory) => Ok(directory),
            Err(Stop::Fail(error)) => Err(error),
            Err(Stop::Need(need)) => Err(Error::Truncated {
                what: "the header".to_owned(),
                at: self.pos,
                need,
                have: self.file_len.unwrap_or(0),
            }),
        }
    }

    /// Copies `bytes` behind those held. Grows by a quarter, never by a count from the file; past half the limit in one
    /// last step, so that even an allocator that grows by copying never holds two buffers near the limit.
    fn hold(&mut self, bytes: &[u8]) -> Result<()> {
        let len = self.buf.len();
        let wanted = len.saturating_add(bytes.len());
        if wanted > self.buf.capacity() {
            let limit = usize::try_from(self.limits.header_bytes).unwrap_or(usize::MAX);
            let step = if len > limit >> 1 {
                limit.saturating_sub(len).saturating_add(AHEAD)
            } else {
                len >> 2
            };
            let need = || Error::OutOfMemory {
                need: u64::try_from(wanted).unwrap_or(u64::MAX),
            };
            self.buf
                .try_reserve_exact(step.max(bytes.len()))
                .map_err(|_| need())?;
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    fn release(&mut self) {
        self.state = State::Finished;
        self.need = 0;
        self.buf = Vec::new();
        self.entries = Vec::new();
        self.tensors = Vec::new();
    }

    /// Reads items until the header is complete, bytes run out, or something is wrong.
    fn advance(&mut self) -> Result<Box<Directory>, Stop> {
        loop {
            let mut cursor = Cursor {
                buf: &self.buf,
                pos: self.pos,
                file_len: self.file_len,
                limits: &self.limits,
            };
            match &mut self.state {
                State::Head => {
                    (self.version, self.n_tensors, self.n_kv) = items::head(&mut cursor)?;
                    self.pos = cursor.pos;
                    self.state = self.after_kv()?;
                }
                State::Kv => {
                    let index = self.entries.len();
                    match items::kv(&mut cursor, index)? {
                        Item::Entry(entry) => {
                            let alignment = layout::alignment(&entry, &self.buf, &self.limits)?;
                            self.alignment = alignment.unwrap_or(self.alignment);
                            self.pos = cursor.pos;
                            self.entries.push(entry);
                            self.state = self.after_kv()?;
                        }
                        Item::Strings(strings) => {
                            self.pos = cursor.pos;
                            self.state = State::Strings(strings);
                        }
                    }
                }
                State::Strings(strings) => {
                    while strings.done < strings.len {
                        items::string_element(&mut cursor, strings)?;
                        self.pos = cursor.pos;
                    }
                    let entry = items::finish_strings(&cursor, strings)?;
                    self.entries.push(entry);
                    self.state = self.after_kv()?;
                }
                State::Tensor => {
                    let entry = items::tensor(&mut cursor, self.tensors.len(), self.alignment)?;
                    self.pos = cursor.pos;
                    self.tensors.push(entry);
                    self.state = self.after_tensor();
                }
                State::Finished => return Err(Error::Finished.into()),
                State::Complete => {
                    self.state = State::Finished;
                    let mut header = std::mem::take(&mut self.buf);
                    header.truncate(usize::try_from(self.pos).unwrap_or(usize::MAX));
                    return Ok(Box::new(Directory::new(
                        header,
                        (self.version, self.alignment),
                        std::mem::take(&mut self.entries),
                        std::mem::take(&mut self.tensors),
                        self.file_len,
                        self.limits.clone(),
                    )?));
                }
            }
        }
    }

    fn after_kv(&self) -> Result<State> {
        if (self.entries.len() as u64) < self.n_kv {
            return Ok(State::Kv);
        }
        layout::check_keys(&self.entries, &self.buf)?;
        Ok(self.after_tensor())
    }

    fn after_tensor(&self) -> State {
        if (self.tensors.len() as u64) < self.n_tensors {
            State::Tensor
        } else {
            State::Complete
        }
    }
}
