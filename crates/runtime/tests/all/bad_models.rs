//! Files that are wrong, and files that are merely small: what loading and generating say.

use crate::common::*;
use chord_gguf::TensorType;
use chord_gguf::write::{FileSpec, TensorSpec, WriteValue, tiny_llama};
use chord_runtime::{DeviceChoice, Engine, EngineOptions, Error, LoadProgress};
use std::sync::atomic::{AtomicBool, Ordering};

fn load_spec(spec: &FileSpec, options: &EngineOptions) -> Result<Engine, Error> {
    pollster::block_on(Engine::load(
        &Bytes(spec.to_bytes()),
        options,
        &NEVER,
        &mut |_| {},
    ))
}

/// Every refusal comes before a device is opened: no adapter has this name.
fn without_a_device() -> EngineOptions {
    EngineOptions {
        device: DeviceChoice::Gpu,
        adapter: Some("no adapter is called this".into()),
        ..EngineOptions::default()
    }
}

#[test]
fn refusals_come_before_any_device() {
    type Change = fn(&mut FileSpec);
    let cases: [(&str, Change); 6] = [
        ("E_ARCH", |s| {
            s.set("general.architecture", WriteValue::str("foo"));
        }),
        ("E_META_MISSING", |s| {
            s.remove("llama.block_count");
        }),
        ("E_MISSING_TENSOR", |s| {
            s.remove_tensor("blk.0.ffn_up.weight");
        }),
        ("E_PRETOKENIZER", |s| {
            s.set("tokenizer.ggml.pre", WriteValue::str("zzz"));
        }),
        ("E_MERGES", |s| {
            s.set("tokenizer.ggml.merges", WriteValue::strs(&["nospace"]));
        }),
        ("E_TEMPLATE_SYNTAX", |s| {
            s.set("tokenizer.chat_template", WriteValue::str("{% if %}"));
        }),
    ];
    for (code, change) in cases {
        let mut spec = tiny_llama();
        change(&mut spec);
        let error = load_spec(&spec, &without_a_device()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(!error.help().is_empty());
    }
    let error = load_spec(&tiny_llama(), &without_a_device()).unwrap_err();
    assert_eq!(
        error.code(),
        "E_NO_ADAPTER",
        "a good file gets as far as the device"
    );
    let cut = tiny_llama().to_bytes();
    let error = pollster::block_on(Engine::load(
        &Bytes(cut[..cut.len() - 1].to_vec()),
        &without_a_device(),
        &NEVER,
        &mut |_| {},
    ))
    .unwrap_err();
    assert_eq!(error.code(), "E_TRUNCATED");
}

#[test]
fn a_cancelled_load_ends_between_two_kernels() {
    let stages = std::cell::RefCell::new(Vec::new());
    let cancel = AtomicBool::new(false);
    let load = |at: fn(&LoadProgress) -> bool| {
        stages.borrow_mut().clear();
        cancel.store(false, Ordering::Relaxed);
        pollster::block_on(Engine::load(
            &Bytes(tiny_llama().to_bytes()),
            &exact_small(),
            &cancel,
            &mut |progress| {
                if at(&progress) {
                    cancel.store(true, Ordering::Relaxed);
                }
                stages.borrow_mut().push(progress);
            },
        ))
    };
    for at in [
        (|p| matches!(p, LoadProgress::Weights { done: 1.., .. })) as fn(&LoadProgress) -> bool,
        |p| matches!(p, LoadProgress::Pipelines { done: 3, .. }),
    ] {
        assert_eq!(load(at).unwrap_err().code(), "E_ABORTED");
        assert!(at(stages.borrow().last().expect("progress")));
    }
    assert!(load(|_| false).is_ok());
}

/// 4 heads of 8 values in groups of 2: neither a group nor K and V fill whole blocks of 32.
#[test]
fn a_model_smaller_than_a_block_runs_on_both() {
    let mut engine = load_spec(&tiny_llama(), &exact_small()).unwrap();
    let tokens = [1, 5, 3, 9, 2, 7];
    let whole = eval(&mut engine, &tokens, 32);
    assert_eq!((whole.len(), whole[0].len()), (6, 16));
    assert!(whole.iter().flatten().all(|l| l.is_finite()));
    assert!(worst(&whole, &eval(&mut engine, &tokens, 1)) < 1e-4);
    let mut session = engine.new_session().unwrap();
    let done = generate(&mut engine, &mut session, &greedy(&tokens, 4));
    assert_eq!(done.tokens.len(), 4);
    assert_eq!(done.tokens[0] as usize, argmax(&whole[5]));
}

fn exact_small() -> EngineOptions {
    EngineOptions {
        context: None,
        ..exact()
    }
}

#[test]
fn weights_that_are_not_numbers_end_with_e_nonfinite() {
    for (name, bad) in [
        ("blk.0.ffn_down.weight", f32::NAN),
        ("output_norm.weight", f32::INFINITY),
        ("token_embd.weight", f32::NAN),
    ] {
        let mut spec = tiny_llama();
        let tensor = spec.tensor_mut(name).unwrap();
        let (dims, n) = (tensor.dims.clone(), tensor.data.len() / 4);
        assert_eq!(tensor.type_id, TensorType::F32.id());
        spec.set_tensor(TensorSpec::f32(name, &dims, &vec![bad; n]));
        let mut engine = load_spec(&spec, &exact_small()).unwrap();
        let mut session = engine.new_session().unwrap();
        let request = greedy(&[1, 2, 3], 5);
        let error = pollster::block_on(session.generate(
            &mut engine,
            &request,
            &AtomicBool::new(false),
            &mut |_| {},
        ))
        .unwrap_err();
        assert_eq!(error.code(), "E_NONFINITE", "{name}");
    }
}

#[test]
fn a_lost_device_is_an_error_and_not_a_panic() {
    let mut engine = load(TINY, &exact());
    let mut session = engine.new_session().unwrap();
    generate(&mut engine, &mut session, &greedy(&[5, 6, 7], 3));
    (engine.device_destroyer())();
    let request = greedy(&[5, 6, 7, 8], 3);
    let error = pollster::block_on(session.generate(
        &mut engine,
        &request,
        &AtomicBool::new(false),
        &mut |_| {},
    ))
    .unwrap_err();
    assert_eq!(error.code(), "E_DEVICE_LOST", "{error}");
    assert_eq!(error.exit_class(), chord_runtime::ExitClass::Device);
}

#[test]
fn sinks_that_fill_the_context_are_refused() {
    let options = EngineOptions {
        context: Some(64),
        overflow: chord_runtime::Overflow::Ring { sink_pages: 2 },
        ..without_a_device()
    };
    assert_eq!(
        load_spec(&tiny_llama(), &options).unwrap_err().code(),
        "E_SINK_PAGES"
    );
}
