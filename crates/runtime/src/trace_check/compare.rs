//! The first tap that differs from another dump, or from a reference made with llama.cpp.

use std::fmt;

use super::stem_and_layer;
use crate::{Tap, TraceDump};

/// One tensor of a reference made with llama.cpp, under its names.
#[derive(Debug, Clone, PartialEq)]
pub struct RefTensor {
    /// Name, such as "Qcur-0": one name may stand for several steps.
    pub name: String,
    /// ggml operation that made it, such as "MUL_MAT" or "ROPE".
    pub op: String,
    /// Dimensions, fastest first, 1 beyond the last.
    pub ne: Vec<usize>,
    /// Euclidean norm.
    pub l2: f64,
    /// First values in memory order.
    pub first: Vec<f32>,
    /// Last values in memory order.
    pub last: Vec<f32>,
}

impl RefTensor {
    /// Name of our tap for the same step; `None` where we have none.
    pub fn tap_name(&self) -> Option<String> {
        let (stem, layer) = stem_and_layer(&self.name);
        let ours = match (stem, self.op.as_str()) {
            ("Qcur", "MUL_MAT") => "q",
            ("Kcur", "MUL_MAT") => "k",
            ("Vcur", "MUL_MAT") => "v",
            ("Qcur", "ROPE") => "q_rope",
            ("Kcur", "ROPE") => "k_rope",
            ("kqv_out", _) => "attn_out",
            ("attn_out", _) => "attn_proj",
            (
                "embd" | "result_norm" | "result_output" | "attn_norm" | "ffn_inp" | "ffn_norm"
                | "ffn_swiglu" | "ffn_out" | "l_out",
                _,
            ) => stem,
            _ => return None,
        };
        Some(if layer.is_empty() {
            ours.to_owned()
        } else {
            format!("{ours}-{layer}")
        })
    }
}

/// A tap that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Our name of the tap.
    pub tap: String,
    /// In words.
    pub what: String,
    /// The largest relative difference found in it.
    pub relative: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tap, self.what)
    }
}

/// Outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Taps that were compared.
    pub compared: usize,
    /// The largest relative difference of all, and its tap.
    pub worst: Option<(String, f64)>,
    /// Taps of the other side that we lack.
    pub missing: Vec<String>,
    /// Taps that differ, in the order in which they are computed.
    pub differences: Vec<Difference>,
}

impl Comparison {
    fn add(&mut self, tap: &str, relative: f64, tolerance: f64, what: impl FnOnce() -> String) {
        self.compared += 1;
        if self.worst.as_ref().is_none_or(|(_, w)| relative > *w) {
            self.worst = Some((tap.to_owned(), relative));
        }
        // Written so that NaN differs.
        if relative.is_nan() || relative > tolerance {
            self.differences.push(Difference {
                tap: tap.to_owned(),
                what: what(),
                relative,
            });
        }
    }
}

/// Compares value by value with another dump, in that dump's order. `tolerance` is relative: for a value to the larger
/// of itself and the tap's root mean square, and for the norm.
pub fn compare_dumps(ours: &TraceDump, theirs: &TraceDump, tolerance: f64) -> Comparison {
    let mut out = Comparison::default();
    for theirs in &theirs.taps {
        let Some(ours) = ours.taps.iter().find(|t| t.name == theirs.name) else {
            out.missing.push(theirs.name.clone());
            continue;
        };
        if ours.shape != theirs.shape || ours.data.len() != theirs.data.len() {
            out.add(&ours.name, f64::INFINITY, tolerance, || {
                format!("shape {:?}, the other has {:?}", ours.shape, theirs.shape)
            });
            continue;
        }
        let norm = l2(&theirs.data);
        let (at, worst) = worst_value(&ours.data, &theirs.data, rms(norm, theirs.data.len()));
        out.add(&ours.name, worst, tolerance, || {
            describe(ours, at, &theirs.data, worst)
        });
    }
    out
}

/// Compares with a reference in the reference's order: shape, norm, first and last values, to the same tolerance as
/// [`compare_dumps`].
pub fn compare_reference(ours: &TraceDump, reference: &[RefTensor], tolerance: f64) -> Comparison {
    let mut out = Comparison::default();
    for tensor in reference {
        let Some(name) = tensor.tap_name() else {
            continue;
        };
        let Some(tap) = ours.taps.iter().find(|t| t.name == name) else {
            out.missing.push(name);
            continue;
        };
        let n: usize = tensor.ne.iter().product();
        if n != tap.data.len() {
            out.add(&name, f64::INFINITY, tolerance, || {
                format!(
                    "shape {:?}, the reference has {:?} (fastest first)",
                    tap.shape, tensor.ne
                )
            });
            continue;
        }
        let rms = rms(tensor.l2, n);
        let head = tap.data.get(..tensor.first.len()).unwrap_or(&tap.data);
        let tail = tap
            .data
            .get(n.saturating_sub(tensor.last.len())..)
            .unwrap_or(&tap.data);
        let norm = l2(&tap.data);
        let mut parts = vec![(
            ((norm - tensor.l2) / tensor.l2.max(f64::MIN_POSITIVE)).abs(),
            format!("norm {norm:.7}, the reference has {:.7}", tensor.l2),
        )];
        for (what, got, want) in [("first", head, &tensor.first), ("last", tail, &tensor.last)] {
            let (at, relative) = worst_value(got, want, rms);
            let text = format!(
                "{what} values, number {at}: {:?}, the reference has {:?}",
                got.get(at).copied().unwrap_or(f32::NAN),
                want.get(at).copied().unwrap_or(f32::NAN)
            );
            parts.push((relative, text));
        }
        // NaN ranks above every number.
        let worst = parts
            .into_iter()
            .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
        if let Some((relative, text)) = worst {
            out.add(&name, relative, tolerance, || {
                format!("{text} (relative {relative:.1e})")
            });
        }
    }
    out
}

fn describe(ours: &Tap, at: usize, theirs: &[f32], relative: f64) -> String {
    let row = ours.data.len() / ours.shape.first().copied().unwrap_or(1).max(1);
    format!(
        "token {}, value {}: {:?}, the other has {:?} (relative {relative:.1e})",
        at / row.max(1),
        at % row.max(1),
        ours.data.get(at).copied().unwrap_or(f32::NAN),
        theirs.get(at).copied().unwrap_or(f32::NAN)
    )
}

pub(super) fn l2(values: &[f32]) -> f64 {
    values
        .iter()
        .map(|v| f64::from(*v) * f64::from(*v))
        .sum::<f64>()
        .sqrt()
}

fn rms(l2: f64, n: usize) -> f64 {
    l2 / (n.max(1) as f64).sqrt()
}

/// Index and size of the largest relative difference; NaN or infinity on one side only counts as infinite.
fn worst_value(got: &[f32], want: &[f32], rms: f64) -> (usize, f64) {
    let mut worst = (0, 0.0);
    if got.len() != want.len() {
        return (0, f64::INFINITY);
    }
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        if g.to_bits() == w.to_bits() {
            continue;
        }
        let d = (f64::from(*g) - f64::from(*w)).abs()
            / f64::from(*w).abs().max(rms).max(f64::MIN_POSITIVE);
        let d = if d.is_finite() { d } else { f64::INFINITY };
        if d > worst.1 {
            worst = (i, d);
        }
    }
    worst
}
