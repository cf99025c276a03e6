//! Sampling settings: ranges, penalties by llama.cpp's formulas, and the whole chain on the CPU.

use chord_model::config::SamplingRange;
use chord_runtime::sampler::{Sampling, penalize, sample};

#[test]
fn defaults_are_valid_and_need_no_cpu() {
    let s = Sampling::default();
    assert_eq!(s.validate(), Ok(()));
    assert_eq!(
        (s.temperature, s.top_k, s.top_p, s.min_p),
        (0.8, 40, 0.95, 0.05)
    );
    assert!(!s.needs_cpu());
    assert!(
        Sampling {
            repeat_penalty: 1.1,
            ..s
        }
        .needs_cpu()
    );
    assert!(
        Sampling {
            presence_penalty: -0.5,
            ..s
        }
        .needs_cpu()
    );
    assert!(
        Sampling {
            frequency_penalty: 0.5,
            ..s
        }
        .needs_cpu()
    );
    // Penalties that look at nothing leave the device its work.
    assert!(
        !Sampling {
            repeat_penalty: 1.1,
            repeat_last_n: 0,
            ..s
        }
        .needs_cpu()
    );
}

/// Whatever the header of a file or a flag may hold is a valid request, and nothing more.
#[test]
fn a_request_takes_exactly_the_range_of_files_and_flags() {
    type Set = fn(&mut Sampling, f32);
    let settings: [(SamplingRange, Set); 4] = [
        (SamplingRange::TEMPERATURE, |s, v| s.temperature = v),
        (SamplingRange::TOP_P, |s, v| s.top_p = v),
        (SamplingRange::MIN_P, |s, v| s.min_p = v),
        (SamplingRange::REPEAT_PENALTY, |s, v| s.repeat_penalty = v),
    ];
    for (range, set) in settings {
        for value in [
            range.min,
            range.max,
            range.min.next_down(),
            range.max.next_up(),
            f32::NAN,
        ] {
            let mut s = Sampling::default();
            set(&mut s, value);
            assert_eq!(
                s.validate().is_ok(),
                range.contains(value),
                "{} {value}",
                range.name
            );
        }
    }
}

#[test]
fn every_range_is_checked_and_named() {
    type Set = fn(&mut Sampling, f32);
    let settings: [(&str, Set, f32, f32); 6] = [
        ("temperature", |s, v| s.temperature = v, 0.0, 100.0),
        ("top_p", |s, v| s.top_p = v, 0.0, 1.0),
        ("min_p", |s, v| s.min_p = v, 0.0, 1.0),
        ("repeat_penalty", |s, v| s.repeat_penalty = v, 0.01, 100.0),
        (
            "presence_penalty",
            |s, v| s.presence_penalty = v,
            -100.0,
            100.0,
        ),
        (
            "frequency_penalty",
            |s, v| s.frequency_penalty = v,
            -100.0,
            100.0,
        ),
    ];
    for (name, set, min, max) in settings {
        let with = |value| {
            let mut s = Sampling::default();
            set(&mut s, value);
            s.validate()
        };
        assert_eq!((with(min), with(max)), (Ok(()), Ok(())), "{name}");
        for bad in [
            min - 0.5,
            max + 0.5,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
        ] {
            let error = with(bad).unwrap_err();
            assert_eq!((error.name, error.code()), (name, "E_SAMPLING"));
            let text = error.to_string();
            assert!(
                text.contains(name)
                    && text.contains(&min.to_string())
                    && text.contains(&max.to_string()),
                "{text}"
            );
            assert!(error.help().contains(name));
        }
    }
}

