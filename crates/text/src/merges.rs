//! The merge rules of a file, `left right` a line, as ids.

use crate::error::Error;
use crate::vocab::Vocab;

/// Most merge rules a file may have (the largest real list has about 515,000).
const MAX_MERGES: usize = 4_000_000;

/// A rule: both sides and what they merge into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MergeRule {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) union: u32,
}

/// Checks every line, best first.
pub(crate) fn parse<'a>(
    vocab: &'a Vocab,
    merges: &'a [&'a [u8]],
) -> Result<impl Iterator<Item = Result<MergeRule, Error>> + 'a, Error> {
    if merges.is_empty() || merges.len() > MAX_MERGES {
        return Err(bad(
            0,
            format!("{} rules; want 1 to {MAX_MERGES}", merges.len()),
        ));
    }
    let mut union = Vec::new();
    Ok((1..).zip(merges).map(move |(line, rule)| {
        // A space at the very start belongs to the left side.
        let cut = rule.iter().skip(1).position(|&b| b == b' ').map(|n| n + 1);
        let (left, right) = cut
            .and_then(|n| Some((rule.get(..n)?, rule.get(n + 1..)?)))
            .filter(|(left, right)| !left.is_empty() && !right.is_empty())
            .ok_or_else(|| {
                bad(
                    line,
                    format!("\"{}\" is not two pieces with a space between", show(rule)),
                )
            })?;
        let known = |piece: &[u8]| {
            vocab
                .id(piece)
                .ok_or_else(|| bad(line, format!("\"{}\" is not a token", show(piece))))
        };
        union.clear();
        union.extend_from_slice(left);
        union.extend_from_slice(right);
        Ok(MergeRule {
            left: known(left)?,
            right: known(right)?,
            union: known(&union)?,
        })
    }))
}

pub(crate) fn bad(line: u64, problem: String) -> Error {
    Error::Merges { line, problem }
}

fn show(piece: &[u8]) -> String {
    String::from_utf8_lossy(piece).escape_debug().to_string()
}
