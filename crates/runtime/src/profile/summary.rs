//! A phase by kernel.

use super::PhaseProfile;

/// All slices of one kernel together.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it computes: [`super::ProfiledStep::kernel`].
    pub kernel: String,
    /// How often it ran.
    pub calls: u32,
    /// How long, in all.
    pub ns: u64,
    /// Bytes of weights, keys and values that it read, in all.
    pub bytes: u64,
}

impl PhaseProfile {
    /// A row for each kernel, the one that took longest first.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for slice in &self.slices {
            let kernel = &self.steps[slice.step].kernel;
            let at = rows
                .iter()
                .position(|row| row.kernel == *kernel)
                .unwrap_or_else(|| {
                    rows.push(Row {
                        kernel: kernel.clone(),
                        calls: 0,
                        ns: 0,
                        bytes: 0,
                    });
                    rows.len() - 1
                });
            let row = &mut rows[at];
            row.calls += 1;
            row.ns += slice.end_ns - slice.start_ns;
            row.bytes += slice.bytes;
        }
        // Equal times keep the plan's order.
        rows.sort_by_key(|row| std::cmp::Reverse(row.ns));
        rows
    }

    /// From the first step's beginning to the last's end, for each batch or token, added up: what is more than the rows' sum is
    /// time between steps.
    #[must_use]
    pub fn span_ns(&self) -> u64 {
        let passes = self.slices.chunk_by(|a, b| a.pass == b.pass);
        let span = |pass: &[super::Slice]| {
            let start = pass.iter().map(|s| s.start_ns).min()?;
            let end = pass.iter().map(|s| s.end_ns).max()?;
            Some(end - start)
        };
        passes.filter_map(span).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Phase, ProfiledStep, Slice};
    use super::*;

    #[test]
    fn slices_of_a_kernel_are_added_up() {
        let step = |name: &str, kernel: &str| ProfiledStep {
            name: name.into(),
            layer: None,
            kernel: kernel.into(),
        };
        let slice = |step, pass, start_ns, end_ns, bytes| Slice {
            step,
            pass,
            start_ns,
            end_ns,
            bytes,
        };
        let phase = PhaseProfile {
            phase: Phase::Decode,
            tokens: 2,
            steps: vec![step("a", "small"), step("b", "large"), step("c", "large")],
            slices: vec![
                slice(0, 0, 0, 5, 0),
                slice(1, 0, 7, 17, 100),
                slice(2, 0, 20, 30, 100),
                slice(0, 1, 100, 105, 0),
                slice(1, 1, 105, 115, 100),
                slice(2, 1, 115, 125, 100),
            ],
        };
        let rows = phase.rows();
        assert_eq!(rows[0].kernel, "large");
        assert_eq!((rows[0].calls, rows[0].ns, rows[0].bytes), (4, 40, 400));
        assert_eq!((rows[1].calls, rows[1].ns, rows[1].bytes), (2, 10, 0));
        // 30 and 25, without what lies between the two tokens.
        assert_eq!(phase.span_ns(), 55);
    }
}
