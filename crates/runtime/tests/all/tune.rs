//! Variants of the kernels measured at load: kept for the next time, tested like any other, and never a reason for another answer.

use crate::common::*;
use chord_runtime::{Engine, EngineOptions, Fault, Layout, Precision, Splits};
use std::path::PathBuf;
use std::time::Duration;

/// With time for everything, however slow the machine is at the moment.
fn options() -> EngineOptions {
    EngineOptions {
        tune: Some(true),
        tune_budget: Some(Duration::from_secs(600)),
        tiled_rows: Some(128),
        ..exact()
    }
}

fn why(engine: &Engine) -> String {
    described(engine, "why this variant")
}

/// A folder of the test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("chord-tune-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn answers_as_the_reference(engine: &mut Engine) {
    let run = reference(TINY, "deq");
    for prompt in &run.prompts[..2] {
        let n = prompt.ids.len().min(12);
        let mut session = engine.new_session().unwrap();
        let request = greedy(&prompt.prompt_ids, n as u32);
        let done = generate(engine, &mut session, &request);
        assert_eq!(done.tokens, prompt.ids[..n], "{}", prompt.name);
        session.close(engine);
    }
}

#[test]
fn what_was_measured_is_kept_and_answers_stay_right_on_gpu() {
    gpu_only();
    let folder = folder("kept");
    let options = EngineOptions {
        kernel_cache: Some(folder.clone()),
        ..options()
    };
    let mut first = load(TINY, &options);
    let said = why(&first);
    assert!(said.starts_with("measured in "), "{said}");
    for measured in [
        "row-per-thread",
        "64 rows by columns",
        "128 rows by tile",
        "attention of",
    ] {
        assert!(said.contains(measured), "{said}");
    }
    answers_as_the_reference(&mut first);
    let mut second = load(TINY, &options);
    assert_eq!(why(&second), "measured by an earlier run");
    assert_eq!(described(&second, "variant"), described(&first, "variant"));
    assert_eq!(second.tuned(), first.tuned());
    answers_as_the_reference(&mut second);
    // Another model is measured by itself, and what the caller kept does without a folder.
    let other = load("v2k-qwen3-Q4_K_M", &options);
    assert!(why(&other).starts_with("measured in "), "{}", why(&other));
    let handed_in = EngineOptions {
        kernel_cache: None,
        tuned: first.tuned().map(String::from),
        ..options
    };
    assert_eq!(why(&load(TINY, &handed_in)), "measured by an earlier run");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_load_without_time_leaves_the_rest_to_the_next_but_not_for_ever_on_gpu() {
    gpu_only();
    let mut options = EngineOptions {
        tune_budget: Some(Duration::ZERO),
        ..options()
    };
    let suggested = described(
        &load(
            TINY,
            &EngineOptions {
                tune: None,
                ..options.clone()
            },
        ),
        "variant",
    );
    let mut texts = Vec::new();
    for _ in 0..3 {
        let engine = load(TINY, &options);
        assert!(why(&engine).starts_with("measured in "), "{}", why(&engine));
        assert_eq!(described(&engine, "variant"), suggested);
        options.tuned = engine.tuned().map(String::from);
        texts.push(options.tuned.clone().unwrap());
    }
    let mut endings = (1..).zip(&texts);
    assert!(endings.all(|(n, text)| text.ends_with(&format!("{suggested} unfinished {n}"))));
    assert_eq!(why(&load(TINY, &options)), "measured by an earlier run");
    // Given time, it is done.
    let with_time = EngineOptions {
        tune_budget: self::options().tune_budget,
        tuned: Some(texts.swap_remove(0)),
        ..options
    };
    let engine = load(TINY, &with_time);
    assert!(why(&engine).contains("attention of"), "{}", why(&engine));
    assert!(!engine.tuned().unwrap().contains("unfinished"));
}

/// Where attention can be split, it is measured from when on it is.
#[test]
fn when_attention_is_split_is_measured_on_gpu() {
    gpu_only();
    let options = EngineOptions {
        layout: Some(Layout::RowPerThread),
        attention_cols: Some(1),
        tiled_rows: Some(0),
        context: Some(1024),
        splits: Some(Splits {
            workgroups: 64,
            above: 64,
            from: 64,
        }),
        ..options()
    };
    let engine = load(TINY, &options);
    let said = why(&engine);
    assert!(said.contains("attention behind 96 tokens whole"), "{said}");
    assert!(said.contains("attention behind 96 tokens split"), "{said}");
}

#[test]
fn a_file_that_is_damaged_is_measured_again_and_mended_on_gpu() {
    gpu_only();
    let folder = folder("damaged");
    let options = EngineOptions {
        kernel_cache: Some(folder.clone()),
        ..options()
    };
    let tuned = load(TINY, &options).tuned().unwrap().to_owned();
    let files = || {
        let entries = std::fs::read_dir(&folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let texts = paths.filter(|path| path.extension().is_some_and(|e| e == "txt"));
        texts.collect::<Vec<_>>()
    };
    let [file] = &files()[..] else {
        panic!("one file of one measurement: {:?}", files());
    };
    std::fs::write(file, "\u{fffd} nonsense").unwrap();
    let again = load(TINY, &options);
    assert!(why(&again).starts_with("measured in "), "{}", why(&again));
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(Some(text.trim_end()), again.tuned());
    assert_eq!(text.split(' ').next(), tuned.split(' ').next(), "the key");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_variant_that_fails_the_self_test_is_not_used_on_gpu() {
    gpu_only();
    let suggested = EngineOptions {
        tiled_rows: Some(0),
        ..options()
    };
    let tuned = load(TINY, &suggested).tuned().unwrap().to_owned();
    let key = tuned.split(' ').next().unwrap();
    let lanes = EngineOptions {
        tuned: Some(format!("{key} lanes columns 0 attention 8 split 0")),
        ..suggested.clone()
    };
    let kept = load(TINY, &lanes);
    assert_eq!(described(&kept, "layout"), "Lanes");
    // No kernel is compiled of what is only suggested.
    let asked = EngineOptions {
        layout: Some(Layout::Lanes),
        attention_cols: Some(8),
        tune: None,
        ..suggested.clone()
    };
    let pipelines = |engine: &Engine| engine.counters().pipelines;
    assert_eq!(pipelines(&kept), pipelines(&load(TINY, &asked)));
    let spoilt = EngineOptions {
        faults: vec![Fault::Products(Layout::Lanes, Precision::Exact)],
        ..lanes
    };
    let mut engine = load(TINY, &spoilt);
    assert_eq!(described(&engine, "layout"), "RowPerThread");
    let said = why(&engine);
    assert!(
        said.starts_with("lanes columns 0 attention 8 split 0 fails the self-test"),
        "{said}"
    );
    answers_as_the_reference(&mut engine);
}

#[test]
fn a_mixture_of_experts_answers_the_same_by_tiles_or_not_on_gpu() {
    gpu_only();
    let model = "v2k-qwen3moe-Q4_K_M";
    let options = EngineOptions {
        layout: Some(Layout::RowPerThread),
        ..options()
    };
    let measured = load(model, &options);
    let said = why(&measured);
    assert!(said.contains("64 rows by tile"), "{said}");
    let key = measured
        .tuned()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let ids = |tiles: &str| {
        let variant = format!("row-per-thread {tiles} attention 8 split 0");
        let tuned = EngineOptions {
            tuned: Some(format!("{key} {variant}")),
            ..options.clone()
        };
        let mut engine = load(model, &tuned);
        assert_eq!(described(&engine, "variant"), variant);
        let prompt: Vec<u32> = (0..90).map(|i| 20 + i * i % 200).collect();
        let mut session = engine.new_session().unwrap();
        generate(&mut engine, &mut session, &greedy(&prompt, 12)).tokens
    };
    assert_eq!(ids("tile 24"), ids("columns 0"));
}

#[test]
fn software_and_the_cpu_are_not_measured_unless_asked() {
    let engine = load(TINY, &exact());
    assert_eq!(why(&engine), "not measured here");
    assert_eq!(engine.tuned(), None);
}
