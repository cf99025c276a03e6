//! A draft's tokens computed in one pass, and the token chosen behind each.

use super::chain::control;
use super::drafter::Drafter;
use super::{Chain, Engine, HeadRows};
use crate::Error;
use crate::options::Speculate;
use crate::sampler::Sampling;
use crate::speculate::{Bets, Draft, MAX_DRAFT, lookup};
use chord_kernels::device::{BoundStep, Device};
use chord_kernels::op::Step;
use chord_kernels::sample::ctl;
use chord_model::SeqId;
use web_time::Instant;

/// What speculation takes: made at load, where it may be used.
pub(crate) struct Speculation {
    head: HeadRows,
    /// Chooses from the head's rows one after another.
    sample: Vec<BoundStep>,
    lookup: Option<Lookup>,
    model: Option<Drafter>,
}

/// Drafts out of the text.
struct Lookup {
    bets: Bets,
    /// Only where it is measured to pay.
    only_where_it_pays: bool,
}

/// Where a draft comes from.
#[derive(Clone, Copy)]
enum Source {
    Text,
    Model,
}

impl Speculation {
    fn bets_of(&mut self, source: Source) -> Option<&mut Bets> {
        match source {
            Source::Text => self.lookup.as_mut().map(|lookup| &mut lookup.bets),
            Source::Model => self.model.as_mut().map(|model| &mut model.bets),
        }
    }

    /// At most `most` tokens behind `text`: what it says itself costs nothing, so the smaller model is asked second.
    async fn draft(
        &mut self,
        text: &[u32],
        expected: &[u32],
        most: usize,
        sampling: &Sampling,
    ) -> Result<Option<(Source, Draft)>, Error> {
        if let Some(from_text) = &mut self.lookup {
            let mut draft = lookup(expected, text, most);
            // Where nothing was found, nothing is learnt.
            if from_text.only_where_it_pays && !draft.tokens.is_empty() {
                let n = from_text.bets.size(draft.matched, draft.tokens.len());
                draft.tokens.truncate(n);
            }
            if !draft.tokens.is_empty() {
                return Ok(Some((Source::Text, draft)));
            }
        }
        if let Some(model) = &mut self.model {
            let draft = model.draft(text, most, sampling).await?;
            if !draft.tokens.is_empty() {
                return Ok(Some((Source::Model, draft)));
            }
        }
        Ok(None)
    }
}

impl Engine {
    /// Makes speculation ready where the options want it.
    pub(crate) async fn make_speculation(&mut self) -> Result<(), Error> {
        let on_cpu = matches!(self.p.device, Device::Cpu(_));
        let only_where_it_pays = match self.p.options.speculate {
            // A GPU's batch kernels need not round as those for one token do, so there it has to be asked for.
            Speculate::Auto if on_cpu && self.p.options.tokens_per_submit.is_none() => true,
            Speculate::Auto | Speculate::Off => return Ok(()),
            Speculate::Lookup => false,
        };
        let lookup = Lookup {
            bets: Bets::default(),
            only_where_it_pays,
        };
        self.speculation = Some(self.speculation(Some(lookup), None).await?);
        Ok(())
    }

    /// Has a smaller model on the same or another device guess ahead, where that is measured to pay.
    ///
    /// # Errors
    /// `E_DRAFT_VOCABULARY` where it does not have the same tokens, and the device's.
    pub async fn draft_with(&mut self, smaller: Engine) -> Result<(), Error> {
        let model = Some(Drafter::new(smaller, self)?);
        match &mut self.speculation {
            Some(speculation) => speculation.model = model,
            None => self.speculation = Some(self.speculation(None, model).await?),
        }
        Ok(())
    }

    async fn speculation(
        &mut self,
        lookup: Option<Lookup>,
        model: Option<Drafter>,
    ) -> Result<Speculation, Error> {
        let head = self.head_rows(MAX_DRAFT as u32 + 1).await?;
        // The plan's own sampler, but for whose logits it reads.
        let logits = self.p.plan.ids.logits;
        let mut sample = Vec::new();
        for step in &self.p.plan.sample {
            let bind = step.bind.iter().map(|(slot, id)| match *id == logits {
                true => (*slot, head.logits),
                false => (*slot, *id),
            });
            let step = Step {
                name: format!("{} of rows", step.name),
                kernel: step.kernel.clone(),
                bind: bind.collect(),
            };
            sample.push(self.p.buffers.bind(&self.p.device, &step).await?);
        }
        Ok(Speculation {
            head,
            sample,
            lookup,
            model,
        })
    }

