//! The sampler's first step: the largest key of every 64 logits.

use super::bench::{Bench, State};
use chord_kernels::sample::{CHUNK, NOT_FINITE, SampleParams, ctl, uniform};

/// By definition: keys are the floats' order as whole numbers, both zeros the same.
fn expected(logits: &[f32]) -> Vec<u32> {
    let key = |x: f32| {
        if !x.is_finite() {
            return NOT_FINITE;
        }
        let magnitude = x.abs().to_bits();
        match x < 0.0 {
            true => 0x7fff_ffff - magnitude,
            false => 0x8000_0000 + magnitude,
        }
    };
    let top = |chunk: &[f32]| chunk.iter().map(|x| key(*x)).max().unwrap();
    logits.chunks(CHUNK).map(top).collect()
}

/// What both forms of the step give.
fn both(tops: Vec<u32>) -> [Vec<u32>; 2] {
    [tops.clone(), tops]
}

/// Of both signs, with a chunk of zeros, one of -0, one of the most negative number, and one whose best is -0.
fn logits(n: u32) -> Vec<f32> {
    let value = |i: u32| match i / CHUNK as u32 % 7 {
        1 => [0.0, -0.0][i as usize % 2],
        2 => -0.0,
        3 => f32::MIN,
        4 if i.is_multiple_of(64) => -0.0,
        4 => -uniform(9, i) - 0.5,
        5 => -uniform(9, i) * f32::MIN_POSITIVE,
        _ => (uniform(9, i) - 0.5) * 40.0,
    };
    (0..n).map(value).collect()
}

fn greedy(n: u32) -> SampleParams {
    SampleParams::new(n, 0, 0.0, 40, 0.95, 0.05)
}

#[test]
fn tops_are_the_largest_keys() {
    for n in [1, 2, 63, 64, 65, 447, 2047, 2048, 2049, 5000, 50_257] {
        let bench = Bench::new(n);
        let (logits, state) = (logits(n), State::new(1, 1));
        let got = bench.tops(&greedy(n), &logits, &state, 7);
        assert_eq!(got, both(expected(&logits)), "{n} logits");
    }
}

#[test]
fn a_logit_that_is_not_finite_marks_its_chunk_and_no_other() {
    let n = 2048 + 70;
    let bench = Bench::new(n);
    let clean = logits(n);
    let bits = [0x7f80_0000, 0xff80_0000, 0x7f80_0001, u32::MAX, 0x7fc0_0000];
    for bits in bits {
        for at in [0, 63, 64, 100, 1999, 2047, 2048, 2111, 2112, 2117] {
            let mut logits = clean.clone();
            logits[at] = f32::from_bits(bits);
            let got = bench.tops(&greedy(n), &logits, &State::new(1, 1), 7);
            let want = expected(&logits);
            assert_eq!(want[at / CHUNK], NOT_FINITE);
            assert_eq!(got, both(want), "{bits:x} at {at}");
        }
    }
    // The largest finite numbers are none of those.
    let mut logits = clean;
    (logits[5], logits[70]) = (f32::MAX, f32::MIN);
    let got = bench.tops(&greedy(n), &logits, &State::new(1, 1), 7);
    assert_eq!(got, both(expected(&logits)));
}

#[test]
fn tops_are_of_the_steps_own_logits_and_stop_with_the_generation() {
    let (n, stride) = (300, 320);
    let bench = Bench::new(4 * stride);
    let rows = logits(4 * stride);
    let mut state = State::new(1, 1);
    state.ctl[ctl::LOGITS_STRIDE] = stride;
    for step in 0..4 {
        state.ctl[ctl::STEP] = step;
        let got = bench.tops(&greedy(n), &rows, &state, 7);
        let own = &rows[(step * stride) as usize..][..n as usize];
        let mut want = expected(own);
        want.resize(got[0].len(), 7);
        assert_eq!(got, both(want), "step {step}");
    }
    state.ctl[ctl::DONE] = 1;
    let got = bench.tops(&greedy(n), &rows, &state, 7);
    assert!(got.iter().flatten().all(|top| *top == 7), "{got:?}");
}
