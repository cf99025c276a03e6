//! The sampling shader against its CPU twin: the token it draws, and what it writes.

mod bench;
mod edges;
mod tops;

use bench::{Bench, State, twin};
use chord_kernels::sample::{SampleParams, choose_at, ctl, uniform};

/// Shapes of logits a sampler meets: spread, tied, flat, with one far ahead, and of both extremes.
fn shapes(n: u32, seed: u64) -> Vec<(&'static str, Vec<f32>)> {
    let normal = |i: u32| (0..4).map(|j| uniform(seed, 4 * i + j)).sum::<f32>() - 2.0;
    let of = |f: &dyn Fn(u32) -> f32| (0..n).map(f).collect::<Vec<f32>>();
    let mut huge = of(&|i| normal(i) * 4.0);
    huge[n as usize / 3] = 1e4;
    vec![
        ("spread", of(&|i| normal(i) * 8.0)),
        ("close", of(&normal)),
        ("tied", of(&|i| (normal(i) * 4.0).round())),
        ("equal", vec![-3.25; n as usize]),
        ("one huge", huge),
        (
            "extreme",
            of(&|i| {
                if i % 7 == 0 {
                    f32::MIN
                } else {
                    normal(i) * 1e30
                }
            }),
        ),
        ("signed zeros", of(&|i| if i % 2 == 0 { 0.0 } else { -0.0 })),
    ]
}

/// (temperature, top_k, top_p, min_p): each filter alone, together, at its ends, and kept sets on both sides of the
/// gathered list's length.
const SETTINGS: [(f32, u32, f32, f32); 18] = [
    (0.0, 40, 0.95, 0.05),
    (1.0, 0, 1.0, 0.0),
    (0.8, 40, 0.95, 0.05),
    (1.0, 1, 1.0, 0.0),
    (1.0, 511, 1.0, 0.0),
    (1.0, 512, 1.0, 0.0),
    (1.0, 513, 1.0, 0.0),
    (2.0, 600, 0.9, 0.0),
    (1.0, u32::MAX, 0.9, 0.0),
    (1.0, 0, 0.5, 0.0),
    (1.0, 0, 0.0, 0.0),
    (1.0, 20, 1e-6, 0.0),
    (0.01, 0, 0.99, 0.0),
    (1.5, 0, 1.0, 0.1),
    (1.0, 0, 1.0, 1.0),
    (100.0, 0, 1.0, 0.0),
    (1e-9, 40, 0.95, 0.05),
    (1.2, 100, 0.8, 0.2),
];

fn check_vocabulary(n: u32) {
    let bench = Bench::new(n);
    let (mut runs, mut equal) = (0, 0);
    for (shape, logits) in shapes(n, u64::from(n)) {
        for (i, (temperature, top_k, top_p, min_p)) in SETTINGS.into_iter().enumerate() {
            let p = SampleParams::new(n, 0, temperature, top_k, top_p, min_p);
            let (seed, position) = (0x1234_5678_9abc + i as u64, 3 * i as u32);
            let state = State::new(seed, position);
            let got = bench.run(&p, &logits, &[], &state, 1);
            let want = twin(&p, &logits, &[], &state, 1);
            runs += 1;
            if got == want {
                equal += 1;
                continue;
            }
            // Sums differ in their last bits: within 1e-5 of a boundary of top-p or of the draw either side is right.
            let u = uniform(seed, position + 1);
            let token = got.ctl[ctl::LOG];
            let near = [-1e-5f32, 0.0, 1e-5];
            let allowed: Vec<u32> = near
                .iter()
                .flat_map(|dp| near.iter().map(move |du| (dp, du)))
                .map(|(dp, du)| {
                    let p = SampleParams {
                        top_p: p.top_p + dp,
                        ..p
                    };
                    choose_at(&p, &logits, (u + du).clamp(0.0, 1.0 - f32::EPSILON)).unwrap()
                })
                .collect();
            let name = format!("n={n} {shape} t={temperature} k={top_k} p={top_p} m={min_p} u={u}");
            assert!(
                allowed.contains(&token),
                "{name}: token {token}, allowed {allowed:?}"
            );
            let mut same = want;
            same.ctl[ctl::LOG] = token;
            same.rows[0] = token;
            assert_eq!(got, same, "{name}: everything but the token");
        }
    }
    assert!(
        equal * 50 >= runs * 49,
        "n={n}: only {equal} of {runs} tokens equal the twin's"
    );
}

