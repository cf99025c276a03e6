//! Which device is taken where the caller leaves the choice.

use crate::common::*;
use chord_runtime::{DeviceChoice, Engine, EngineOptions, Fault, Layout, Precision};

/// The engine answers as the reference does, on the CPU.
fn is_right_on_the_cpu(mut engine: Engine) {
    assert_eq!(engine.adapter().backend, "cpu");
    let prompt = reference(TINY, "deq").prompts.remove(0);
    let mut session = engine.new_session().unwrap();
    let done = generate(
        &mut engine,
        &mut session,
        &greedy(&prompt.prompt_ids, prompt.ids.len() as u32),
    );
    assert_eq!(done.tokens, prompt.ids);
}

#[test]
fn a_gpu_in_software_is_left_for_the_cpu_on_gpu() {
    gpu_only();
    let options = EngineOptions {
        device: DeviceChoice::Auto,
        ..exact()
    };
    let engine = load(TINY, &options);
    let reason = engine.device_reason();
    assert!(reason.ends_with("is software"), "{reason}");
    is_right_on_the_cpu(engine);
}

#[test]
fn a_gpu_in_software_that_is_asked_for_is_taken_on_gpu() {
    gpu_only();
    let options = EngineOptions {
        device: DeviceChoice::Auto,
        adapter: Some("0".into()),
        ..exact()
    };
    let engine = load(TINY, &options);
    assert_ne!(engine.adapter().backend, "cpu");
    assert_eq!(engine.device_reason(), "this adapter, as asked");
}

#[test]
fn a_gpu_whose_every_variant_is_wrong_gives_way_to_the_cpu_on_gpu() {
    gpu_only();
    let wrong = [Layout::RowPerThread, Layout::Lanes]
        .map(|layout| Fault::Products(layout, Precision::Exact));
    let options = EngineOptions {
        device: DeviceChoice::Auto,
        adapter: Some("0".into()),
        layout: Some(Layout::RowPerThread),
        faults: wrong.to_vec(),
        ..exact()
    };
    let engine = load(TINY, &options);
    let reason = engine.device_reason();
    assert!(
        reason.starts_with("the CPU: the kernels compute wrong results on adapter"),
        "{reason}"
    );
    is_right_on_the_cpu(engine);
}

#[test]
fn a_model_that_a_gpu_has_no_room_for_runs_on_the_cpu_on_gpu() {
    gpu_only();
    let no_memory = EngineOptions {
        device: DeviceChoice::Auto,
        adapter: Some("0".into()),
        faults: vec![Fault::Buffers],
        ..exact()
    };
    let engine = load(TINY, &no_memory);
    assert_eq!(
        engine.device_reason(),
        "the CPU: the device has no room for the model"
    );
    is_right_on_the_cpu(engine);
    let asked = EngineOptions {
        device: DeviceChoice::Gpu,
        ..no_memory
    };
    let error = pollster::block_on(Engine::load(&model(TINY), &asked, &NEVER, &mut |_| {}))
        .expect_err("there is no room");
    assert_eq!(error.code(), "E_GPU_OOM");
    assert!(error.help().contains("--device cpu"), "{}", error.help());
}

#[test]
fn the_cpu_computes_the_same_bits_on_any_number_of_threads_and_again() {
    let tokens = &reference(TINY, "deq").prompts[0].prompt_ids;
    for precision in [Precision::Fast, Precision::Exact] {
        let bits = |threads| -> Vec<u32> {
            let options = EngineOptions {
                device: DeviceChoice::Cpu,
                threads: Some(threads),
                precision,
                ..base()
            };
            let rows = eval(&mut load(TINY, &options), tokens, 32);
            rows.iter().flatten().map(|logit| logit.to_bits()).collect()
        };
        let first = bits(1);
        for threads in [2, 5, 2] {
            assert!(bits(threads) == first, "{precision:?} on {threads} threads");
        }
    }
}

#[test]
fn the_threads_of_the_cpu_are_those_asked_for() {
    for (threads, name) in [(1, "CPU, 1 thread"), (3, "CPU, 3 threads")] {
        let options = EngineOptions {
            device: DeviceChoice::Cpu,
            threads: Some(threads),
            ..exact()
        };
        let engine = load(TINY, &options);
        assert_eq!(engine.adapter().name, name);
        is_right_on_the_cpu(engine);
    }
}
