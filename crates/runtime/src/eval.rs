//! Logits of every token of a sequence: evaluation and perplexity.

use crate::Error;
use crate::engine::Engine;
use crate::options::CHUNK;
use chord_kernels::device::{BoundStep, Copy, Staging};
use chord_kernels::matmul::MatMul;
use chord_kernels::op::{BufDesc, BufId, Role, Step};

/// The head over every row of a batch: made on first use, outside the static plan.
pub(crate) struct EveryRow {
    steps: Vec<BoundStep>,
    logits: BufId,
    /// f32 per row of the logits.
    stride: u64,
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
        let head = match self.every_row.take() {
            Some(head) => Ok(head),
            None => self.make_every_row().await,
        };
        let result = match head {
            Ok(head) => {
                let result = self.eval_rows(&head, &session, tokens, chunk, on_row).await;
                self.every_row = Some(head);
                result
            }
            Err(e) => Err(e),
        };
        session.close(self);
        result
    }

    /// Refuses tokens outside the vocabulary, and more than the context holds.
    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
        let n_vocab = self.config().n_vocab;
        if let Some(id) = tokens.iter().find(|id| **id >= n_vocab) {
            return Err(Error::TokenId { id: *id, n_vocab });
        }
        if tokens.len() as u64 > u64::from(self.position_limit()) {
            return Err(Error::Context {
                tokens: tokens.len(),
                context: self.position_limit(),
            });
        }
        Ok(())
    }

    async fn eval_rows(
        &mut self,
        head: &EveryRow,
        session: &crate::Session,
        tokens: &[u32],
        chunk: u32,
        on_row: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        let n_vocab = self.config().n_vocab as usize;
        let mut done = 0;
        while done < tokens.len() {
            let n = self
                .append(session.id(), &tokens[done..], chunk.clamp(1, CHUNK))
                .await?;
            let words = u64::from(n) * head.stride;
            let copy = [Copy::stage(
                &head.staging,
                0,
                self.buffer(head.logits),
                0,
                words,
            )];
            self.p.device.run(head.steps.iter(), n, &copy);
            let rows = self.p.device.map(&head.staging, words).await?;
            for row in rows.chunks_exact(usize::try_from(head.stride).unwrap_or(usize::MAX)) {
                on_row(done, bytemuck::cast_slice(&row[..n_vocab]));
                done += 1;
            }
        }
        Ok(())
    }

    async fn make_every_row(&mut self) -> Result<EveryRow, Error> {
        let stride = self.p.plan.ids.logits_words;
        let description = BufDesc {
            label: "logits of every row".into(),
            words: u64::from(CHUNK) * stride,
            role: Role::Storage,
        };
        let logits = self.p.buffers.extend(&self.p.device, &description).await?;
        let plan = &self.p.plan;
        let mut steps = Vec::new();
        for (kernel, segment) in &plan.head_parts {
            let kernel = MatMul {
                cols: plan.prefill_cols,
                ..kernel.clone()
            };
            let segment = &plan.segments[*segment];
            let bind = vec![
                (1, segment.quants),
                (2, segment.scales),
                (5, plan.ids.act),
                (6, logits),
            ];
            let step = Step::new("head of every row", kernel, bind);
            steps.push(self.p.buffers.bind(&self.p.device, &step).await?);
        }
        Ok(EveryRow {
            steps,
            logits,
            stride,
            staging: self.p.device.staging(u64::from(CHUNK) * stride).await?,
        })
    }
}
