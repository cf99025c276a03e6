//! Judges a trace: figures per tap, faults that no working model shows, and the first tap that differs from another
//! dump or from a reference. Pure functions; taps are row-major with the token first.

mod compare;

use std::fmt;

use crate::{Tap, TraceDump};

pub use compare::{Comparison, Difference, RefTensor, compare_dumps, compare_reference};

/// Largest value of a half float: beyond it, an f16 copy of the tap overflows.
const F16_MAX: f32 = 65504.0;
/// How far a row of attention weights may be from summing to 1.
const ROW_SUM_TOLERANCE: f32 = 1e-3;
/// Below this many positions, equal top tokens are no sign of a fault.
const MIN_TOP_ROWS: usize = 4;

/// Figures of one tap. Sums run in f64 over the finite values.
#[derive(Debug, Clone, PartialEq)]
pub struct TapSummary {
    /// Name of the tap.
    pub name: String,
    /// Shape, token first.
    pub shape: Vec<usize>,
    /// Smallest finite value.
    pub min: f32,
    /// Largest finite value.
    pub max: f32,
    /// Mean.
    pub mean: f64,
    /// Euclidean norm.
    pub l2: f64,
    /// Values that are exactly zero.
    pub zeros: usize,
    /// Values that are NaN or infinite.
    pub non_finite: usize,
}

impl TapSummary {
    /// Figures of `tap`.
    pub fn of(tap: &Tap) -> TapSummary {
        let mut s = TapSummary {
            name: tap.name.clone(),
            shape: tap.shape.clone(),
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            mean: 0.0,
            l2: 0.0,
            zeros: 0,
            non_finite: 0,
        };
        for &v in &tap.data {
            if !v.is_finite() {
                s.non_finite += 1;
                continue;
            }
            s.min = s.min.min(v);
            s.max = s.max.max(v);
            s.zeros += usize::from(v == 0.0);
            s.mean += f64::from(v);
            s.l2 += f64::from(v) * f64::from(v);
        }
        let finite = tap.data.len() - s.non_finite;
        if finite == 0 {
            (s.min, s.max) = (0.0, 0.0);
        } else {
            s.mean /= finite as f64;
        }
        s.l2 = s.l2.sqrt();
        s
    }

    /// What the figures say, in words; "ok" where there is nothing to say.
    pub fn words(&self) -> String {
        let n: usize = self.shape.iter().product();
        if n == 0 {
            return "empty".into();
        }
        if self.non_finite > 0 {
            return format!("{} of {n} values are not finite", self.non_finite);
        }
        if self.zeros == n {
            return "all zero".into();
        }
        if self.max.abs().max(self.min.abs()) > F16_MAX {
            return "beyond the range of f16".into();
        }
        if self.zeros > n / 2 {
            return format!("{} of {n} values are zero", self.zeros);
        }
        "ok".into()
    }
}

/// What is wrong with a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The values do not fill the shape.
    Shape,
    /// NaN or infinity.
    NonFinite,
    /// Every value is zero.
    Zero,
    /// The key of a token (or of one head of it) is all zero.
    ZeroKey,
    /// Attention weights do not sum to 1.
    RowSum,
    /// RoPE left a vector as it was at a position above 0.
    RopeUnchanged,
    /// A head attends in the same way from every position.
    IdenticalAttention,
    /// The same token is the likeliest at every position.
    SameTopToken,
}

impl FaultKind {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Shape => "shape",
            FaultKind::NonFinite => "non_finite",
            FaultKind::Zero => "zero",
            FaultKind::ZeroKey => "zero_key",
            FaultKind::RowSum => "row_sum",
            FaultKind::RopeUnchanged => "rope_unchanged",
            FaultKind::IdenticalAttention => "identical_attention",
            FaultKind::SameTopToken => "same_top_token",
        }
    }
}

/// Something that no working model shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Kind of fault.
    pub kind: FaultKind,
    /// Tap where it shows.
    pub tap: String,
    /// First token position where it shows, where it belongs to one.
    pub token: Option<usize>,
    /// In words.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tap, self.what)?;
        if let Some(token) = self.token {
            write!(f, ", first at token {token}")?;
        }
        Ok(())
    }
}