    /// What a chain that was no draft took.
    pub(crate) fn note_steps(&mut self, tokens: usize, began: Instant) {
        if let Some(speculation) = &mut self.speculation {
            let ms = began.elapsed().as_secs_f64() * 1e3;
            for source in [Source::Text, Source::Model] {
                if let Some(bets) = speculation.bets_of(source) {
                    bets.stepped(tokens, ms);
                }
            }
        }
    }

    /// Up to `most` tokens behind `token`, where the text, `expected` ([`crate::speculate::expect`]) or the smaller model goes on
    /// like this; None where nothing is guessed, or no page is left for it.
    pub(crate) async fn speculate(
        &mut self,
        id: SeqId,
        token: u32,
        expected: &[u32],
        most: u32,
        sampling: &Sampling,
    ) -> Result<Option<Chain>, Error> {
        let Some(mut speculation) = self.speculation.take() else {
            return Ok(None);
        };
        let began = Instant::now();
        // The token behind the draft is one of those asked for; in a ring that recycles, a batch ends with its page.
        let rows = self.p.kv.batch(id, most.min(MAX_DRAFT as u32 + 1));
        let most = rows.saturating_sub(1) as usize;
        let text = [self.log(id), &[token]].concat();
        let chain = async {
            let Some((source, draft)) = speculation.draft(&text, expected, most, sampling).await?
            else {
                return Ok(None);
            };
            let steps = (&speculation.head, &speculation.sample[..]);
            let verified = self.verify(steps, id, token, &draft.tokens, sampling.seed);
            let Some(chain) = verified.await? else {
                return Ok(None);
            };
            let (drafted, held) = (draft.tokens.len(), chain.tokens.len().saturating_sub(1));
            self.drafted_tokens += drafted as u64;
            self.accepted_tokens += held as u64;
            if let Some(bets) = speculation.bets_of(source) {
                let ms = began.elapsed().as_secs_f64() * 1e3;
                bets.verified(draft.matched, drafted, held, ms);
            }
            Ok(Some(chain))
        }
        .await;
        self.speculation = Some(speculation);
        chain
    }

    /// `token` and a draft behind it: the draft's tokens as far as they are what is chosen, and one more.
    async fn verify(
        &mut self,
        (head, sample): (&HeadRows, &[BoundStep]),
        id: SeqId,
        token: u32,
        draft: &[u32],
        seed: u64,
    ) -> Result<Option<Chain>, Error> {
        let rows: Vec<u32> = std::iter::once(token)
            .chain(draft.iter().copied())
            .collect();
        let n = rows.len() as u32;
        // One token may still have its place where a whole draft has none.
        match self.reserve(id, n).await {
            Err(Error::KvFull(_)) => return Ok(None),
            reserved => reserved?,
        }
        let first = self.p.kv.length(id);
        self.write_rows(id, first, &rows, self.p.plan.row_multiples[0]);
        let mut control = control(seed);
        control[ctl::DRAFTED] = n - 1;
        control[ctl::LOGITS_STRIDE] = head.stride as u32;
        control[ctl::LOG..][..draft.len()].copy_from_slice(draft);
        self.write_control(&control);
        let prefill = &self.p.steps.prefill;
        let mut groups = self.groups(prefill, n);
        let last = groups.pop().unwrap_or_default();
        for group in groups {
            self.p.device.run(prefill[group].iter(), n, &[]);
            self.p.device.wait().await?;
        }
        let choose = rows.iter().flat_map(|_| sample);
        let steps = prefill[last].iter().chain(&head.steps);
        let (copy, words) = self.read_control(&self.p.staging, rows.len());
        let by = self.p.device.run(steps.chain(choose), n, &[copy]);
        self.count_kv(self.p.plan.prefill.iter(), &(first..first + n));
        let words = self.p.device.map(&self.p.staging, words, by).await?;
        Ok(Some(self.finish_chain(id, Some(token), &words, rows.len())))
    }
}
