//! Negative log likelihood of a text from the logits of its tokens.

/// Collects one row of logits per token: row i predicts token i+1.
#[derive(Debug)]
pub struct Perplexity<'a> {
    ids: &'a [u32],
    /// -ln p(ids[i+1] | ids[0..=i]), natural log.
    pub nll: Vec<f64>,
    /// Rows whose likeliest token was the right one.
    pub hits: usize,
}

impl<'a> Perplexity<'a> {
    pub fn new(ids: &'a [u32]) -> Perplexity<'a> {
        Perplexity {
            ids,
            nll: Vec::new(),
            hits: 0,
        }
    }

    /// Logits after token `index`. The row of the last token predicts nothing and is left out.
    pub fn row(&mut self, index: usize, logits: &[f32]) {
        let next = index
            .checked_add(1)
            .and_then(|i| self.ids.get(i))
            .and_then(|id| usize::try_from(*id).ok());
        let Some(target) = next.and_then(|id| logits.get(id)) else {
            return;
        };
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|l| f64::from(l - max).exp()).sum();
        self.nll
            .push(f64::from(max) + sum.ln() - f64::from(*target));
        // The lowest id wins ties.
        let top = logits.iter().position(|l| *l == max);
        self.hits += usize::from(top == next);
    }

    /// Mean over the scored tokens; `None` for fewer than two tokens.
    pub fn mean(&self) -> Option<f64> {
        (!self.nll.is_empty()).then(|| self.nll.iter().sum::<f64>() / self.nll.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_give_the_size_of_the_vocabulary() {
        let ids = [0, 3, 1];
        let mut p = Perplexity::new(&ids);
        for i in 0..3 {
            p.row(i, &[2.5; 8]);
        }
        assert_eq!(p.nll.len(), 2, "the last row predicts nothing");
        assert!((p.mean().expect("scored").exp() - 8.0).abs() < 1e-12);
        assert_eq!(p.hits, 0, "the lowest id wins a tie");
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let ids = [0, 1];
        let mut p = Perplexity::new(&ids);
        p.row(0, &[3e4, 3e4 + 2.0]);
        let expected = (1.0 + (-2.0f64).exp()).ln();
        assert!((p.nll[0] - expected).abs() < 1e-9, "{}", p.nll[0]);
        assert_eq!(p.hits, 1);
    }

    #[test]
    fn one_token_scores_nothing() {
        let mut p = Perplexity::new(&[5]);
        p.row(0, &[1.0; 8]);
        assert_eq!(p.mean(), None);
    }
}
