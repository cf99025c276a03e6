//! The first eight bytes: is it GGUF, and which; if not, what is it.

use crate::cursor::{Cursor, Stop};
use crate::error::{Error, Result, shown};

/// Bytes looked at to name another format.
const HINT_BYTES: u64 = 64;

/// Reads the magic.
pub(crate) fn check(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    if cursor.take(4, format_args!("the magic \"GGUF\""))? == b"GGUF" {
        return Ok(());
    }
    // Wait for enough bytes to tell what the file is, but no longer than the file is long.
    let wanted = cursor.file_len.unwrap_or(HINT_BYTES).min(HINT_BYTES);
    let seen = cursor
        .buf
        .get(..usize::try_from(wanted).unwrap_or(4))
        .ok_or(Stop::Need(wanted))?;
    Err(Error::BadMagic {
        found: shown(seen.get(..4).unwrap_or(seen)),
        hint: hint(seen),
    }
    .into())
}

/// Versions 2 and 3 share one layout; 1 had 32-bit counts and lengths.
pub(crate) fn check_version(version: u32) -> Result<()> {
    match version {
        2 | 3 => Ok(()),
        // A small number in the high bytes is a small number written by a big-endian machine.
        _ if version.swap_bytes() <= 0xffff && version != 0 => Err(Error::BigEndian),
        _ => Err(Error::Version { found: version }),
    }
}

fn hint(seen: &[u8]) -> Option<&'static str> {
    let text = seen
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(seen)
        .trim_ascii_start()
        .to_ascii_lowercase();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        return Some("this is an HTML page, not a model");
    }
    if text.starts_with(b"<?xml") {
        return Some("this is an XML page, often a server's error message, not a model");
    }
    if text.starts_with(b"version https://git-lfs") {
        return Some("this is a Git LFS pointer, not the model itself");
    }
    let formats: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "this is a gzip archive: unpack it first"),
        (
            b"PK\x03\x04",
            "this is a zip archive, perhaps a PyTorch checkpoint, not GGUF",
        ),
        (
            b"FUGG",
            "this is GGUF with its bytes reversed, from a big-endian machine",
        ),
        (b"tjgg", "this is an old GGJT file from before GGUF"),
        (b"lmgg", "this is an old GGML file from before GGUF"),
        (b"fmgg", "this is an old GGMF file from before GGUF"),
        (b"\x89HDF", "this is an HDF5 file, not GGUF"),
        (b"\x80\x02", "this is a Python pickle, not GGUF"),
    ];
    if let Some((_, name)) = formats.iter().find(|(start, _)| seen.starts_with(start)) {
        return Some(name);
    }
    // Safetensors: the length of a JSON header in 8 bytes, then that header.
    if seen.get(8) == Some(&b'{') {
        return Some("this is a safetensors file, not GGUF");
    }
    text.starts_with(b"{")
        .then_some("this is JSON, not a model")
}
