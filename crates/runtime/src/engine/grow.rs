//! Room for tokens: pages, and where nobody asked for a context, memory for K and V as they come. A context of 131,072 tokens, some models'
//! own, would else take gigabytes of a GPU that most conversations never touch, and seconds to clear them.

use super::Engine;
use crate::Error;
use crate::options::Fault;
use chord_kernels::PAGE;
use chord_kernels::op::{BufId, Step};
use chord_model::{Full, SeqId};

/// Most bytes that the store grows by at once; up to there it doubles.
const MOST_NEW_BYTES: u64 = 1 << 30;

impl Engine {
    /// Makes room for `n` tokens after a sequence's length.
    ///
    /// # Errors
    /// `E_KV_FULL`, with every sequence as it was, and the device's.
    pub(super) async fn reserve(&mut self, id: SeqId, n: u32) -> Result<(), Error> {
        loop {
            match self.p.kv.reserve(id, n) {
                Ok(edits) => {
                    self.apply(&edits);
                    return Ok(());
                }
                Err(Full::Pool { pages }) if pages < self.p.most_pages => self.grow(pages).await?,
                Err(full) => return Err(full.into()),
            }
        }
    }

    /// Lets the store of `pages` pages hold more: layer by layer, so that only one is there twice.
    async fn grow(&mut self, pages: u32) -> Result<(), Error> {
        let stores = self.p.plan.ids.kv.clone();
        let page_bytes = 8 * self.p.plan.ids.page_words * stores.len() as u64;
        let most_new = u32::try_from(MOST_NEW_BYTES / page_bytes).unwrap_or(u32::MAX);
        let new = pages.min(most_new).max(1);
        // It binds what is about to be replaced.
        self.ahead.take_if(|ahead| ahead.waits());
        let larger = pages.saturating_add(new).min(self.p.most_pages);
        for (k, v) in stores {
            self.enlarge(k, larger).await?;
            self.enlarge(v, larger).await?;
            // What the smaller ones took is free before the next layer asks for more.
            self.p.device.flush().await?;
        }
        tracing::debug!(pages = larger, "K and V have grown");
        self.p.plan.pages = larger;
        self.p.kv.grow(larger);
        Ok(())
    }

    /// Gives a layer's K or V memory for so many pages, unless it has it from an attempt that failed in a later layer.
    async fn enlarge(&mut self, id: BufId, pages: u32) -> Result<(), Error> {
        let (device, plan) = (&self.p.device, &mut self.p.plan);
        let mut larger = plan.buffers[id].clone();
        let held = larger.words;
        larger.words = u64::from(pages) * plan.ids.page_words;
        if larger.words <= held {
            return Ok(());
        }
        let none_left = self.p.options.faults.contains(&Fault::Memory) && id == plan.ids.kv[1].0;
        let enlarged = match none_left {
            true => Err(chord_kernels::Error::OutOfMemory {
                what: larger.label.clone(),
                bytes: 4 * larger.words,
            }),
            false => self.p.buffers.enlarge(device, id, &larger, held).await,
        };
        match enlarged {
            Err(chord_kernels::Error::OutOfMemory { .. }) => {
                let tokens = plan.pages.saturating_mul(PAGE);
                return Err(Full::Memory { tokens }.into());
            }
            enlarged => enlarged?,
        }
        plan.buffers[id] = larger;
        let steps = &mut self.p.steps;
        let tiled = plan.tiled.as_deref().unwrap_or_default();
        let lists = [
            (&plan.prefill[..], &mut steps.prefill),
            (tiled, &mut steps.tiled),
            (&plan.decode, &mut steps.decode),
        ];
        for (planned, bound) in lists {
            let uses = |step: &Step| step.bind.iter().any(|(_, bound)| *bound == id);
            for (step, bound) in planned.iter().zip(bound).filter(|(step, _)| uses(step)) {
                *bound = self.p.buffers.bind(device, step).await?;
            }
        }
        Ok(())
    }
}