#[test]
fn tokens_equal_the_twin_vocabulary_1() {
    check_vocabulary(1);
}

#[test]
fn tokens_equal_the_twin_vocabulary_2048() {
    check_vocabulary(2048);
}

#[test]
fn tokens_equal_the_twin_vocabulary_49152() {
    check_vocabulary(49_152);
}

#[test]
fn tokens_equal_the_twin_vocabulary_50257() {
    check_vocabulary(50_257);
}

#[test]
fn steps_of_one_submit_advance_the_sequence() {
    let n = 300;
    let bench = Bench::new(n);
    let (_, logits) = shapes(n, 5).swap_remove(1);
    let p = SampleParams::new(n, 0, 1.0, 0, 1.0, 0.0);
    let state = State::new(u64::MAX - 5, 100);
    let got = bench.run(&p, &logits, &[], &state, 20);
    assert_eq!(got, twin(&p, &logits, &[], &state, 20));
    assert_eq!(
        (got.ctl[ctl::STEP], got.ctl[ctl::DONE], got.rows[1]),
        (20, 0, 120)
    );
    let log = &got.ctl[ctl::LOG..ctl::LOG + 20];
    assert!(
        log.iter().any(|id| *id != log[0]),
        "positions draw differently: {log:?}"
    );
    assert_eq!(
        got,
        bench.run(&p, &logits, &[], &state, 20),
        "a seeded run repeats bit for bit"
    );
    // Steps 10..20 alone, from the state after ten.
    let ten = bench.run(&p, &logits, &[], &state, 10);
    assert_eq!(got, bench.run(&p, &logits, &[], &ten, 10));
    // A log that is full is not overrun.
    let full = bench.run(&p, &logits, &[], &state, 70);
    assert_eq!(full, twin(&p, &logits, &[], &state, 70));
    assert_eq!(full.ctl[ctl::STEP], 70);
}

#[test]
fn end_of_generation_is_logged_and_stops_everything() {
    let n = 300;
    let bench = Bench::new(n);
    let (_, logits) = shapes(n, 6).swap_remove(1);
    let free = SampleParams::new(n, 0, 1.0, 0, 1.0, 0.0);
    let state = State::new(77, 0);
    let log = twin(&free, &logits, &[], &state, 8).ctl[ctl::LOG..ctl::LOG + 8].to_vec();
    // The sixth token's first occurrence ends the generation.
    let end = log.iter().position(|id| *id == log[5]).unwrap();
    let eog = [n + 1, n + 2, log[5]];
    let p = SampleParams { n_eog: 3, ..free };
    let got = bench.run(&p, &logits, &eog, &state, 8);
    assert_eq!(got, twin(&p, &logits, &eog, &state, 8));
    assert_eq!(
        (got.ctl[ctl::DONE], got.ctl[ctl::STEP] as usize),
        (1, end + 1)
    );
    assert_eq!(got.ctl[ctl::LOG + end], log[5]);
    assert_eq!(
        got.ctl[ctl::LOG + end + 1],
        0xdead_beef,
        "nothing is written after the end"
    );
    assert_eq!(
        got,
        bench.run(&p, &logits, &eog, &got, 3),
        "nor in a later submit"
    );
}

#[test]
fn a_logit_that_is_not_finite_is_a_fault_and_no_token() {
    let n = 2048;
    let bench = Bench::new(n);
    let (_, clean) = shapes(n, 7).swap_remove(0);
    for bad in [
        f32::NAN,
        -f32::NAN,
        f32::from_bits(0x7f80_0001),
        f32::from_bits(u32::MAX),
        f32::INFINITY,
        f32::NEG_INFINITY,
    ] {
        for at in [0, 255, 256, 2047] {
            for temperature in [0.0, 1.0] {
                let mut logits = clean.clone();
                logits[at] = bad;
                let p = SampleParams::new(n, 0, temperature, 40, 0.95, 0.05);
                let state = State::new(1, 9);
                let got = bench.run(&p, &logits, &[], &state, 2);
                let mut want = state.clone();
                want.ctl[ctl::FAULT] = 1;
                want.ctl[ctl::DONE] = 1;
                assert_eq!(got, want, "{bad} at {at}, temperature {temperature}");
                assert_eq!(got, twin(&p, &logits, &[], &state, 2));
            }
        }
    }
}

