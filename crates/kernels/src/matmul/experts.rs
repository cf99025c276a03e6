//! Which expert's rows a route goes through.

use crate::cpu::f;
use std::ops::Range;

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

/// Routes to these matrices' experts, those to one expert together: its weights are then read once for all of them.
#[derive(Default)]
pub(super) struct Groups {
    /// Which routes, by expert and in their order.
    order: Vec<usize>,
    /// (place of the expert, routes of `order`), at most so many at once as asked for.
    spans: Vec<(usize, Range<usize>)>,
}

impl Groups {
    /// Of the first `n` routes of the buffer, at most `most` in a group.
    pub(super) fn new(experts: &Experts, routes: &[u32], n: usize, most: usize) -> Self {
        let mut by_place: Vec<Vec<usize>> = vec![Vec::new(); experts.count as usize];
        for i in 0..n {
            if let Some(route) = experts.route(routes, i) {
                by_place[route.place].push(i);
            }
        }
        let mut groups = Self::default();
        for (place, routes) in by_place.iter().enumerate() {
            for routes in routes.chunks(most) {
                let first = groups.order.len();
                groups.order.extend(routes);
                groups.spans.push((place, first..groups.order.len()));
            }
        }
        groups
    }

    /// Each group's expert, by its place among these matrices, and its routes. Experts in order: so a token's routes come in the same
    /// order whatever else is in the batch.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, &[usize])> {
        let spans = self.spans.iter();
        spans.map(|(place, span)| (*place, &self.order[span.clone()]))
    }
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

    /// Biases of an expert's rows of A (0) or of B (1), of `rows` rows; None where there are none.
    pub(super) fn biases<'a>(
        &self,
        routes: &'a [u32],
        which: usize,
        expert: usize,
        rows: usize,
    ) -> Option<&'a [u32]> {
        let first = self.bias_at?[which] as usize + expert * rows;
        Some(&routes[first..first + rows])
    }
}