/// All faults of `dump` in the order of its taps; `tokens` are the ids that went in.
pub fn check(dump: &TraceDump, tokens: &[u32]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for tap in &dump.taps {
        let (stem, layer) = stem_and_layer(&tap.name);
        let mut found = |kind, token, what: String| {
            faults.push(Fault {
                kind,
                tap: tap.name.clone(),
                token,
                what,
            });
        };
        let Some(rows) = rows(tap) else {
            found(
                FaultKind::Shape,
                None,
                format!(
                    "{} values do not fill the shape {:?}",
                    tap.data.len(),
                    tap.shape
                ),
            );
            continue;
        };
        let bad = |row: &[f32]| row.iter().any(|v| !v.is_finite());
        if let Some(token) = rows.iter().position(|r| bad(r)) {
            let n = tap.data.iter().filter(|v| !v.is_finite()).count();
            found(
                FaultKind::NonFinite,
                Some(token),
                format!("{n} values are NaN or infinite"),
            );
            continue;
        }
        if tap.data.iter().all(|v| *v == 0.0) {
            let kind = if stem == "k" {
                FaultKind::ZeroKey
            } else {
                FaultKind::Zero
            };
            found(kind, Some(0), "every value is zero".into());
            continue;
        }
        match stem {
            "k" => {
                let head = tap.shape.get(2).copied().unwrap_or(0);
                let zero = |row: &&[f32]| match head {
                    0 => row.iter().all(|v| *v == 0.0),
                    n => row.chunks(n).any(|h| h.iter().all(|v| *v == 0.0)),
                };
                if let Some(token) = rows.iter().position(zero) {
                    found(
                        FaultKind::ZeroKey,
                        Some(token),
                        "the key is all zero".into(),
                    );
                }
            }
            "q_rope" | "k_rope" => {
                let before = format!("{}-{layer}", stem.trim_end_matches("_rope"));
                let before = dump
                    .taps
                    .iter()
                    .find(|t| t.name == before)
                    .and_then(self::rows);
                if let Some(token) = before.and_then(|b| rope_unchanged(&b, &rows)) {
                    found(
                        FaultKind::RopeUnchanged,
                        Some(token),
                        "RoPE changes nothing at a position above 0".into(),
                    );
                }
            }
            "attn_stats" => {
                if let Some((token, head, sum)) = bad_row_sum(&rows) {
                    let what = format!("attention weights of head {head} sum to {sum}, not to 1");
                    found(FaultKind::RowSum, Some(token), what);
                }
                if let Some(head) = identical_attention(&rows) {
                    let what = format!(
                        "head {head} has identical attention rows at every position above 0"
                    );
                    found(FaultKind::IdenticalAttention, None, what);
                }
            }
            "result_output" => {
                let varied = tokens.iter().any(|t| Some(t) != tokens.first());
                let mut tops = rows.iter().map(|r| argmax(r));
                let first = tops.next().flatten();
                if let Some(top) = first.filter(|_| varied && rows.len() >= MIN_TOP_ROWS)
                    && tops.all(|t| t == first)
                {
                    let what = format!(
                        "token {top} is the likeliest at every one of {} positions",
                        rows.len()
                    );
                    found(FaultKind::SameTopToken, None, what);
                }
            }
            _ => {}
        }
    }
    faults
}

/// "k_rope-12" is ("k_rope", "12"); "embd" is ("embd", "").
fn stem_and_layer(name: &str) -> (&str, &str) {
    name.rsplit_once('-').unwrap_or((name, ""))
}

/// One slice per token; `None` where values and shape disagree.
fn rows(tap: &Tap) -> Option<Vec<&[f32]>> {
    let n = tap
        .shape
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(*d))?;
    let tokens = *tap.shape.first()?;
    if n != tap.data.len() || n == 0 {
        return None;
    }
    Some(tap.data.chunks(n / tokens).collect())
}

fn rope_unchanged(before: &[&[f32]], after: &[&[f32]]) -> Option<usize> {
    let same = |(b, a): (&&[f32], &&[f32])| b == a && b.iter().any(|v| *v != 0.0);
    before
        .iter()
        .zip(after)
        .enumerate()
        .skip(1)
        .find_map(|(token, pair)| same(pair).then_some(token))
}

/// Rows of `heads` times (row sum, maximum, entropy).
fn bad_row_sum(rows: &[&[f32]]) -> Option<(usize, usize, f32)> {
    rows.iter().enumerate().find_map(|(token, row)| {
        let (heads, _) = row.as_chunks::<3>();
        let (head, [sum, ..]) = heads
            .iter()
            .enumerate()
            .find(|(_, [sum, ..])| (sum - 1.0).abs() > ROW_SUM_TOLERANCE)?;
        Some((token, head, *sum))
    })
}

/// The first head whose rows are equal at every position above 0. Position 0 has one key and always attends to it. A
/// head may put all its weight on the first token from everywhere (an attention sink); that counts only when all do.
fn identical_attention(rows: &[&[f32]]) -> Option<usize> {
    let later: Vec<&[[f32; 3]]> = rows.iter().skip(1).map(|r| r.as_chunks::<3>().0).collect();
    let first = *later.first().filter(|_| later.len() >= 2)?;
    let close = |a: f32, b: f32| (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-6);
    let mut same = first
        .iter()
        .enumerate()
        .filter(|(head, [_, max, entropy])| {
            later.iter().skip(1).all(|row| {
                row.get(*head)
                    .is_some_and(|[_, m, e]| close(*max, *m) && close(*entropy, *e))
            })
        });
    let all: Vec<usize> = same.clone().map(|(head, _)| head).collect();
    if all.len() == first.len() {
        return all.first().copied();
    }
    same.find(|(_, [_, max, _])| *max < 1.0 - 1e-6)
        .map(|(head, _)| head)
}

fn argmax(row: &[f32]) -> Option<usize> {
    // The lowest id wins ties, as in sampling.
    row.iter()
        .enumerate()
        .fold(None, |best: Option<(usize, f32)>, (i, v)| match best {
            Some((_, b)) if *v <= b => best,
            _ => Some((i, *v)),
        })
        .map(|(i, _)| i)
}

#[cfg(test)]
mod tests;
