//! Prompt-lookup speculation: what followed when the text last went like this, or in a text that somebody expects, is guessed to
//! follow again, and one pass over several rows tells how far that holds. Every row's token is chosen as it would have been one at a time, so the answer is the
//! same with it or without.

mod bets;
mod lookup;

pub(crate) use bets::Bets;
pub(crate) use lookup::{expect, lookup};

/// Most tokens of a draft: with the token before them, two rounds of the product kernels' columns.
pub(crate) const MAX_DRAFT: usize = 7;

/// Tokens guessed to come next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The tokens; none where the text did not go like this before.
    pub tokens: Vec<u32>,
    /// How many tokens before them are the same as in the place they come from.
    pub matched: usize,
}
