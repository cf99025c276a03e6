//! Which experts each row goes to (shaders/route.wgsl).

use crate::cpu::{CpuBindings, f};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use bytemuck::{Pod, Zeroable};

/// Most experts a model may have, and most that one token may use.
pub const MAX_EXPERTS: u32 = 1024;
/// Most experts that one token may use: one thread each.
pub const MAX_USED: u32 = 64;

/// The experts with the largest router logits, and the softmax over them as weights.
#[derive(Clone, Debug)]
pub struct Route {
    /// Experts, at most [`MAX_EXPERTS`].
    pub n_experts: u32,
    /// Experts per row, at most [`MAX_USED`].
    pub used: u32,
    /// f32 per row of logits.
    pub stride: u32,
    /// Where the buffer of routes has biases of the logits.
    pub bias_at: Option<u32>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n_experts: u32,
    stride: u32,
    bias_at: u32,
    pad: u32,
}

impl Kernel for Route {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "route",
            defines: vec![
                flag("BIAS", self.bias_at.is_some()),
                define("USED", &self.used),
                define("EXPERTS", &self.n_experts),
            ],
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        vec![(1, Access::Read), (2, Access::ReadWrite)]
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            n_experts: self.n_experts,
            stride: self.stride,
            bias_at: self.bias_at.unwrap_or_default(),
            pad: 0,
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: 1,
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (logits, mut routes) = (mem.read(1), mem.write(2));
        let used = self.used as usize;
        for row in 0..rows as usize {
            let mut scores: Vec<(f64, u32)> = (0..self.n_experts)
                .map(|e| {
                    let bias = self.bias_at.map_or(0.0, |at| f(&routes, (at + e) as usize));
                    let logit = f(&logits, row * self.stride as usize + e as usize);
                    (f64::from(logit + bias), e)
                })
                .collect();
            scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            scores.truncate(used);
            let top = scores[0].0;
            let sum: f64 = scores.iter().map(|(s, _)| (s - top).exp()).sum();
            for (i, (score, expert)) in scores.iter().enumerate() {
                let at = 2 * (row * used + i);
                routes[at] = *expert;
                let weight = (score - top).exp() / sum;
                routes[at + 1] = (weight as f32).to_bits();
            }
        }
    }
}
