//! Whether a draft pays, by what passes took and how many guesses held on this device with this model so far.

use super::MAX_DRAFT;

/// Shares of matches that are told apart by their length, from this many tokens on.
const CLASSES: [usize; 4] = [8, 4, 3, 0];
/// What a guessed token's chance to hold is taken for before any was seen, for each class.
const CHANCES: [f64; 4] = [0.85, 0.6, 0.4, 0.2];
/// Weight of a new measurement of time.
const TIME: f64 = 0.2;
/// Weight of one token that held or did not.
const TOKEN: f64 = 0.1;
/// How far a bet not made lets old experience go, of chances and of times: what was seen in a bad moment is tried again.
const FORGET: [f64; 2] = [0.01, 0.002];
/// What each guess is thought to add to a step's time, before a pass over as many or more was measured.
const GUESS: f64 = 0.1;
/// A bet must promise so much more than steps give: what it promises is uncertain.
const MARGIN: f64 = 1.1;

/// The experience.
#[derive(Clone, Debug)]
pub(crate) struct Bets {
    /// Milliseconds of a token that comes alone.
    step: Option<f64>,
    /// Milliseconds of a pass over so many guesses and the token before them.
    passes: [Option<f64>; MAX_DRAFT + 1],
    chances: [f64; CLASSES.len()],
}

impl Default for Bets {
    fn default() -> Self {
        Self {
            step: None,
            passes: [None; MAX_DRAFT + 1],
            chances: CHANCES,
        }
    }
}

fn class(matched: usize) -> usize {
    CLASSES.iter().position(|n| matched >= *n).unwrap_or(0)
}

fn learn(known: &mut Option<f64>, seen: f64) {
    *known = Some(known.map_or(seen, |known| known + TIME * (seen - known)));
}

impl Bets {
    /// `tokens` came one at a time, in so many milliseconds.
    pub fn stepped(&mut self, tokens: usize, ms: f64) {
        if tokens > 0 {
            learn(&mut self.step, ms / tokens as f64);
        }
    }

    /// Of `drafted` tokens behind a match of `matched`, the first `held` held.
    pub fn verified(&mut self, matched: usize, drafted: usize, held: usize, ms: f64) {
        let Some(pass) = self.passes.get_mut(drafted) else {
            return;
        };
        learn(pass, ms);
        let chance = &mut self.chances[class(matched)];
        for i in 0..drafted.min(held + 1) {
            let seen = if i < held { 1.0 } else { 0.0 };
            *chance += TOKEN * (seen - *chance);
        }
    }

    /// Milliseconds of a pass over `n` guesses: measured, or between what was measured for fewer and for more.
    fn pass(&self, n: usize, step: f64) -> f64 {
        let known = |n: usize| self.passes[n].map(|ms| (n, ms));
        if let Some((_, ms)) = known(n) {
            return ms;
        }
        let (fewer, low) = (1..n).rev().find_map(known).unwrap_or((0, step));
        let each = match (n + 1..self.passes.len()).find_map(known) {
            Some((more, high)) => (high - low) / (more - fewer) as f64,
            None => GUESS * step,
        };
        low + each * (n - fewer) as f64
    }

    /// How many of `drafted` tokens behind a match of `matched` to try: 0 where none pays.
    pub fn size(&mut self, matched: usize, drafted: usize) -> usize {
        // Nothing to compare with yet.
        let Some(step) = self.step else { return 0 };
        let class = class(matched);
        let chance = self.chances[class];
        let (mut best, mut most) = (0, MARGIN / step);
        // The token behind what held is always right: one token, and each guess if those before it held.
        let (mut tokens, mut all) = (1.0, 1.0);
        for n in 1..=drafted.min(MAX_DRAFT) {
            all *= chance;
            tokens += all;
            let speed = tokens / self.pass(n, step);
            if speed > most {
                (best, most) = (n, speed);
            }
        }
        if best == 0 {
            self.chances[class] += FORGET[0] * (CHANCES[class] - chance);
            for (n, pass) in self.passes.iter_mut().enumerate() {
                if let Some(pass) = pass {
                    *pass += FORGET[1] * (step * (1.0 + GUESS * n as f64) - *pass);
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_tried_before_a_step_was_measured() {
        assert_eq!(Bets::default().size(10, 7), 0);
    }

    #[test]
    fn guesses_that_hold_are_made_in_full_and_those_that_do_not_are_left() {
        let mut bets = Bets::default();
        bets.stepped(4, 40.0);
        assert!(bets.size(8, 7) > 0);
        for _ in 0..20 {
            bets.verified(8, 7, 7, 12.0);
        }
        assert_eq!(bets.size(8, 7), 7);
        assert_eq!(bets.size(8, 3), 3);
        for _ in 0..20 {
            bets.verified(8, 7, 0, 12.0);
        }
        // Even a pass that costs little more than a step does not pay when nothing holds.
        assert_eq!(bets.size(8, 7), 0);
        // But it is not given up for ever.
        let again = (0..400).map(|_| bets.size(8, 7)).find(|n| *n > 0);
        assert!(again.is_some(), "{bets:?}");
    }

    #[test]
    fn passes_that_cost_as_much_as_their_tokens_one_by_one_are_not_made() {
        let mut bets = Bets::default();
        bets.stepped(1, 10.0);
        for n in 1..=7 {
            for _ in 0..30 {
                bets.verified(8, n, n, 10.0 * (n as f64 + 2.0));
            }
        }
        assert_eq!(bets.size(8, 7), 0, "{bets:?}");
    }

    #[test]
    fn what_was_not_measured_lies_between_what_was() {
        let mut bets = Bets::default();
        bets.stepped(1, 10.0);
        assert_eq!([1, 7].map(|n| bets.pass(n, 10.0)), [11.0, 17.0]);
        bets.verified(8, 3, 3, 16.0);
        assert_eq!(
            [1, 2, 3, 5].map(|n| bets.pass(n, 10.0)),
            [12.0, 14.0, 16.0, 18.0]
        );
        bets.verified(8, 7, 7, 36.0);
        assert_eq!(bets.pass(5, 10.0), 26.0);
    }

    #[test]
    fn lengths_of_matches_are_told_apart() {
        let mut bets = Bets::default();
        bets.stepped(1, 10.0);
        for _ in 0..40 {
            bets.verified(2, 7, 0, 14.0);
            bets.verified(16, 7, 7, 14.0);
        }
        assert_eq!((bets.size(2, 7), bets.size(16, 7)), (0, 7));
    }
}
