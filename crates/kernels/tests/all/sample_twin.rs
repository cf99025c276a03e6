//! The sampler's CPU twin: its thresholds against a brute-force sort, its draw against exact probabilities.

use chord_kernels::sample::{SampleError, SampleParams, choose, choose_at, pcg4d, uniform};

/// Logits of random shape: `spread` apart, on a grid of `step` (0 = none) so that ties occur.
fn logits(n: u32, seed: u64, spread: f32, step: f32) -> Vec<f32> {
    let value = |i| {
        // Sum of four uniforms: close to normal, within 2 of the middle.
        let x = (0..4).map(|j| uniform(seed, 4 * i + j)).sum::<f32>() - 2.0;
        if step > 0.0 {
            (x * spread / step).round() * step
        } else {
            x * spread
        }
    };
    (0..n).map(value).collect()
}

/// (id, probability) of what the filters leave, in id order: llama.cpp's chain on a list sorted by logit, all ties kept.
fn brute_force(
    logits: &[f32],
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
) -> Vec<(u32, f64)> {
    let mut list: Vec<(u32, f64)> = (0..)
        .zip(logits)
        .map(|(id, x)| (id, f64::from(*x)))
        .collect();
    list.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap());
    let keep_with_ties = |list: &mut Vec<(u32, f64)>, count: usize| {
        if let Some(last) = list.get(count - 1).map(|e| e.1) {
            list.retain(|e| e.1 >= last);
        }
    };
    if top_k > 0 {
        keep_with_ties(&mut list, top_k as usize);
    }
    let top = list[0].1;
    if top_p < 1.0 {
        let total: f64 = list.iter().map(|e| (e.1 - top).exp()).sum();
        let mut sum = 0.0;
        let mut count = list.len();
        for (i, e) in list.iter().enumerate() {
            sum += (e.1 - top).exp() / total;
            if sum >= f64::from(top_p) {
                count = i + 1;
                break;
            }
        }
        keep_with_ties(&mut list, count);
    }
    if min_p > 0.0 {
        list.retain(|e| (e.1 - top).exp() >= f64::from(min_p) * (1.0 - 1e-6));
    }
    list.sort_by_key(|e| e.0);
    let total: f64 = list
        .iter()
        .map(|e| ((e.1 - top) / f64::from(temperature)).exp())
        .sum();
    list.iter()
        .map(|e| (e.0, ((e.1 - top) / f64::from(temperature)).exp() / total))
        .collect()
}

