//! Which expert's rows a route goes through.

use crate::cpu::f;

/// The matrices are those of several experts, one below the other; `rows_a` and `rows_b` are one expert's. Each token has
/// `used` routes (expert, bits of its weight) in a buffer. `Epilogue::Glu` gives a token a row of blocks per route,
/// `Epilogue::Residual` adds the weighted sum over its routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// Routes per token.
    pub used: u32,
    /// First expert of these matrices; routes to others are left to other dispatches.
    pub first: u32,
    /// Experts of these matrices.
    pub count: u32,
    /// Where the buffer of routes has the biases `[expert, row]` of A and of B.
    pub bias_at: Option<[u32; 2]>,
}

/// A route to an expert of these matrices.
pub(super) struct Route {
    /// Which of these matrices' experts it is, and which of the model's.
    pub place: usize,
    pub expert: usize,
    pub weight: f32,
}

impl Experts {
    /// Route `i` of the buffer of routes, if its expert is one of these matrices'.
    pub(super) fn route(&self, routes: &[u32], i: usize) -> Option<Route> {
        let expert = routes[2 * i];
        let place = expert.checked_sub(self.first);
        let place = place.filter(|place| *place < self.count)?;
        Some(Route {
            place: place as usize,
            expert: expert as usize,
            weight: f(routes, 2 * i + 1),
        })
    }

    /// Bias of an expert's row of A (0) or of B (1), of `rows` rows: 0 where there is none.
    pub(super) fn bias(
        &self,
        routes: &[u32],
        which: usize,
        expert: usize,
        (row, rows): (usize, usize),
    ) -> f32 {
        match self.bias_at {
            Some(first) if row < rows => f(routes, first[which] as usize + expert * rows + row),
            _ => 0.0,
        }
    }
}
