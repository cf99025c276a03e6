//! A smaller model of the same vocabulary that guesses what the engine's own will say.

use super::Engine;
use crate::Error;
use crate::sampler::Sampling;
use crate::session::{GenerateRequest, Session};
use crate::speculate::{Bets, Draft};
use std::sync::atomic::AtomicBool;

/// Cancelling ends the answer between passes; a draft within one is short.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The smaller model, in one conversation that follows whichever is answered.
pub(crate) struct Drafter {
    engine: Box<Engine>,
    session: Session,
    pub bets: Bets,
}

impl Drafter {
    /// Checks that both speak of the same tokens.
    pub fn new(mut engine: Engine, of: &Engine) -> Result<Self, Error> {
        let (own, theirs) = (of.tokenizer(), engine.tokenizer());
        let n = [of.config().n_vocab, engine.config().n_vocab];
        let differs = (0..n[0].min(n[1])).find(|id| own.piece(*id) != theirs.piece(*id));
        if differs.is_some() || n[0] != n[1] {
            return Err(Error::DraftVocabulary { n, differs });
        }
        let session = engine.new_session()?;
        Ok(Self {
            engine: Box::new(engine),
            session,
            bets: Bets::default(),
        })
    }

    /// Up to `most` tokens behind `tokens`, where trying them pays. The same seed draws the same numbers: where both models
    /// think alike, they draw alike.
    pub async fn draft(
        &mut self,
        tokens: &[u32],
        most: usize,
        sampling: &Sampling,
    ) -> Result<Draft, Error> {
        let room = self.engine.context_length() as usize;
        let most = most.min(room.saturating_sub(tokens.len()));
        let n = self.bets.size(usize::MAX, most);
        if n == 0 {
            return Ok(Draft::default());
        }
        let request = GenerateRequest {
            prompt: tokens.to_vec(),
            max_tokens: u32::try_from(n).ok(),
            sampling: *sampling,
            ignore_eog: true,
            ..GenerateRequest::default()
        };
        let on_event = &mut |_| {};
        let session = &mut self.session;
        let answer = session.generate(&mut self.engine, &request, &NEVER, on_event);
        // Boxed: generating may draft, and drafting generates.
        Ok(Draft {
            tokens: Box::pin(answer).await?.tokens,
            matched: usize::MAX,
        })
    }
}
