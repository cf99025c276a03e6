//! The head over several rows of a batch, which the static plan does not have.

use super::Engine;
use crate::Error;
use chord_kernels::device::BoundStep;
use chord_kernels::matmul::MatMul;
use chord_kernels::op::{BufDesc, BufId, Role, Step};

/// Steps from the last layer's rows to the logits of each.
pub(crate) struct HeadRows {
    /// The steps: one for each part of the matrix.
    pub steps: Vec<BoundStep>,
    /// `[rows, stride]`.
    pub logits: BufId,
    /// f32 per row of the logits.
    pub stride: u64,
}

impl Engine {
    /// Makes the head over up to `rows` rows.
    pub(crate) async fn head_rows(&mut self, rows: u32) -> Result<HeadRows, Error> {
        let stride = self.p.plan.ids.logits_words;
        let cols = self.p.plan.prefill_cols;
        let description = BufDesc {
            label: "logits of rows".into(),
            words: u64::from(rows.next_multiple_of(cols)) * stride,
            role: Role::Storage,
        };
        let logits = self.p.buffers.extend(&self.p.device, &description).await?;
        let plan = &self.p.plan;
        let mut steps = Vec::new();
        for (kernel, segment) in &plan.head_parts {
            let kernel = MatMul {
                cols,
                ..kernel.clone()
            };
            let segment = &plan.segments[*segment];
            let bind = vec![
                (1, segment.quants),
                (2, segment.scales),
                (5, plan.ids.act),
                (6, logits),
            ];
            let step = Step::new("head of rows", kernel, bind);
            steps.push(self.p.buffers.bind(&self.p.device, &step).await?);
        }
        Ok(HeadRows {
            steps,
            logits,
            stride,
        })
    }
}
