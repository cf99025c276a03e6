//! Where the text went like this before.

use super::Draft;

/// Fewer equal tokens say nothing.
const LEAST_MATCH: usize = 2;
/// More equal tokens say no more, and in a text of one token repeated they would cost its length squared.
const MOST_MATCH: usize = 16;

/// A text that is expected to follow `prompt`, so that its beginning is found there.
pub(crate) fn expect(prompt: &[u32], text: &[u32]) -> Vec<u32> {
    if text.is_empty() {
        return Vec::new();
    }
    let tail = &prompt[prompt.len().saturating_sub(MOST_MATCH)..];
    [tail, text].concat()
}

/// Up to `most` tokens that followed the longest match of the end of `tokens`, in `expected` or earlier in them; of equals the
/// latest, and one in `expected` before others. Goes through both once: a hundred thousand tokens take tens of microseconds.
pub(crate) fn lookup(expected: &[u32], tokens: &[u32], most: usize) -> Draft {
    let found = |text| longest_match(text, tokens).map(|(matched, at)| (matched, text, at));
    let best = [found(tokens), found(expected)].into_iter().flatten();
    let Some((matched, text, at)) = best.max_by_key(|(matched, ..)| *matched) else {
        return Draft::default();
    };
    let follows = &text[at + 1..];
    Draft {
        tokens: follows[..most.min(follows.len())].to_vec(),
        matched,
    }
}

/// How many tokens of the end of `tokens` are found in `text`, and where the last of them is: never the last of `text`.
fn longest_match(text: &[u32], tokens: &[u32]) -> Option<(usize, usize)> {
    let (last, (_, inner)) = (tokens.last()?, text.split_last()?);
    let mut best = None;
    for (at, token) in inner.iter().enumerate() {
        if token == last {
            let backwards = text[..=at].iter().rev().zip(tokens.iter().rev());
            let same = backwards.take(MOST_MATCH).take_while(|(a, b)| a == b);
            best = best.max(Some((same.count(), at)));
        }
    }
    best.filter(|(matched, _)| *matched >= LEAST_MATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tokens: &[u32], most: usize, follows: &[u32], matched: usize) {
        let draft = lookup(&[], tokens, most);
        assert_eq!((&draft.tokens[..], draft.matched), (follows, matched));
    }

    #[test]
    fn what_followed_the_longest_match_is_guessed() {
        check(&[1, 2, 3, 4, 5, 9, 2, 3, 4], 7, &[5, 9, 2, 3, 4], 3);
        check(&[1, 2, 3, 4, 5, 9, 2, 3, 4], 2, &[5, 9], 3);
        // The longer match wins over the later one.
        check(&[1, 2, 3, 7, 5, 2, 3, 8, 1, 2, 3], 1, &[7], 3);
        // Of equals the later one.
        check(&[1, 2, 7, 1, 2, 8, 5, 1, 2], 1, &[8], 2);
    }

    #[test]
    fn a_text_that_does_not_repeat_gives_none() {
        check(&[], 7, &[], 0);
        check(&[1], 7, &[], 0);
        check(&[1, 2, 3], 7, &[], 0);
        // One equal token is not enough.
        check(&[1, 2, 3, 4, 2], 7, &[], 0);
    }

    #[test]
    fn repetition_of_one_token_overlaps_itself() {
        check(&[5, 5, 5], 7, &[5], 2);
        check(&[6; 40], 7, &[6], MOST_MATCH);
        check(&[1, 2, 1, 2, 1, 2], 7, &[1, 2], 4);
    }

    #[test]
    fn an_expected_text_is_found_from_its_beginning_and_again_after_a_change() {
        let prompt = [9, 8, 7];
        let expected = expect(&prompt, &[1, 2, 3, 4, 5, 6]);
        let then = |answer: &[u32]| lookup(&expected, &[&prompt, answer].concat(), 3).tokens;
        assert_eq!(then(&[]), [1, 2, 3]);
        assert_eq!(then(&[1, 2]), [3, 4, 5]);
        assert!(then(&[1, 2, 70]).is_empty());
        assert_eq!(then(&[1, 2, 70, 4, 5]), [6]);
        assert!(then(&[1, 2, 3, 4, 5, 6]).is_empty());
        assert!(expect(&prompt, &[]).is_empty());
        // What is expected wins over an equal match in the text, not over a longer one.
        let text = [7, 1, 5, 5, 7, 1];
        assert_eq!(lookup(&[7, 1, 4], &text, 1).tokens, [4]);
        assert_eq!(lookup(&[7, 1, 4], &[3, 7, 1, 5, 3, 7, 1], 1).tokens, [5]);
    }
}
