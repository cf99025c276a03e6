//! Which expert's rows a route goes through.

use crate::cpu::f;

/// The matrices are those of several experts, one below the other; `rows_a` and `rows_b` are one expert's. Each token has
/// `used` routes (expert, bits of its weight) in a buffer. `Epilogue::Glu` gives a token a row of blocks per route,
/// `Epilogue::Residual` adds the weighted sum over its routes, `Epilogue::Plain` gives a row per route without its weight.
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
    /// Where it has the rows of the batch, for [`Layout::Tile`](super::Layout), which takes a batch's routes expert by expert.
    pub rows_at: Option<u32>,
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

    /// The first `n` routes by the place of their expert, at most `most` together: its weights are then read once for them. Experts in
    /// order, so that a token's routes come in the same order whatever else is in the batch.
    pub(super) fn groups(&self, routes: &[u32], n: usize, most: usize) -> Vec<(usize, Vec<usize>)> {
        let mut by_place: Vec<Vec<usize>> = vec![Vec::new(); self.count as usize];
        for i in 0..n {
            if let Some(route) = self.route(routes, i) {
                by_place[route.place].push(i);
            }
        }
        let by_place = by_place.iter().enumerate();
        let groups = by_place.flat_map(|(place, of_one)| {
            of_one
                .chunks(most)
                .map(move |group| (place, group.to_vec()))
        });
        groups.collect()
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
