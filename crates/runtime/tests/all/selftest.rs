//! The self-test at load: what it covers, and what follows when a variant of the kernels is wrong.

use crate::common::*;
use chord_model::GraphOptions;
use chord_runtime::{Engine, EngineOptions, Error, ExitClass, Fault, Layout, Precision, Splits};
use std::collections::BTreeSet;

const LAYOUTS: [Layout; 2] = [Layout::RowPerThread, Layout::Lanes];

fn options(precision: Precision, faults: &[Fault]) -> EngineOptions {
    EngineOptions {
        precision,
        layout: Some(Layout::RowPerThread),
        faults: faults.to_vec(),
        ..exact()
    }
}

/// Greedy ids of the first prompt, and the reference's.
fn ids(engine: &mut Engine) -> (Vec<u32>, Vec<u32>) {
    let prompt = reference(TINY, "deq").prompts.remove(0);
    let mut session = engine.new_session().unwrap();
    let n = prompt.ids.len().min(16);
    let request = greedy(&prompt.prompt_ids, n as u32);
    let done = generate(engine, &mut session, &request);
    (done.tokens, prompt.ids[..n].to_vec())
}

/// Distinct pipelines of products, KV writes and attention in a plan.
fn pipelines(name: &str, taps: bool, exact: bool, splits: Option<Splits>) -> usize {
    let options = GraphOptions {
        exact,
        taps,
        splits,
        ..graph_options()
    };
    let (plan, _) = plan_of(name, &options);
    let steps = plan.prefill.iter().chain(&plan.decode).chain(&plan.head);
    let shaders: BTreeSet<_> = steps.map(|s| s.kernel.shader()).collect();
    let tested = [
        "matmul",
        "kv_write",
        "attention",
        "attention_reduce",
        "post_norm",
        "route",
    ];
    shaders
        .iter()
        .filter(|s| tested.contains(&s.kernel))
        .count()
}

#[test]
fn every_product_and_attention_kernel_of_the_plan_is_tested() {
    plans_are_tested(&[TINY, "v2k-llama-e288-Q4_K_M"], &[false, true]);
}

#[test]
fn every_kernel_of_a_plan_is_tested_on_both() {
    plans_are_tested(&[TINY], &[false]);
}

fn plans_are_tested(names: &[&str], with_taps: &[bool]) {
    for &name in names {
        for precision in [Precision::Fast, Precision::Exact] {
            for &taps in with_taps {
                let options = EngineOptions {
                    taps,
                    ..options(precision, &[])
                };
                let engine = load(name, &options);
                let report = engine.self_test();
                let want = pipelines(name, taps, precision == Precision::Exact, None);
                assert!(want >= 8, "{want}");
                assert_eq!(report.checks as usize, want, "{name} {precision:?} {taps}");
                assert_eq!(report.fallbacks, [""; 0]);
                let described = described(&engine, "self-test");
                assert_eq!(described, format!("passed ({want} checks)"));
            }
        }
    }
}

const SPLITS: Splits = Splits {
    workgroups: 8,
    above: 0,
    from: 0,
};

#[test]
fn attention_in_splits_is_tested_where_it_is_used() {
    for precision in [Precision::Fast, Precision::Exact] {
        let options = EngineOptions {
            splits: Some(SPLITS),
            ..options(precision, &[])
        };
        let exact = precision == Precision::Exact;
        let [whole, split] = [None, options.splits].map(|s| pipelines(TINY, false, exact, s));
        assert_eq!(split, whole + 2, "the splits, and what puts them together");
        assert_eq!(load(TINY, &options).self_test().checks as usize, split);
    }
}

#[test]
fn splits_that_are_wrong_give_way_to_attention_that_is_whole_on_gpu() {
    gpu_only();
    let options = EngineOptions {
        splits: Some(SPLITS),
        ..options(Precision::Exact, &[Fault::Splits])
    };
    let mut engine = load(TINY, &options);
    assert_eq!(described(&engine, "attention"), "whole");
    assert_eq!(described(&engine, "layout"), "RowPerThread");
    let said = described(&engine, "self-test");
    assert!(said.starts_with("row-per-thread exact wrong by "), "{said}");
    assert!(
        said.ends_with("splits: using attention that is not split"),
        "{said}"
    );
    let (ours, theirs) = ids(&mut engine);
    assert_eq!(ours, theirs);
}

#[test]
fn a_wrong_layout_is_left_for_the_next_and_the_ids_stay_right_on_gpu() {
    gpu_only();
    for precision in [Precision::Exact, Precision::Fast] {
        let faults = [Fault::Products(Layout::RowPerThread, precision)];
        let mut engine = load(TINY, &options(precision, &faults));
        assert_eq!(described(&engine, "layout"), "Lanes");
        let said = described(&engine, "self-test");
        let name = if precision == Precision::Exact {
            "exact"
        } else {
            "fast"
        };
        assert!(
            said.starts_with(&format!("row-per-thread {name} wrong by ")),
            "{said}"
        );
        assert!(said.ends_with(&format!(": using lanes {name}")), "{said}");
        assert_eq!(engine.self_test().fallbacks, [said]);
        assert_eq!(described(&engine, "precision"), name);
        if precision == Precision::Exact {
            let (ours, theirs) = ids(&mut engine);
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn int8_that_is_wrong_in_every_layout_gives_way_to_exact_operands_on_gpu() {
    gpu_only();
    let faults = LAYOUTS.map(|l| Fault::Products(l, Precision::Fast));
    let mut engine = load(TINY, &options(Precision::Fast, &faults));
    assert_eq!(described(&engine, "layout"), "RowPerThread");
    assert_eq!(described(&engine, "precision"), "exact");
    let fallbacks = engine.self_test().fallbacks.clone();
    assert_eq!(fallbacks.len(), 2);
    assert!(fallbacks[1].starts_with("lanes fast wrong by "));
    assert!(fallbacks[1].ends_with(": using row-per-thread exact"));
    let (ours, theirs) = ids(&mut engine);
    assert_eq!(ours, theirs, "as loaded with exact operands");
}

#[test]
fn a_gpu_that_is_asked_for_and_has_no_right_variant_is_refused_on_gpu() {
    gpu_only();
    let faults = LAYOUTS.map(|l| Fault::Products(l, Precision::Exact));
    let options = options(Precision::Exact, &faults);
    let error = pollster::block_on(Engine::load(&model(TINY), &options, &NEVER, &mut |_| {}))
        .expect_err("every layout is wrong");
    assert_eq!(error.code(), "E_SELF_TEST");
    assert_eq!(error.exit_class(), ExitClass::NoAdapter);
    assert!(error.help().contains("driver"), "{}", error.help());
    let Error::SelfTest { what, .. } = error else {
        panic!("{error}")
    };
    assert!(what.contains("row-per-thread exact wrong") && what.contains("; lanes exact wrong"));
}