#[test]
fn every_filter_equals_a_brute_force_sort() {
    let mut compared = 0;
    for (case, (n, spread, step, rising)) in [
        (1, 5.0, 0.0, false),
        (7, 5.0, 0.0, false),
        (300, 6.0, 0.0, false),
        (300, 6.0, 0.5, false),
        (2048, 3.0, 0.0, false),
        // Each is larger than all before it.
        (1000, 6.0, 0.0, true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut logits = logits(n, case as u64 + 1, spread, step);
        if rising {
            logits.sort_by(f32::total_cmp);
        }
        for temperature in [0.1, 0.8, 1.0, 4.0] {
            for top_k in [0, 1, 5, 40, 600, n, n + 1] {
                for top_p in [0.0, 0.1, 0.5, 0.95, 1.0] {
                    for min_p in [0.0, 0.05, 0.5, 1.0] {
                        let p = SampleParams::new(n, 0, temperature, top_k, top_p, min_p);
                        let expected = brute_force(&logits, temperature, top_k, top_p, min_p);
                        let name = format!(
                            "n={n} step={step} t={temperature} k={top_k} p={top_p} m={min_p}"
                        );
                        // In the middle of every token's share of [0, 1) that f32 can tell from its neighbours'.
                        let mut start = 0.0;
                        for (id, share) in &expected {
                            if *share > 1e-5 {
                                let u = (start + share / 2.0) as f32;
                                assert_eq!(choose_at(&p, &logits, u), Ok(*id), "{name} u={u}");
                                compared += 1;
                            }
                            start += share;
                        }
                        assert_eq!(
                            choose_at(&p, &logits, 0.0),
                            Ok(expected[0].0),
                            "{name}: u = 0 is the first kept token"
                        );
                    }
                }
            }
        }
    }
    assert!(compared > 30_000, "{compared} comparisons");
}

#[test]
fn draws_follow_the_probabilities() {
    let n = 40;
    let logits = logits(n, 3, 2.0, 0.0);
    for (temperature, top_k, top_p, min_p) in [
        (1.0, 0, 1.0, 0.0),
        (0.8, 10, 0.9, 0.05),
        (2.0, 20, 1.0, 0.1),
    ] {
        let p = SampleParams::new(n, 0, temperature, top_k, top_p, min_p);
        let expected = brute_force(&logits, temperature, top_k, top_p, min_p);
        // Positions of one run, and the same position under many seeds: both must be independent draws.
        for by_seed in [false, true] {
            let draws = 40_000u32;
            let mut counts = vec![0u32; n as usize];
            for i in 0..draws {
                let (seed, position) = if by_seed { (u64::from(i), 7) } else { (7, i) };
                counts[choose(&p, &logits, seed, position).unwrap() as usize] += 1;
            }
            let kept: u32 = expected.iter().map(|(id, _)| counts[*id as usize]).sum();
            assert_eq!(kept, draws, "only kept tokens are drawn");
            let chi_square: f64 = expected
                .iter()
                .map(|(id, share)| {
                    let want = share * f64::from(draws);
                    (f64::from(counts[*id as usize]) - want).powi(2) / want
                })
                .sum();
            // Mean df, variance 2 df: beyond 4 standard deviations is no accident.
            let df = expected.len() as f64 - 1.0;
            assert!(
                chi_square < df + 4.0 * (2.0 * df).sqrt(),
                "chi-square {chi_square} for {df} degrees of freedom"
            );
        }
    }
}

#[test]
fn uniform_numbers_are_uniform_and_below_one() {
    for stride in [1u32, 65_536] {
        let mut bins = [0u32; 64];
        let draws = 64_000;
        for i in 0..draws {
            let u = uniform(42, i * stride);
            assert!((0.0..1.0).contains(&u));
            bins[(u * 64.0) as usize] += 1;
        }
        let chi_square: f64 = bins
            .iter()
            .map(|n| (f64::from(*n) - 1000.0).powi(2) / 1000.0)
            .sum();
        assert!(
            (20.0..118.0).contains(&chi_square),
            "chi-square {chi_square} for 63 degrees of freedom"
        );
    }
    assert_ne!(
        uniform(1, 0),
        uniform(1 << 32, 0),
        "both halves of the seed count"
    );
}

/// pcg4d by its definition in 64-bit arithmetic, reduced after every step.
#[test]
fn hash_equals_its_definition() {
    let wrap = |x: u64| x & 0xffff_ffff;
    for i in 0..1000u64 {
        let seed = [i, i * 977 + 5, wrap(i * 0x9e37_79b9), i ^ 0xffff_0000];
        let mut v = seed.map(|x| wrap(x * 1_664_525 + 1_013_904_223));
        for round in 0..2 {
            for (to, a, b) in [(0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)] {
                v[to] = wrap(v[to] + wrap(v[a] * v[b]));
            }
            if round == 0 {
                v = v.map(|x| x ^ (x >> 16));
            }
        }
        assert_eq!(pcg4d(seed.map(|x| x as u32)).map(u64::from), v);
    }
}

#[test]
fn greedy_takes_the_lowest_id_of_the_best() {
    let p = SampleParams::new(6, 0, 0.0, 40, 0.95, 0.05);
    for position in 0..20 {
        assert_eq!(
            choose(&p, &[-1.0, 3.0, 2.0, 3.0, 3.0, -0.0], 1, position),
            Ok(1)
        );
        assert_eq!(choose(&p, &[-2.0; 6], 1, position), Ok(0));
        assert_eq!(
            choose(&p, &[-2.0, -0.0, 0.0, -1.0, -1.0, -1.0], 1, position),
            Ok(1)
        );
    }
}

#[test]
fn extreme_logits_stay_exact() {
    let logits = [f32::MIN, f32::MAX, -1e30, 0.0];
    for temperature in [0.0, 1e-9, 1.0, 100.0] {
        let p = SampleParams::new(4, 0, temperature, 0, 1.0, 0.0);
        for position in 0..50 {
            assert_eq!(choose(&p, &logits, 9, position), Ok(1));
        }
    }
}

#[test]
fn what_is_not_finite_is_refused_by_name() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for temperature in [0.0, 1.0] {
            let p = SampleParams::new(4, 0, temperature, 40, 0.95, 0.05);
            let error = choose(&p, &[1.0, 2.0, bad, bad], 1, 1).unwrap_err();
            assert_eq!(error, SampleError::NonFinite { id: 2 });
            assert_eq!(error.code(), "E_NONFINITE");
        }
    }
    let p = SampleParams::new(0, 0, 1.0, 40, 0.95, 0.05);
    assert_eq!(choose(&p, &[], 1, 1), Err(SampleError::Empty));
}
