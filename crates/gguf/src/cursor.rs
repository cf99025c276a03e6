//! A reading position in the bytes seen so far, which knows the three ways a read can end: value, more bytes
//! wanted, or the file cannot hold it.

use std::fmt::Arguments;

use crate::error::{Error, Result};
use crate::limits::Limits;

/// A stretch of the header: start and length. The header is below 4 GiB by [`Limits::header_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    /// The bytes of the span; empty if it lies outside, which spans made by a cursor never do.
    pub fn of(self, header: &[u8]) -> &[u8] {
        let range = || {
            let start = usize::try_from(self.start).ok()?;
            header.get(start..start.checked_add(usize::try_from(self.len).ok()?)?)
        };
        range().unwrap_or_default()
    }
}

/// Why a read gave nothing.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This many bytes from the start of the file are needed to go on.
    Need(u64),
    /// The file is refused.
    Fail(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

pub(crate) struct Cursor<'a> {
    pub buf: &'a [u8],
    pub pos: u64,
    /// Length of the whole file, once known.
    pub file_len: Option<u64>,
    pub limits: &'a Limits,
}

impl<'a> Cursor<'a> {
    /// Bytes of the file after the position, when the file's length is known.
    pub fn left(&self) -> Option<u64> {
        self.file_len.map(|len| len.saturating_sub(self.pos))
    }

    /// The next `len` bytes. `what` is only spelled out when the file ends before them.
    pub fn take(&mut self, len: u64, what: Arguments<'_>) -> Result<&'a [u8], Stop> {
        let limit = u64::from(self.limits.header_bytes);
        let end = self.pos.checked_add(len).filter(|end| *end <= limit);
        let too_long = Error::HeaderSize {
            at: self.pos,
            limit,
        };
        if let Some(left) = self.left()
            && left < len
        {
            return Err(Error::Truncated {
                what: what.to_string(),
                at: self.pos,
                need: len,
                have: left,
            }
            .into());
        }
        let end = end.ok_or(too_long.clone())?;
        let range = usize::try_from(self.pos).map_err(|_| too_long.clone())?
            ..usize::try_from(end).map_err(|_| too_long)?;
        let bytes = self.buf.get(range).ok_or(Stop::Need(end))?;
        self.pos = end;
        Ok(bytes)
    }

    pub fn u32(&mut self, what: Arguments<'_>) -> Result<u32, Stop> {
        let bytes = self.take(4, what)?;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    pub fn u64(&mut self, what: Arguments<'_>) -> Result<u64, Stop> {
        let bytes = self.take(8, what)?;
        Ok(bytes.try_into().map_or(0, u64::from_le_bytes))
    }

    /// Like [`take`](Self::take), as a span.
    pub fn span(&mut self, len: u64, what: Arguments<'_>) -> Result<Span, Stop> {
        let start = self.pos;
        self.take(len, what)?;
        // `take` has checked both against the header limit, a u32.
        let too_long = || Error::HeaderSize {
            at: start,
            limit: u64::from(self.limits.header_bytes),
        };
        Ok(Span {
            start: u32::try_from(start).map_err(|_| too_long())?,
            len: u32::try_from(len).map_err(|_| too_long())?,
        })
    }

    /// A length-prefixed string of at most `limit` bytes.
    pub fn string(&mut self, limit: u64, what: Arguments<'_>) -> Result<Span, Stop> {
        let at = self.pos;
        let found = self.u64(what)?;
        let left = self.left().filter(|left| found > *left);
        if found > limit || left.is_some() {
            return Err(Error::StringLen {
                what: what.to_string(),
                at,
                found,
                limit,
                left,
            }
            .into());
        }
        self.span(found, what)
    }
}