#[test]
fn penalties_follow_the_formulas() {
    let s = Sampling {
        repeat_penalty: 2.0,
        presence_penalty: 0.25,
        frequency_penalty: 0.5,
        ..Sampling::default()
    };
    let mut logits = [4.0, -4.0, 0.0, 8.0, 1.0];
    // Token 0 twice, 1 once, 2 three times; 9 is not in the vocabulary.
    penalize(&mut logits, &[0, 1, 2, 2, 9, 0, 2], &s);
    assert_eq!(
        logits,
        [
            4.0 / 2.0 - 2.0 * 0.5 - 0.25,
            -4.0 * 2.0 - 0.5 - 0.25,
            -3.0 * 0.5 - 0.25,
            8.0,
            1.0
        ]
    );
}

#[test]
fn only_the_last_tokens_count() {
    let s = Sampling {
        presence_penalty: 1.0,
        ..Sampling::default()
    };
    let mut history = vec![0];
    history.extend(std::iter::repeat_n(1, 64));
    let mut logits = [5.0, 5.0, 5.0];
    penalize(&mut logits, &history, &s);
    assert_eq!(logits, [5.0, 4.0, 5.0]);
    let mut logits = [5.0, 5.0, 5.0];
    penalize(&mut logits, &history[..64], &s);
    assert_eq!(logits, [4.0, 4.0, 5.0]);
    let mut logits = [5.0, 5.0, 5.0];
    penalize(&mut logits, &[], &s);
    assert_eq!(logits, [5.0; 3]);
    for (repeat_last_n, want) in [
        (0, [5.0; 3]),
        (3, [5.0, 4.0, 5.0]),
        (65, [4.0, 4.0, 5.0]),
        (u32::MAX, [4.0, 4.0, 5.0]),
    ] {
        let mut logits = [5.0; 3];
        penalize(&mut logits, &history, &Sampling { repeat_last_n, ..s });
        assert_eq!(logits, want, "the last {repeat_last_n}");
    }
}

#[test]
fn penalties_come_before_the_filters() {
    // Without the penalty token 0 wins; with it, token 1; greedy shows the order of the two.
    let s = Sampling {
        presence_penalty: 3.0,
        ..Sampling::greedy()
    };
    assert_eq!(sample(&mut [5.0, 4.0, 0.0], &[], &s, 1), Ok(0));
    assert_eq!(sample(&mut [5.0, 4.0, 0.0], &[0], &s, 1), Ok(1));
    // top-k 1 keeps the best of the penalised logits.
    let s = Sampling {
        temperature: 1.0,
        top_k: 1,
        ..s
    };
    for position in 0..20 {
        assert_eq!(sample(&mut [5.0, 4.0, 0.0], &[0], &s, position), Ok(1));
    }
}

#[test]
fn neutral_penalties_change_nothing() {
    let s = Sampling {
        temperature: 1.0,
        ..Sampling::default()
    };
    let logits: Vec<f32> = (0..50).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
    for position in 0..100 {
        let mut changed = logits.clone();
        let a = sample(&mut changed, &[1, 2, 3], &s, position).unwrap();
        assert_eq!(changed, logits);
        assert_eq!(a, sample(&mut changed, &[], &s, position).unwrap());
    }
}

#[test]
fn seeds_and_positions_decide_the_draw() {
    let s = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        seed: 5,
        ..Sampling::default()
    };
    let run = |s: &Sampling| {
        (0..64)
            .map(|position| sample(&mut [0.0; 32], &[], s, position).unwrap())
            .collect::<Vec<u32>>()
    };
    assert_eq!(run(&s), run(&s));
    assert_ne!(run(&s), run(&Sampling { seed: 6, ..s }));
    assert_ne!(
        run(&s),
        run(&Sampling {
            seed: 5 | 1 << 40,
            ..s
        })
    );
}

#[test]
fn broken_logits_are_an_error() {
    let s = Sampling {
        repeat_penalty: 1.5,
        ..Sampling::default()
    };
    let error = sample(&mut [0.0, f32::NAN], &[1], &s, 0).unwrap_err();
    assert_eq!(error.code(), "E_NONFINITE");
    assert_eq!(
        sample(&mut [], &[1], &s, 0).unwrap_err().code(),
        "E_NO_LOGITS"
    );
}
