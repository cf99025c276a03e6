//! Attention whose pages are dealt out to splits answers as attention that is whole does, and each token is computed in the same
//! way however many share its submit; rows of a batch give what they give alone, however many share a workgroup.

use crate::common::*;
use chord_runtime::{EngineOptions, KvType, Overflow, Sampling, Splits};

/// Above the first page, and over fewer workgroups than there are pages, or more.
const SPLITS: [Splits; 2] = [
    Splits {
        workgroups: 6,
        above: 32,
        from: 32,
    },
    Splits {
        workgroups: 400,
        above: 64,
        from: 64,
    },
];
const WHOLE: Splits = Splits {
    workgroups: 1,
    above: 0,
    from: 0,
};

fn prompt() -> Vec<u32> {
    let run = reference(TINY, "deq").prompts.into_iter();
    run.map(|p| p.prompt_ids).max_by_key(Vec::len).unwrap()
}

/// `n` tokens after the prompt, greedily or with a seed, and the logits after the last of them.
fn answer(
    name: &str,
    options: &EngineOptions,
    splits: Splits,
    sampling: Sampling,
    n: u32,
) -> (Vec<u32>, Vec<f32>) {
    let options = EngineOptions {
        splits: Some(splits),
        ..options.clone()
    };
    let mut engine = load(name, &options);
    let mut session = engine.new_session().unwrap();
    let prompt = &prompt()[..20];
    let request = chord_runtime::GenerateRequest {
        sampling,
        ..greedy(prompt, n)
    };
    let ids = generate(&mut engine, &mut session, &request).tokens;
    assert_eq!(ids.len(), n as usize);
    let all = [prompt, &ids].concat();
    let logits = pollster::block_on(session.next_logits(&mut engine, &all)).unwrap();
    (ids, logits)
}

fn splits_answer_as_the_whole(name: &str, options: &EngineOptions, n: u32) {
    let (ids, logits) = answer(name, options, WHOLE, Sampling::greedy(), n);
    for splits in SPLITS {
        let (split_ids, split_logits) = answer(name, options, splits, Sampling::greedy(), n);
        assert_eq!(split_ids, ids, "{name} {splits:?}");
        let difference = worst(std::slice::from_ref(&logits), &[split_logits]);
        println!("{name} {splits:?}: logits differ by {difference:.1e}");
        assert!(difference < 1e-4, "{name} {splits:?}: {difference}");
        assert!(difference > 0.0, "{name} {splits:?} was not split");
    }
}

#[test]
fn tiny_in_splits_gives_the_same_ids_and_logits_on_both() {
    splits_answer_as_the_whole(TINY, &exact(), 100);
}

/// Grouped and other heads, biases, norms of heads, sinks, windows that are split and others that are not, caps.
#[test]
fn families_in_splits_give_the_same_ids_and_logits() {
    for name in [
        "v2k-qwen2-Q4_K_M",
        "v2k-qwen3-Q4_K_M",
        "v2k-llama-e288-Q4_K_M",
        "v2k-gemma2-Q4_K_M",
        "v2k-gemma3-Q4_K_M",
        "v2k-gpt-oss-MXFP4",
    ] {
        splits_answer_as_the_whole(name, &exact(), 60);
    }
}

#[test]
fn a_ring_with_sinks_in_splits_gives_the_same_ids_and_logits() {
    for name in [TINY, "v2k-gpt-oss-MXFP4"] {
        let options = EngineOptions {
            overflow: Overflow::Ring { sink_pages: 1 },
            context: Some(128),
            ..exact()
        };
        splits_answer_as_the_whole(name, &options, 200);
    }
}

#[test]
fn tokens_per_submit_change_no_bit_where_splits_begin() {
    let run = |tokens_per_submit| {
        let options = EngineOptions {
            tokens_per_submit: Some(tokens_per_submit),
            kv: KvType::F16,
            ..exact()
        };
        let sampling = Sampling {
            temperature: 1.5,
            seed: 7,
            ..Sampling::default()
        };
        answer(TINY, &options, SPLITS[0], sampling, 50)
    };
    let one = run(1);
    for tokens_per_submit in [3, 16] {
        let (ids, logits) = run(tokens_per_submit);
        assert_eq!(ids, one.0);
        assert_eq!(logits, one.1);
    }
}

#[test]
fn a_profile_shows_which_form_of_attention_ran() {
    let options = EngineOptions {
        splits: Some(SPLITS[0]),
        ..exact()
    };
    let mut engine = load(TINY, &options);
    let tokens: Vec<u32> = (100..140).collect();
    // Tokens at 28 to 39 one by one.
    let profile = pollster::block_on(engine.profile(&tokens, 0, 12)).unwrap();
    let [_, decode] = &profile.phases;
    let ran = |name: &str| -> Vec<u32> {
        let slices = decode.slices.iter();
        let slices = slices.filter(|slice| decode.steps[slice.step].name == name);
        slices.map(|slice| slice.pass).collect()
    };
    assert_eq!(ran("layer1.attention"), [0, 1, 2, 3]);
    for name in ["layer1.attention_split", "layer1.attention_reduce"] {
        assert_eq!(ran(name), (4..12).collect::<Vec<_>>(), "{name}");
    }
    for name in ["embed", "layer1.down", "head", "sample"] {
        assert_eq!(ran(name), (0..12).collect::<Vec<_>>(), "{name}");
    }
}

/// In a ring that has gone round as well, with sinks and with windows.
#[test]
fn rows_that_share_a_workgroup_give_what_they_give_alone() {
    let ring = EngineOptions {
        overflow: Overflow::Ring { sink_pages: 1 },
        context: Some(128),
        ..exact()
    };
    for (name, options) in [
        (TINY, ring.clone()),
        ("v2k-gemma2-Q4_K_M", ring),
        (TINY, exact()),
    ] {
        let tokens: Vec<u32> = (0..210).map(|i| 100 + i * 7 % 300).collect();
        let logits = |cols| {
            let options = EngineOptions {
                attention_cols: Some(cols),
                ..options.clone()
            };
            eval(&mut load(name, &options), &tokens, 29)
        };
        let alone = logits(1);
        for cols in [2, 8] {
            let difference = worst(&alone, &logits(cols));
            println!("{name}: {cols} rows a workgroup differ by {difference:.1e}");
            assert!(difference < 1e-4, "{name}: {difference}");
        }
    }
}
