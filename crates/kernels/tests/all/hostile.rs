//! Indices that a damaged file's weights could lead astray: natively no shader checks them as it runs.

use crate::common::*;
use chord_kernels::route::Route;
use std::sync::Arc;

/// Logits that are no numbers have no order; the experts chosen must be experts all the same.
#[test]
fn logits_that_are_no_numbers_route_to_no_expert_beyond_the_last() {
    let gpu = device();
    let mut rng = Rng::new(5);
    for (n_experts, used) in [(8, 2), (32, 4), (128, 8)] {
        let stride = 2 * n_experts;
        let mut logits = rng.floats(3 * stride as usize);
        // A row of nothing else, one with some, and infinities of both signs.
        logits[..n_experts as usize].fill(f32::NAN.to_bits());
        logits[stride as usize..][..3].fill((-f32::NAN).to_bits());
        for (at, value) in [(1, f32::INFINITY), (2, f32::NEG_INFINITY), (4, f32::NAN)] {
            logits[2 * stride as usize + at] = value.to_bits();
        }
        // What was there before must not be what is found.
        let routes = vec![u32::MAX; 6 * used as usize];
        let kernel = Route {
            n_experts,
            used,
            stride,
            bias_at: None,
            quantise: None,
            rows_at: None,
        };
        let case = Case {
            name: "route".into(),
            kernel: Arc::new(kernel),
            buffers: vec![(1, logits), (2, routes)],
            rows: 3,
        };
        let (_, got, _) = run_both(&gpu, case).remove(1);
        for [expert, _] in got.as_chunks::<2>().0 {
            assert!(*expert < n_experts, "{expert} of {n_experts}");
        }
    }
}
