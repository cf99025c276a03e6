//! Words and quoted texts at the front of a piece of a template's source.

/// What a scanner has just read, where that changes what a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Previous {
    Dot,
    Pipe,
    Is,
    /// `not` behind an operand.
    Not,
    Other,
}

/// The word at the front of `s`, if it begins with one.
pub(super) fn ident(s: &str) -> &str {
    let end = s
        .char_indices()
        .find(|(i, c)| !(*c == '_' || c.is_alphabetic() || *i > 0 && c.is_alphanumeric()))
        .map_or(s.len(), |(i, _)| i);
    s.get(..end).unwrap_or_default()
}

/// Bytes of the quoted string at the front of `s`, quotes included.
pub(super) fn string_length(s: &str) -> usize {
    let quote = s.bytes().next();
    let mut escaped = false;
    for (i, b) in s.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if Some(b) == quote => return i + 1,
            _ => {}
        }
    }
    s.len()
}
