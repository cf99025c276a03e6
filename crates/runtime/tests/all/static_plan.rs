//! After loading nothing is created, and what a token costs is known: counted, so the same on every machine.

use crate::common::*;
use chord_runtime::{Counters, DeviceChoice, Engine, EngineOptions, Session};

fn prompt(name: &str) -> Vec<u32> {
    reference(name, "deq")
        .prompts
        .into_iter()
        .find(|p| p.name == "capital")
        .unwrap()
        .prompt_ids
}

/// What is created; bind groups and pipelines on a GPU only.
fn created(c: &Counters) -> Vec<u64> {
    match device() {
        DeviceChoice::Cpu => {
            assert_eq!([c.bind_groups, c.pipelines], [0; 2]);
            vec![c.buffers, c.gpu_bytes]
        }
        _ => vec![c.buffers, c.gpu_bytes, c.bind_groups, c.pipelines],
    }
}

fn decode_creates_nothing(name: &str, n: u32) {
    let mut engine = load(
        name,
        &EngineOptions {
            max_sequences: 2,
            context: Some(128),
            ..exact()
        },
    );
    let loaded = created(&engine.counters());
    assert!(loaded.iter().all(|n| *n > 0));
    let mut sessions = [engine.new_session().unwrap(), engine.new_session().unwrap()];
    for session in &mut sessions {
        let done = generate(&mut engine, session, &greedy(&prompt(name), n));
        assert_eq!(done.tokens.len(), n as usize);
        assert_eq!(
            created(&engine.counters()),
            loaded,
            "buffers, bytes, bind groups, pipelines"
        );
    }
    let [mut session, other] = sessions;
    other.close(&mut engine);
    session.rewind(&mut engine, 3);
    let mut request = greedy(&prompt(name), 2);
    request.sampling.repeat_penalty = 1.1;
    generate(&mut engine, &mut session, &request);
    assert_eq!(
        created(&engine.counters()),
        loaded,
        "neither does the host's sampler"
    );
}

#[test]
fn tiny_decode_creates_no_buffer_bind_group_or_pipeline_on_both() {
    decode_creates_nothing(TINY, 50);
}

#[test]
fn smollm2_decode_creates_no_buffer_bind_group_or_pipeline() {
    decode_creates_nothing(SMOL, 50);
}

/// What `n` tokens after the first cost.
fn cost(engine: &mut Engine, session: &mut Session, prompt: &[u32], n: u32) -> Counters {
    let mut run = |tokens| {
        session.clear(engine);
        let before = engine.counters();
        generate(engine, session, &greedy(prompt, tokens));
        let after = engine.counters();
        Counters {
            dispatches: after.dispatches - before.dispatches,
            submits: after.submits - before.submits,
            weight_bytes: after.weight_bytes - before.weight_bytes,
            kv_bytes: after.kv_bytes - before.kv_bytes,
            readback_bytes: after.readback_bytes - before.readback_bytes,
            ..Counters::default()
        }
    };
    let (first, all) = (run(1), run(1 + n));
    Counters {
        dispatches: all.dispatches - first.dispatches,
        submits: all.submits - first.submits,
        weight_bytes: all.weight_bytes - first.weight_bytes,
        kv_bytes: all.kv_bytes - first.kv_bytes,
        readback_bytes: all.readback_bytes - first.readback_bytes,
        ..Counters::default()
    }
}

fn a_token_costs(name: &str, n: u32) {
    let (plan, config) = plan_of(name, &graph_options());
    // Every matrix once, less the embedding where the head has its own; of the embedding one row.
    let bytes = |s: &chord_model::Segment| {
        4 * (plan.buffers[s.quants].words + plan.buffers[s.scales].words)
    };
    let embedding = &plan.segments[0];
    assert_eq!(embedding.parts[0].name, "token_embd.weight");
    let unread = if config.tied { 0 } else { bytes(embedding) };
    let row = bytes(embedding) / u64::from(config.n_vocab);
    let weights = plan.segments.iter().map(bytes).sum::<u64>() - unread + row;
    let slot = u64::from(2 * config.n_layers * config.n_kv_heads * config.head_dim);
    let prompt = prompt(name);
    for (per_submit, readback) in [(1, 36), (8, 64), (16, 96)] {
        let options = EngineOptions {
            tokens_per_submit: Some(per_submit),
            context: Some(128),
            ..exact()
        };
        let mut engine = load(name, &options);
        assert_eq!(engine.dispatches_per_layer(), 5);
        let mut session = engine.new_session().unwrap();
        let cost = cost(&mut engine, &mut session, &prompt, n);
        let submits = u64::from(n / per_submit);
        assert_eq!(
            cost.dispatches,
            u64::from(n * (5 * config.n_layers + 4)),
            "embed, 5 a layer, head, sample_tops, sample"
        );
        assert_eq!(cost.submits, submits);
        assert_eq!(
            cost.readback_bytes,
            submits * readback,
            "the chosen ids and 8 control words"
        );
        assert_eq!(
            cost.weight_bytes,
            u64::from(n) * weights,
            "the weights are read once"
        );
        let first = prompt.len() as u64;
        let slots: u64 = (first..first + u64::from(n))
            .map(|position| position + 1)
            .sum();
        assert_eq!(
            cost.kv_bytes,
            slots * slot * 4,
            "f32 keys and values of every position so far"
        );
    }
}

#[test]
fn tiny_a_token_costs_five_dispatches_a_layer_and_one_pass_over_the_weights() {
    a_token_costs(TINY, 48);
}

/// Dispatches of a token, and K and V read by layers that see the last `window` positions only.
#[test]
fn families_cost_at_most_seven_dispatches_a_layer() {
    for (name, per_layer, window) in [
        ("v2k-phi3-Q4_K_M", 5, None),
        ("v2k-gemma1-Q4_K_M", 5, None),
        ("v2k-gemma2-Q4_K_M", 7, Some(16)),
        ("v2k-mixtral-Q4_K_M", 7, None),
        ("v2k-gpt-oss-MXFP4", 7, Some(128)),
    ] {
        let (_, config) = plan_of(name, &graph_options());
        let options = EngineOptions {
            context: Some(256),
            ..exact()
        };
        let mut engine = load(name, &options);
        let mut session = engine.new_session().unwrap();
        let prompt: Vec<u32> = (100..240).collect();
        let (n, first) = (8, 140u64);
        let cost = cost(&mut engine, &mut session, &prompt, n);
        assert_eq!(config.windows.as_ref().map(|w| w.size), window, "{name}");
        // Mixes of types may put a layer's v in a dispatch of its own.
        let least = u64::from(n * (per_layer * config.n_layers + 4));
        let most = least + u64::from(n * config.n_layers);
        assert!(
            (least..=most).contains(&cost.dispatches),
            "{name}: {} dispatches",
            cost.dispatches
        );
        let of_layer = |layer| config.windows.as_ref().and_then(|w| w.of_layer(layer));
        let seen = |layer: u32, position: u64| {
            (position + 1).min(of_layer(layer).map_or(u64::MAX, u64::from))
        };
        let slots: u64 = (0..config.n_layers)
            .flat_map(|layer| (first..first + u64::from(n)).map(move |p| seen(layer, p)))
            .sum();
        let slot = u64::from(2 * config.n_kv_heads * config.head_dim) * 4;
        assert_eq!(cost.kv_bytes, slots * slot, "{name}");
    }
}

#[test]
fn smollm2_a_token_costs_five_dispatches_a_layer_and_one_pass_over_the_weights() {
    a_token_costs(SMOL, 16);
}