/// Logits on a few levels, and top_p a hair to both sides of every cumulative probability: the kept set changes by a whole
/// level there, and with it most draws.
#[test]
fn top_p_cuts_at_every_level_where_it_should() {
    let n = 2048;
    let bench = Bench::new(n);
    let (_, logits) = shapes(n, 8).swap_remove(2);
    let mut levels: Vec<i32> = logits.iter().map(|x| *x as i32).collect();
    levels.sort_unstable();
    levels.dedup();
    levels.reverse();
    let mut cuts = 0;
    // Everything read from the logits, and the best 100 or so gathered first.
    for top_k in [0, 100] {
        let mut sorted = logits.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let last = if top_k == 0 {
            f32::MIN
        } else {
            sorted[top_k as usize - 1]
        };
        let kept: Vec<f64> = sorted
            .iter()
            .filter(|x| **x >= last)
            .map(|x| f64::from(*x))
            .collect();
        let total: f64 = kept.iter().map(|x| x.exp()).sum();
        let mut before = 0.0;
        for level in levels.iter().map(|l| f64::from(*l)) {
            let here = kept.iter().filter(|x| **x == level).count() as f64 * level.exp() / total;
            before += here;
            // Beyond f32's own resolution of the sums there is nothing to tell apart.
            if here < 1e-4 || before > 1.0 - 1e-4 {
                continue;
            }
            for side in [-2e-5, 2e-5] {
                let p = SampleParams::new(n, 0, 4.0, top_k, (before + side) as f32, 0.0);
                let state = State::new(cuts, 0);
                let got = bench.run(&p, &logits, &[], &state, 32);
                let want = twin(&p, &logits, &[], &state, 32);
                let tokens = got.ctl[ctl::LOG..].iter().zip(&want.ctl[ctl::LOG..]);
                let different = tokens.filter(|(a, b)| a != b).count();
                assert!(
                    different <= 1,
                    "top_k {top_k}, level {level}, top_p {}: {different} of 32 tokens differ",
                    p.top_p
                );
                cuts += 1;
            }
        }
    }
    assert!(cuts >= 20, "{cuts}");
}

#[test]
fn a_draft_is_followed_as_far_as_it_is_what_is_chosen() {
    let (n, stride, rows) = (300, 320, 4);
    let bench = Bench::new(rows * stride);
    // A row of logits for every step, each with another best token.
    let mut logits = vec![0.0; (rows * stride) as usize];
    for row in 0..rows {
        let (_, of_row) = shapes(n, 40 + u64::from(row)).swap_remove(1);
        logits[(row * stride) as usize..][..n as usize].copy_from_slice(&of_row);
    }
    let p = SampleParams::new(n, 0, 0.0, 0, 1.0, 0.0);
    let mut state = State::new(9, 50);
    state.ctl[ctl::LOGITS_STRIDE] = stride;
    let free = bench.run(&p, &logits, &[], &state, rows);
    assert_eq!(free, twin(&p, &logits, &[], &state, rows));
    let chosen = &free.ctl[ctl::LOG..][..rows as usize];
    assert!(chosen.windows(2).all(|w| w[0] != w[1]), "{chosen:?}");
    for right in 0..rows as usize {
        let mut drafted = state.clone();
        drafted.ctl[ctl::DRAFTED] = rows - 1;
        let draft = &mut drafted.ctl[ctl::LOG..][..rows as usize - 1];
        draft.copy_from_slice(&chosen[..rows as usize - 1]);
        if let Some(wrong) = draft.get_mut(right) {
            *wrong = (*wrong + 1) % n;
        }
        let got = bench.run(&p, &logits, &[], &drafted, rows);
        assert_eq!(got, twin(&p, &logits, &[], &drafted, rows));
        // What held, and the token chosen behind it.
        assert_eq!(got.ctl[ctl::STEP] as usize, right + 1);
        assert_eq!(got.ctl[ctl::LOG..][..=right], chosen[..=right]);
        assert_eq!(got.rows[..2], [chosen[right], 51 + right as u32]);
        assert_eq!(got.ctl[ctl::DONE], u32::from(right + 1 < rows as usize));
    }
}
