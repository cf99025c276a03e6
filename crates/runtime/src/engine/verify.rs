//! A draft's tokens computed in one pass, and the token chosen behind each.

use super::steps::control;
use super::{Chain, Engine, HeadRows};
use crate::Error;
use crate::options::Speculate;
use crate::speculate::{Bets, Draft, MAX_DRAFT, lookup};
use chord_kernels::device::{BoundStep, Device};
use chord_kernels::op::Step;
use chord_kernels::sample::{Sample, ctl};
use chord_model::SeqId;
use web_time::Instant;

/// What speculation takes: made at load, where it may be used.
pub(crate) struct Speculation {
    head: HeadRows,
    /// Chooses from the head's rows one after another.
    sample: BoundStep,
    bets: Bets,
    /// Only where it is measured to pay.
    only_where_it_pays: bool,
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
        let head = self.head_rows(MAX_DRAFT as u32 + 1).await?;
        let ids = &self.p.plan.ids;
        let [params, ctl, eog] = ids.sampler;
        let bind = vec![
            (0, params),
            (1, head.logits),
            (2, ids.rows),
            (3, ctl),
            (4, eog),
        ];
        let step = Step::new("sample rows", Sample, bind);
        let sample = self.p.buffers.bind(&self.p.device, &step).await?;
        self.speculation = Some(Speculation {
            head,
            sample,
            bets: Bets::default(),
            only_where_it_pays,
        });
        Ok(())
    }

    /// Most tokens to chain, of `most`: between chains there is nothing to wait for on the CPU, and a draft may be found.
    pub(crate) fn longest_chain(&self, most: u32) -> u32 {
        match (&self.speculation, &self.p.device) {
            (Some(_), Device::Cpu(_)) => 1,
            _ => most,
        }
    }

    /// What a chain that was no draft took.
    pub(crate) fn note_steps(&mut self, tokens: usize, began: Instant) {
        if let Some(speculation) = &mut self.speculation {
            let ms = began.elapsed().as_secs_f64() * 1e3;
            speculation.bets.stepped(tokens, ms);
        }
    }

    /// Up to `most` tokens behind `token`, where the text or `expected` ([`crate::speculate::expect`]) goes on like this; the first of them guessed right; None where nothing is guessed, or no page is left
    /// for it.
    pub(crate) async fn speculate(
        &mut self,
        id: SeqId,
        token: u32,
        expected: &[u32],
        most: u32,
        seed: u64,
    ) -> Result<Option<Chain>, Error> {
        let Some(mut speculation) = self.speculation.take() else {
            return Ok(None);
        };
        let draft = self.draft(&mut speculation, id, token, (expected, most));
        let chain = if draft.tokens.is_empty() {
            Ok(None)
        } else {
            self.verify(&mut speculation, id, token, &draft, seed).await
        };
        self.speculation = Some(speculation);
        chain
    }

    fn draft(
        &mut self,
        speculation: &mut Speculation,
        id: SeqId,
        token: u32,
        (expected, most): (&[u32], u32),
    ) -> Draft {
        // The token behind the draft is one of those asked for.
        let most = MAX_DRAFT.min(most.saturating_sub(1) as usize);
        let log = self.logs.entry(id).or_default();
        log.push(token);
        let mut draft = lookup(expected, log, most);
        log.pop();
        // In a ring that recycles, a batch ends with its page.
        let rows = self.p.kv.batch(id, draft.tokens.len() as u32 + 1);
        draft.tokens.truncate(rows.saturating_sub(1) as usize);
        if speculation.only_where_it_pays {
            let n = speculation.bets.size(draft.matched, draft.tokens.len());
            draft.tokens.truncate(n);
        }
        draft
    }

    /// `token` and a draft behind it: the draft's tokens as far as they are what is chosen, and one more.
    async fn verify(
        &mut self,
        speculation: &mut Speculation,
        id: SeqId,
        token: u32,
        draft: &Draft,
        seed: u64,
    ) -> Result<Option<Chain>, Error> {
        let began = Instant::now();
        let rows: Vec<u32> = std::iter::once(token)
            .chain(draft.tokens.iter().copied())
            .collect();
        let n = rows.len() as u32;
        // One token may still have its place where a whole draft has none.
        let Ok(edits) = self.p.kv.reserve(id, n) else {
            return Ok(None);
        };
        self.apply(&edits);
        let first = self.p.kv.length(id);
        self.write_rows(id, first, &rows);
        let mut control = control(seed);
        control[ctl::DRAFTED] = n - 1;
        control[ctl::LOGITS_STRIDE] = speculation.head.stride as u32;
        control[ctl::LOG..][..draft.tokens.len()].copy_from_slice(&draft.tokens);
        self.write_control(&control);
        let mut groups = self.groups(n);
        let last = groups.pop().unwrap_or_default();
        let prefill = &self.p.steps.prefill;
        for group in groups {
            self.p.device.run(prefill[group].iter(), n, &[]);
            self.p.device.wait().await?;
        }
        let choose = std::iter::repeat_n(&speculation.sample, rows.len());
        let steps = prefill[last].iter().chain(&speculation.head.steps);
        let (copy, words) = self.read_control(rows.len());
        self.p.device.run(steps.chain(choose), n, &[copy]);
        self.count_kv(&self.p.plan.prefill, &(first..first + n));
        let words = self.p.device.map(&self.p.staging, words).await?;
        let chain = self.finish_chain(id, Some(token), &words, rows.len());
        let (drafted, held) = (draft.tokens.len(), chain.tokens.len().saturating_sub(1));
        self.drafted_tokens += drafted as u64;
        self.accepted_tokens += held as u64;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        speculation.bets.verified(draft.matched, drafted, held, ms);
        Ok(Some(chain))
    }
}
