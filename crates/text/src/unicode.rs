//! Bytes, code points and byte stand-ins as llama.cpp sees them.
//!
//! Text arrives as bytes that need not be UTF-8. Code points are `u32`, because surrogates written as three bytes
//! pass through unchanged; every byte that starts no sequence becomes U+FFFD.

use std::sync::LazyLock;

const REPLACEMENT: u32 = 0xFFFD;

/// Bytes to code points: a byte that begins no sequence of its announced length becomes U+FFFD and one byte is skipped.
pub(crate) fn code_points(bytes: &[u8]) -> Vec<u32> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&lead, tail)) = rest.split_first() {
        let (length, bits) = match lead {
            0x00..=0x7F => (0, u32::from(lead)),
            0xC0..=0xDF => (1, u32::from(lead & 0x1F)),
            0xE0..=0xEF => (2, u32::from(lead & 0x0F)),
            0xF0..=0xF7 => (3, u32::from(lead & 0x07)),
            _ => (usize::MAX, 0),
        };
        let decoded = tail.get(..length).and_then(|next| {
            next.iter().try_fold(bits, |acc, b| {
                (b & 0xC0 == 0x80).then_some(acc << 6 | u32::from(b & 0x3F))
            })
        });
        match decoded {
            Some(c) if c < 0x11_0000 => {
                out.push(c);
                rest = tail.get(length..).unwrap_or_default();
            }
            _ => {
                out.push(REPLACEMENT);
                rest = tail;
            }
        }
    }
    out
}

/// The bytes of a code point, surrogates included.
pub(crate) fn push_utf8(c: u32, out: &mut impl FnMut(u8)) {
    let low_byte = |c: u32| {
        let [low, ..] = c.to_le_bytes();
        low
    };
    let lead = |mark: u8, shift: u32| mark | low_byte(c >> shift);
    let tail = |shift: u32| 0x80 | low_byte(c >> shift & 0x3F);
    match c {
        0..=0x7F => out(low_byte(c)),
        0x80..=0x7FF => {
            out(lead(0xC0, 6));
            out(tail(0));
        }
        0x800..=0xFFFF => {
            out(lead(0xE0, 12));
            out(tail(6));
            out(tail(0));
        }
        _ => {
            out(lead(0xF0, 18));
            out(tail(12));
            out(tail(6));
            out(tail(0));
        }
    }
}

/// GPT-2's printable stand-in for each byte: printable Latin-1 bytes are themselves, the others follow U+0100.
static BYTE_TO_CHAR: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut table = ['\0'; 256];
    let mut next = 0x100u32;
    for (byte, slot) in (0u8..=255).zip(table.iter_mut()) {
        *slot = match byte {
            0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                let c = char::from_u32(next).unwrap_or('\0');
                next += 1;
                c
            }
        };
    }
    table
});

static CHAR_TO_BYTE: LazyLock<std::collections::HashMap<char, u8>> =
    LazyLock::new(|| BYTE_TO_CHAR.iter().copied().zip(0u8..=255).collect());

/// The stand-in of a byte.
pub(crate) fn byte_to_char(byte: u8) -> char {
    BYTE_TO_CHAR.get(usize::from(byte)).copied().unwrap_or('\0')
}

/// The byte a stand-in means.
pub(crate) fn char_to_byte(c: char) -> Option<u8> {
    CHAR_TO_BYTE.get(&c).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_bytes_become_one_replacement_each() {
        assert_eq!(code_points(b"\xC3("), [REPLACEMENT, 0x28]);
        assert_eq!(code_points(b"\xE2\x82("), [REPLACEMENT, REPLACEMENT, 0x28]);
        assert_eq!(code_points(b"\xFF\x80a"), [REPLACEMENT, REPLACEMENT, 0x61]);
        // Beyond U+10FFFF: four bytes that decode to nothing.
        assert_eq!(code_points(b"\xF7\xBF\xBF\xBF"), [REPLACEMENT; 4]);
    }

    #[test]
    fn surrogates_and_text_survive() {
        for bytes in [&b"\xED\xA0\x80"[..], "a\u{e9}\u{65e5}\u{1f642}".as_bytes()] {
            let mut back = Vec::new();
            for c in code_points(bytes) {
                push_utf8(c, &mut |b| back.push(b));
            }
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn byte_stand_ins_are_a_bijection() {
        for b in 0u8..=255 {
            assert_eq!(char_to_byte(byte_to_char(b)), Some(b));
        }
        assert_eq!(byte_to_char(b' '), 'Ġ');
        assert_eq!(byte_to_char(b'\n'), 'Ċ');
    }
}
