//! `ids VOCABULARY.gguf < STRINGS > IDS`: the tokenizer's side of tools/tokenizer-compare.py.
//!
//! All numbers are little-endian u32. STRINGS: each a length and bytes. IDS: for each string the count and the ids
//! without, then with `parse_special` (both with `add_special`); at last, for each token, the length and bytes of its piece.

use std::error::Error;
use std::io::{Read, Write};

use chord_gguf::Directory;
use chord_text::{EncodeOptions, Tokenizer};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("want a GGUF file")?;
    let directory = Directory::parse(&std::fs::read(path)?)?;
    let tokenizer = Tokenizer::from_directory(&directory)?;
    let mut strings = Vec::new();
    std::io::stdin().lock().read_to_end(&mut strings)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());

    let mut rest = strings.as_slice();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let (text, tail) = tail.split_at_checked(length).ok_or("a string is cut")?;
        rest = tail;
        for parse_special in [false, true] {
            let ids = tokenizer.encode_bytes(
                text,
                EncodeOptions {
                    add_special: true,
                    parse_special,
                },
            );
            out.write_all(&u32::try_from(ids.len())?.to_le_bytes())?;
            for id in ids {
                out.write_all(&id.to_le_bytes())?;
            }
        }
    }
    for id in 0..tokenizer.n_vocab() {
        let piece = tokenizer.piece(id).unwrap_or_default();
        out.write_all(&u32::try_from(piece.len())?.to_le_bytes())?;
        out.write_all(piece)?;
    }
    Ok(out.flush()?)
}
