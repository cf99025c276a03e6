//! Logits of every token of a sequence: evaluation and perplexity.

use crate::Error;
use crate::engine::{Batches, Engine, HeadRows};
use chord_kernels::device::{Copy, Staging};
use chord_model::CHUNK;

/// The head over every row of a batch: made on first use, outside the static plan.
pub(crate) struct EveryRow {
    head: HeadRows,
    staging: Staging,
}

impl Engine {
    /// Calls `on_row(i, logits)` with the `n_vocab` logits after each token, computing `chunk` tokens at a time.
    ///
    /// # Errors
    /// `E_CONTEXT`, `E_TOKEN_ID`, `E_KV_FULL` and the device's.
    pub async fn eval(
        &mut self,
        tokens: &[u32],
        chunk: u32,
        on_row: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        self.check_tokens(tokens)?;
        let session = self.new_session()?;
        let made = match self.every_row.take() {
            Some(made) => Ok(made),
            None => self.make_every_row().await,
        };
        let result = match made {
            Ok(made) => {
                let result = self.eval_rows(&made, &session, tokens, chunk, on_row).await;
                self.every_row = Some(made);
                result
            }
            Err(e) => Err(e),
        };
        session.close(self);
        result
    }

    /// Refuses tokens outside the vocabulary, and more than the context holds.
    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
        self.check_ids(tokens)?;
        if tokens.len() as u64 > u64::from(self.position_limit()) {
            return Err(Error::Context {
                tokens: tokens.len(),
                context: self.position_limit(),
            });
        }
        Ok(())
    }

    /// Refuses tokens outside the vocabulary.
    pub(crate) fn check_ids(&self, tokens: &[u32]) -> Result<(), Error> {
        let n_vocab = self.config().n_vocab;
        match tokens.iter().find(|id| **id >= n_vocab) {
            Some(id) => Err(Error::TokenId { id: *id, n_vocab }),
            None => Ok(()),
        }
    }

    async fn eval_rows(
        &mut self,
        EveryRow { head, staging }: &EveryRow,
        session: &crate::Session,
        tokens: &[u32],
        chunk: u32,
        on_row: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        let n_vocab = self.config().n_vocab as usize;
        let mut done = 0;
        while done < tokens.len() {
            let n = self
                .append(session.id(), &tokens[done..], Batches::of(chunk))
                .await?;
            let words = u64::from(n) * head.stride;
            let copy = [Copy::stage(staging, 0, self.buffer(head.logits), 0, words)];
            let by = self.p.device.run(head.steps.iter(), n, &copy);
            let rows = self.p.device.map(staging, words, by).await?;
            for row in rows.chunks_exact(usize::try_from(head.stride).unwrap_or(usize::MAX)) {
                on_row(done, bytemuck::cast_slice(&row[..n_vocab]));
                done += 1;
            }
        }
        Ok(())
    }

    async fn make_every_row(&mut self) -> Result<EveryRow, Error> {
        let head = self.head_rows(CHUNK).await?;
        let staging = u64::from(CHUNK) * head.stride;
        Ok(EveryRow {
            head,
            staging: self.p.device.staging(staging).await?,
        })
    }
}
