//! The same tokens whoever chooses them, however many go into a submit, and in whichever thread layout.

use crate::common::*;
use chord_runtime::{EngineOptions, GenerateRequest, Layout, Precision, Sampling};

fn prompt(name: &str, which: &str) -> Prompt {
    reference(name, "deq")
        .prompts
        .into_iter()
        .find(|p| p.name == which)
        .unwrap()
}

/// The requests' answers, each from a session that begins empty.
fn answers(name: &str, options: &EngineOptions, requests: &[GenerateRequest]) -> Vec<Vec<u32>> {
    let mut engine = load(
        name,
        &EngineOptions {
            context: Some(256),
            ..options.clone()
        },
    );
    let mut session = engine.new_session().unwrap();
    let mut answer = |request| {
        session.clear(&mut engine);
        generate(&mut engine, &mut session, request).tokens
    };
    requests.iter().map(&mut answer).collect()
}

fn sampled(prompt: &[u32], n: u32, sampling: Sampling) -> GenerateRequest {
    GenerateRequest {
        sampling,
        ..greedy(prompt, n)
    }
}

const SEEDS: [u64; 3] = [1, 2, u64::MAX];

/// Greedy, and drawn with every filter, with other seeds and with none of the filters.
fn requests(prompt: &[u32], n: u32, seeds: &[u64]) -> Vec<GenerateRequest> {
    let filters = Sampling {
        temperature: 1.5,
        top_k: 50,
        top_p: 0.9,
        min_p: 0.01,
        ..Sampling::default()
    };
    let plain = Sampling {
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        ..filters
    };
    let mut all = vec![greedy(prompt, n)];
    for seed in seeds {
        let seed = *seed;
        all.push(sampled(prompt, n, Sampling { seed, ..filters }));
        all.push(sampled(prompt, n, Sampling { seed, ..plain }));
    }
    all
}

fn submits_change_nothing(name: &str, requests: &[GenerateRequest], others: &[Option<u32>]) {
    let one = answers(
        name,
        &EngineOptions {
            tokens_per_submit: Some(1),
            ..exact()
        },
        requests,
    );
    for (i, a) in one.iter().enumerate() {
        assert_eq!(a.len() as u32, requests[i].max_tokens.unwrap());
        assert!(
            one[..i].iter().all(|b| a != b),
            "each setting and seed gives another answer"
        );
    }
    for tokens_per_submit in others {
        let options = EngineOptions {
            tokens_per_submit: *tokens_per_submit,
            ..exact()
        };
        assert_eq!(
            answers(name, &options, requests),
            one,
            "{tokens_per_submit:?} tokens per submit"
        );
    }
}

#[test]
fn tiny_any_number_of_tokens_per_submit_gives_the_same_ids() {
    submits_change_nothing(
        TINY,
        &requests(&prompt(TINY, "code").prompt_ids, 40, &SEEDS),
        &[Some(1), Some(4), Some(16), None],
    );
}

#[test]
fn smollm2_any_number_of_tokens_per_submit_gives_the_same_ids() {
    let requests = requests(&prompt(SMOL, "capital").prompt_ids, 6, &SEEDS[..1]);
    submits_change_nothing(SMOL, &requests, &[Some(4)]);
}

/// The default precision repeats as well, from load to load and in one engine.
#[test]
fn tiny_a_seeded_run_repeats_bit_for_bit() {
    let p = prompt(TINY, "chat");
    let fast = EngineOptions {
        precision: Precision::Fast,
        ..exact()
    };
    let twice: Vec<_> = [
        requests(&p.prompt_ids, 40, &SEEDS),
        requests(&p.prompt_ids, 40, &SEEDS),
    ]
    .concat();
    let first = answers(TINY, &fast, &twice);
    assert_eq!(first[..twice.len() / 2], first[twice.len() / 2..]);
    assert_eq!(answers(TINY, &fast, &twice), first);
}

/// A penalty too small to move any f32 logit sends the choice through the host's sampler.
fn host_sampler_equals_device_sampler(name: &str, device: &[GenerateRequest]) {
    let mut host = device.to_vec();
    for request in &mut host {
        request.sampling.presence_penalty = 1e-30;
        assert!(request.sampling.needs_cpu());
    }
    assert_eq!(
        answers(name, &exact(), &host),
        answers(name, &exact(), device)
    );
}

#[test]
fn tiny_the_host_sampler_chooses_what_the_device_chooses() {
    host_sampler_equals_device_sampler(
        TINY,
        &requests(&prompt(TINY, "unicode").prompt_ids, 40, &SEEDS),
    );
}

#[test]
fn smollm2_the_host_sampler_chooses_what_the_device_chooses() {
    host_sampler_equals_device_sampler(
        SMOL,
        &requests(&prompt(SMOL, "capital").prompt_ids, 4, &SEEDS[..1]),
    );
}

#[test]
fn penalties_see_the_prompt_and_the_answer() {
    // A presence penalty beyond any logit: no token of the last 64 comes again.
    let p = prompt(TINY, "code").prompt_ids;
    let sampling = Sampling {
        presence_penalty: 100.0,
        ..Sampling::greedy()
    };
    let answer = answers(TINY, &exact(), &[sampled(&p, 36, sampling)]).remove(0);
    let all = [p, answer].concat();
    assert_eq!(all.len(), 64);
    for (i, id) in all.iter().enumerate().skip(28) {
        assert!(!all[..i].contains(id), "{id} at {i} has been there");
    }
}

#[test]
fn every_layout_gives_the_reference_ids_on_gpu_on_both() {
    gpu_only();
    // A subgroup must hold a row's lanes: 8 of them on lavapipe, 4 on SwiftShader, where barriers take long.
    let lavapipe = load(TINY, &exact()).adapter().name.contains("llvmpipe");
    let (split, n) = if lavapipe { (8, 48) } else { (4, 16) };
    let prompts = ["code", "unicode", "chat", "single"].map(|which| prompt(TINY, which));
    let requests = prompts.each_ref().map(|p| greedy(&p.prompt_ids, n));
    let expected: Vec<_> = prompts
        .iter()
        .map(|p| p.ids[..n as usize].to_vec())
        .collect();
    // What software adapters take by themselves, a row per thread, is what the other tests run.
    for layout in [Layout::Lanes, Layout::LanesSubgroup { split }] {
        let exact = EngineOptions {
            layout: Some(layout),
            ..exact()
        };
        assert_eq!(answers(TINY, &exact, &requests), expected, "{layout:?}");
        // A logit that is not finite would be an error.
        let fast = EngineOptions {
            precision: Precision::Fast,
            ..exact
        };
        for answer in answers(TINY, &fast, &requests) {
            assert_eq!(answer.len(), n as usize, "{layout:?}");
        }
    }
}
