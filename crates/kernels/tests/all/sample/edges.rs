//! Where tops, bounds and the list of kept tokens have their edges, against a plain sort.

use super::bench::{Bench, State, twin};
use chord_kernels::sample::{SampleParams, ctl, uniform};

const SEED: u64 = 77;
/// Tokens drawn at once.
const DRAWS: u32 = 64;

/// What top-k and min-p leave, with all ties, by id, and the running sums of weights; out of a sorted list.
struct Kept {
    ids: Vec<u32>,
    sums: Vec<f64>,
}

impl Kept {
    fn new(logits: &[f32], temperature: f32, k: u32, min_p: f32) -> Self {
        let mut sorted = logits.to_vec();
        sorted.sort_by(|a, b| b.partial_cmp(a).unwrap());
        let k = if k == 0 { sorted.len() } else { k as usize };
        let least = sorted[k.min(sorted.len()) - 1].max(match min_p {
            0.0 => f32::MIN,
            p => sorted[0] + p.ln(),
        });
        let (mut ids, mut sums, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for (id, x) in (0..).zip(logits).filter(|(_, x)| **x >= least) {
            sum += (f64::from(x - sorted[0]) / f64::from(temperature)).exp();
            ids.push(id);
            sums.push(sum);
        }
        Self { ids, sums }
    }

    fn at(&self, u: f64) -> u32 {
        let target = u.clamp(0.0, 1.0) * self.sums.last().unwrap();
        let passed = self.sums.partition_point(|sum| *sum <= target);
        self.ids[passed.min(self.ids.len() - 1)]
    }
}

/// Draws tokens and holds them against the sort: sums in f32 differ in their last bits, so that near a boundary either side is right.
fn check(bench: &Bench, name: &str, logits: &[f32], (temperature, k, min_p): (f32, u32, f32)) {
    let n = logits.len() as u32;
    let p = SampleParams::new(n, 0, temperature, k, 1.0, min_p);
    let kept = Kept::new(logits, temperature, k, min_p);
    let state = State::new(SEED, 500);
    let got = bench.run(&p, logits, &[], &state, DRAWS);
    let name = format!("{name}, {n} logits, t={temperature} k={k} m={min_p}");
    assert_eq!(
        (got.ctl[ctl::STEP], got.ctl[ctl::FAULT]),
        (DRAWS, 0),
        "{name}"
    );
    let mut equal = 0;
    for (i, token) in (0..).zip(&got.ctl[ctl::LOG..]) {
        let u = f64::from(uniform(SEED, 501 + i));
        let near = [-1e-5, 0.0, 1e-5].map(|d| kept.at(u + d));
        assert!(near.contains(token), "{name}: {token}, not of {near:?}");
        equal += u32::from(*token == near[1]);
    }
    assert!(equal + 4 >= DRAWS, "{name}: {equal} of {DRAWS}");
    let want = twin(&p, logits, &[], &state, DRAWS);
    let same = want.ctl[ctl::LOG..].iter().zip(&got.ctl[ctl::LOG..]);
    assert!(
        same.filter(|(a, b)| a == b).count() >= 60,
        "{name}: the twin's"
    );
}

/// Spread over about `width` to both sides of 0.
fn random(n: u32, seed: u64, width: f32) -> Vec<f32> {
    let value = |i| (0..4).map(|j| uniform(seed, 4 * i + j)).sum::<f32>() - 2.0;
    (0..n).map(|i| value(i) * width).collect()
}

/// Low logits, but for those at `at`.
fn raised(n: u32, at: impl IntoIterator<Item = (u32, f32)>) -> Vec<f32> {
    let mut logits: Vec<f32> = random(n, 3, 1.0).iter().map(|x| x - 50.0).collect();
    for (id, x) in at {
        logits[id as usize] = x;
    }
    logits
}

#[test]
fn greedy_takes_the_lowest_id_of_ties_across_chunks() {
    for n in [1, 63, 64, 65, 130, 4097, 50_257] {
        let bench = Bench::new(n);
        let p = SampleParams::new(n, 0, 0.0, 40, 0.95, 0.05);
        let ends = [0, 1, 62, 63, 64, 65, 127, 128, 129, 2047, 2048, 4096, n - 1];
        for first in ends.into_iter().filter(|id| *id < n) {
            // From there on every 61st is the best, zeros of either sign in turn.
            for best in [[3.5, 3.5], [-7.0, -7.0], [0.0, -0.0], [-0.0, 0.0]] {
                let tied = (first..n).step_by(61).zip(best.into_iter().cycle());
                let logits = raised(n, tied);
                let got = bench.run(&p, &logits, &[], &State::new(1, 1), 1);
                assert_eq!(got.ctl[ctl::LOG], first, "{n} logits, best {best:?}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_is_a_fault_in_any_chunk() {
    for n in [1, 2, 63, 64, 65, 500, 513, 4097] {
        let bench = Bench::new(n);
        let clean = random(n, 5, 8.0);
        let ends = [0, 1, 62, 63, 64, 499, 512, 2047, 2048, 4095, n - 1];
        for at in ends.into_iter().filter(|id| *id < n) {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for (temperature, k) in [(0.0, 40), (1.0, 40), (1.0, 0)] {
                    let mut logits = clean.clone();
                    logits[at as usize] = bad;
                    let p = SampleParams::new(n, 0, temperature, k, 0.95, 0.05);
                    let state = State::new(1, 9);
                    let got = bench.run(&p, &logits, &[], &state, 2);
                    let mut want = state;
                    want.ctl[ctl::FAULT] = 1;
                    want.ctl[ctl::DONE] = 1;
                    assert_eq!(got, want, "{bad} at {at} of {n}, t={temperature} k={k}");
                }
            }
        }
    }
}

/// The k best one a chunk, where the tops' k-th is the logits'; all in one chunk, where it is far below; and in between.
#[test]
fn the_kth_logit_is_found_wherever_the_best_lie() {
    let n = 64 * 200 + 17;
    let bench = Bench::new(n);
    for apart in [64, 65, 1, 32, 13] {
        for count in [40, 41, 60, 150] {
            let best = (0..count).map(|i| (3 + i * apart, 1.0 + i as f32 * 1e-3));
            let logits = raised(n, best);
            for k in [1, 2, 39, 40, 41, 128, 129, 149] {
                check(
                    &bench,
                    &format!("{count} {apart} apart"),
                    &logits,
                    (100.0, k, 0.0),
                );
            }
        }
    }
}

/// Ties with the last one kept, as many as the list holds and more: in few chunks, and one in each of many.
#[test]
fn ties_are_kept_where_they_fit_and_where_they_do_not() {
    let n = 64 * 700 + 5;
    let bench = Bench::new(n);
    for ties in [1, 2, 100, 511, 512, 513, 600, 700] {
        for apart in [1, 64] {
            // The best three, then those tied.
            let above = [(n - 1, 3.0), (n - 3, 2.0), (n - 130, 2.5)];
            let tied = (0..ties).map(|i| (7 + i * apart, 1.0));
            let logits = raised(n, tied.chain(above));
            for k in [1, 3, 4, 40, 500, 512] {
                if k <= ties + 3 {
                    check(
                        &bench,
                        &format!("{ties} tied {apart} apart"),
                        &logits,
                        (10.0, k, 0.0),
                    );
                }
            }
        }
    }
}

/// Few chunks, fewer than k, the last of them short.
#[test]
fn short_vocabularies_keep_what_a_sort_keeps() {
    // The buffers may be longer than the vocabulary is.
    let bench = Bench::new(2500);
    for n in [
        1, 2, 5, 40, 63, 64, 65, 127, 129, 511, 512, 513, 600, 1000, 2500,
    ] {
        let spread = random(n, u64::from(n), 6.0);
        let tied: Vec<f32> = spread.iter().map(|x| x.round()).collect();
        for k in [
            0,
            1,
            2,
            7,
            8,
            9,
            10,
            39,
            40,
            41,
            300,
            511,
            512,
            513,
            1000,
            n - 1,
        ] {
            if k <= n {
                check(&bench, "spread", &spread, (3.0, k, 0.0));
                check(&bench, "tied", &tied, (3.0, k, 0.0));
            }
        }
        check(
            &bench,
            "zeros",
            &vec![-0.0; n as usize],
            (1.0, 40.min(n), 0.05),
        );
    }
}

#[test]
fn long_vocabularies_keep_what_a_sort_keeps() {
    let n = 32_017;
    let bench = Bench::new(n);
    let mut falling = random(n, 1, 8.0);
    falling.sort_by(|a, b| b.total_cmp(a));
    let rising: Vec<f32> = falling.iter().rev().copied().collect();
    let shapes = [
        ("wide", random(n, 2, 10.0)),
        (
            "narrow",
            random(n, 3, 0.01).iter().map(|x| x + 20.0).collect(),
        ),
        (
            "in steps",
            random(n, 4, 10.0).iter().map(|x| x.round()).collect(),
        ),
        (
            "negative",
            random(n, 5, 3.0).iter().map(|x| x - 1e4).collect(),
        ),
        ("falling", falling),
        ("rising", rising),
    ];
    for (name, logits) in shapes {
        for (temperature, k, min_p) in [
            (0.8, 40, 0.05),
            (30.0, 40, 0.0),
            (30.0, 100, 0.0),
            (30.0, 128, 0.0),
            (30.0, 400, 0.0),
            (30.0, 500, 0.0),
            (30.0, 501, 0.0),
            (30.0, 512, 0.0),
            (30.0, 513, 0.0),
            (30.0, 5000, 0.0),
            (1.0, 0, 0.1),
        ] {
            check(&bench, name, &logits, (temperature, k, min_p));
        }
    }
}
