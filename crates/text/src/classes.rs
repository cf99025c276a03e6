//! General categories of code points, as the pre-tokenizers' patterns distinguish them.
//!
//! llama.cpp's tables are those of Unicode 15.1: a code point assigned later is [`Class::Other`] here as there.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_syntax::hir::{Class as HirClass, HirKind};

/// Disjoint; together every `u32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    /// `\p{L}`
    Letter = 1,
    /// `\p{M}`
    Mark = 2,
    /// `\p{N}`
    Number = 4,
    /// `\p{P}`
    Punctuation = 8,
    /// `\p{S}`
    Symbol = 16,
    /// `[\r\n]`
    Newline = 32,
    /// `\s` without `[\r\n]`
    Space = 64,
    /// Controls, formats, surrogates, the unassigned.
    Other = 128,
}

const CATEGORIES: [(&str, Class); 5] = [
    (r"[\p{L}&&\p{age=15.1}]", Class::Letter),
    (r"[\p{M}&&\p{age=15.1}]", Class::Mark),
    (r"[\p{N}&&\p{age=15.1}]", Class::Number),
    (r"[\p{P}&&\p{age=15.1}]", Class::Punctuation),
    (r"[\p{S}&&\p{age=15.1}]", Class::Symbol),
];

const CODE_POINTS: usize = 0x11_0000;
const PAGE: usize = 256;

/// The class of every code point, in pages of which equal ones are kept once.
struct Table {
    pages: Vec<u16>,
    classes: Vec<Class>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut all = vec![Class::Other; CODE_POINTS];
    for (pattern, class) in CATEGORIES {
        // The patterns are constants above; were one ever wrong, its class would be empty and the golden tests fail.
        let Ok(hir) = regex_syntax::parse(pattern) else {
            continue;
        };
        let HirKind::Class(HirClass::Unicode(found)) = hir.kind() else {
            continue;
        };
        for range in found.iter() {
            let (start, end) = (range.start() as usize, range.end() as usize);
            if let Some(slots) = all.get_mut(start..=end) {
                slots.fill(class);
            }
        }
    }
    for (c, slot) in (0u32..).zip(all.iter_mut()) {
        if char::from_u32(c).is_some_and(char::is_whitespace) {
            *slot = match c {
                0x0A | 0x0D => Class::Newline,
                _ => Class::Space,
            };
        }
    }

    let mut table = Table {
        pages: Vec::with_capacity(CODE_POINTS / PAGE),
        classes: Vec::new(),
    };
    let mut seen: HashMap<Vec<u8>, u16> = HashMap::new();
    for page in all.chunks(PAGE) {
        let key = page.iter().map(|&class| class as u8).collect();
        let next = u16::try_from(seen.len()).unwrap_or(u16::MAX);
        let number = *seen.entry(key).or_insert_with(|| {
            table.classes.extend_from_slice(page);
            next
        });
        table.pages.push(number);
    }
    table
});

pub(crate) fn class(c: u32) -> Class {
    let find = || {
        let c = usize::try_from(c).ok()?;
        let page = TABLE.pages.get(c / PAGE)?;
        TABLE
            .classes
            .get(usize::from(*page) * PAGE + c % PAGE)
            .copied()
    };
    find().unwrap_or(Class::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let of = |c: char| class(u32::from(c));
        assert_eq!(of('a'), Class::Letter);
        assert_eq!(of('ª'), Class::Letter);
        // Alphabetic in Unicode's wide sense, yet marks, symbols or numbers: not \p{L}.
        assert_eq!(of('\u{0345}'), Class::Mark);
        assert_eq!(of('Ⓐ'), Class::Symbol);
        assert_eq!(of('Ⅷ'), Class::Number);
        assert_eq!(of('½'), Class::Number);
        assert_eq!(of('_'), Class::Punctuation);
        assert_eq!(of('$'), Class::Symbol);
        assert_eq!(of('\r'), Class::Newline);
        assert_eq!(of('\u{b}'), Class::Space);
        assert_eq!(of('\u{3000}'), Class::Space);
        assert_eq!(of('\u{200b}'), Class::Other);
        assert_eq!(of('\0'), Class::Other);
        assert_eq!(class(0xD800), Class::Other);
        assert_eq!(class(0xFFFF_FFFF), Class::Other);
    }

    #[test]
    fn one_unicode_version() {
        // Assigned by Unicode 15.0, 15.1 and 16.0: the last one is not known.
        assert_eq!(class(0x1_E4D0), Class::Letter);
        assert_eq!(class(0x2_EBF0), Class::Letter);
        assert_eq!(class(0x1_05C0), Class::Other);
    }

    #[test]
    fn equal_pages_are_kept_once() {
        assert!(TABLE.classes.len() < 300 * PAGE, "{}", TABLE.classes.len());
    }
}
