//! A small healthy trace, and each fault planted into it.

use super::compare::l2;
use super::*;

const TOKENS: [u32; 5] = [3, 1, 4, 1, 5];
const HEADS: usize = 2;
const KV_HEADS: usize = 1;
const HEAD_DIM: usize = 4;

/// Any smooth varied values.
fn wave(n: usize, phase: f32) -> Vec<f32> {
    (0..n).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
}

fn tap(name: &str, shape: &[usize], data: Vec<f32>) -> Tap {
    Tap {
        name: name.into(),
        shape: shape.to_vec(),
        data,
    }
}

/// Two layers; attention statistics of token t over t+1 keys, different at each position.
fn healthy() -> TraceDump {
    let t = TOKENS.len();
    let d = HEADS * HEAD_DIM;
    let mut taps = vec![tap("embd", &[t, d], wave(t * d, 0.1))];
    for layer in 0..2 {
        let phase = 1.0 + layer as f32;
        let q = wave(t * d, phase);
        let k = wave(t * KV_HEADS * HEAD_DIM, phase + 0.3);
        let turn = |x: &[f32], row: usize| -> Vec<f32> {
            x.iter()
                .enumerate()
                .map(|(i, v)| v * (0.1 * (i / row) as f32).cos())
                .collect()
        };
        let mut stats = Vec::new();
        for token in 0..t {
            for head in 0..HEADS {
                let max = 1.0 / (1.0 + 0.5 * token as f32 + 0.01 * head as f32 * token as f32);
                stats.extend([1.0, max, -max.ln()]);
            }
        }
        let name = |s: &str| format!("{s}-{layer}");
        taps.push(tap(&name("q"), &[t, HEADS, HEAD_DIM], q.clone()));
        taps.push(tap(&name("k"), &[t, KV_HEADS, HEAD_DIM], k.clone()));
        taps.push(tap(&name("q_rope"), &[t, HEADS, HEAD_DIM], turn(&q, d)));
        taps.push(tap(
            &name("k_rope"),
            &[t, KV_HEADS, HEAD_DIM],
            turn(&k, KV_HEADS * HEAD_DIM),
        ));
        taps.push(tap(&name("attn_stats"), &[t, HEADS, 3], stats));
        taps.push(tap(&name("l_out"), &[t, d], wave(t * d, phase + 5.0)));
    }
    taps.push(tap("result_output", &[t, 16], wave(t * 16, 2.0)));
    TraceDump { taps }
}

fn edit(dump: &mut TraceDump, name: &str) -> usize {
    dump.taps
        .iter()
        .position(|t| t.name == name)
        .expect("tap exists")
}

fn only_fault(dump: &TraceDump) -> Fault {
    let faults = check(dump, &TOKENS);
    assert_eq!(faults.len(), 1, "exactly the planted fault: {faults:?}");
    faults[0].clone()
}

#[test]
fn a_healthy_trace_has_no_fault() {
    assert_eq!(check(&healthy(), &TOKENS), []);
}

#[test]
fn nan_and_infinity_are_found_with_their_token() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut dump = healthy();
        let i = edit(&mut dump, "l_out-0");
        dump.taps[i].data[2 * HEADS * HEAD_DIM + 3] = bad;
        let fault = only_fault(&dump);
        assert_eq!(
            (fault.kind, fault.tap.as_str(), fault.token),
            (FaultKind::NonFinite, "l_out-0", Some(2))
        );
        assert_eq!(
            TapSummary::of(&dump.taps[i]).words(),
            "1 of 40 values are not finite"
        );
    }
}

#[test]
fn faults_come_in_the_order_of_the_steps() {
    let mut dump = healthy();
    for name in ["l_out-1", "q-0"] {
        let i = edit(&mut dump, name);
        dump.taps[i].data[0] = f32::NAN;
    }
    let names: Vec<String> = check(&dump, &TOKENS).into_iter().map(|f| f.tap).collect();
    assert_eq!(names, ["q-0", "l_out-1"]);
}

#[test]
fn a_zero_key_is_found_whole_and_for_one_token() {
    let mut dump = healthy();
    let i = edit(&mut dump, "k-1");
    dump.taps[i].data[3 * HEAD_DIM..4 * HEAD_DIM].fill(0.0);
    let fault = only_fault(&dump);
    assert_eq!((fault.kind, fault.token), (FaultKind::ZeroKey, Some(3)));
    dump.taps[i].data.fill(0.0);
    let fault = only_fault(&dump);
    assert_eq!((fault.kind, fault.token), (FaultKind::ZeroKey, Some(0)));
}

#[test]
fn an_all_zero_tap_is_found() {
    let mut dump = healthy();
    let i = edit(&mut dump, "l_out-1");
    dump.taps[i].data.fill(0.0);
    assert_eq!(only_fault(&dump).kind, FaultKind::Zero);
}

#[test]
fn a_row_sum_off_one_is_found() {
    for (sum, faulty) in [(1.01, true), (0.99, true), (1.0005, false), (0.9995, false)] {
        let mut dump = healthy();
        let i = edit(&mut dump, "attn_stats-0");
        dump.taps[i].data[4 * HEADS * 3 + 3] = sum;
        let faults = check(&dump, &TOKENS);
        assert_eq!(faults.len(), usize::from(faulty), "{sum}: {faults:?}");
        if let Some(fault) = faults.first() {
            assert_eq!((fault.kind, fault.token), (FaultKind::RowSum, Some(4)));
            assert!(fault.what.contains("head 1"), "{fault}");
        }
    }
}

#[test]
fn rope_that_changes_nothing_is_found_above_position_0() {
    for (before, after) in [("q-1", "q_rope-1"), ("k-0", "k_rope-0")] {
        let mut dump = healthy();
        let (b, a) = (edit(&mut dump, before), edit(&mut dump, after));
        dump.taps[a].data = dump.taps[b].data.clone();
        let fault = only_fault(&dump);
        assert_eq!(
            (fault.kind, fault.tap.as_str(), fault.token),
            (FaultKind::RopeUnchanged, after, Some(1))
        );
    }
    let dump = healthy();
    let row = HEADS * HEAD_DIM;
    assert_eq!(
        dump.taps[1].data[..row],
        dump.taps[3].data[..row],
        "position 0 is not turned, and not a fault"
    );
}

#[test]
fn identical_attention_rows_are_found() {
    let mut dump = healthy();
    let i = edit(&mut dump, "attn_stats-1");
    for token in 1..TOKENS.len() {
        dump.taps[i].data[token * HEADS * 3 + 3..][..3].copy_from_slice(&[1.0, 0.5, 0.69]);
    }
    let fault = only_fault(&dump);
    assert_eq!(fault.kind, FaultKind::IdenticalAttention);
    assert!(fault.what.contains("head 1"), "{fault}");
}

#[test]
fn one_head_that_sinks_into_the_first_token_is_no_fault_but_all_heads_are() {
    let mut dump = healthy();
    let i = edit(&mut dump, "attn_stats-0");
    for token in 1..TOKENS.len() {
        dump.taps[i].data[token * HEADS * 3..][..3].copy_from_slice(&[1.0, 1.0, 0.0]);
    }
    assert_eq!(check(&dump, &TOKENS), []);
    for token in 1..TOKENS.len() {
        dump.taps[i].data[token * HEADS * 3 + 3..][..3].copy_from_slice(&[1.0, 1.0, 0.0]);
    }
    assert_eq!(only_fault(&dump).kind, FaultKind::IdenticalAttention);
}

#[test]
fn the_same_top_token_everywhere_is_found() {
    let mut dump = healthy();
    let i = edit(&mut dump, "result_output");
    for row in dump.taps[i].data.chunks_mut(16) {
        row[7] = 9.0;
    }
    let fault = only_fault(&dump);
    assert_eq!(fault.kind, FaultKind::SameTopToken);
    assert!(fault.what.contains("token 7"), "{fault}");
    assert_eq!(
        check(&dump, &[3; 5]),
        [],
        "equal inputs may give equal outputs"
    );
}

#[test]
fn a_shape_that_does_not_hold_is_found() {
    let mut dump = healthy();
    dump.taps[0].data.pop();
    assert_eq!(only_fault(&dump).kind, FaultKind::Shape);
}

#[test]
fn equal_dumps_agree_and_the_first_difference_is_named() {
    let ours = healthy();
    let same = compare_dumps(&ours, &ours.clone(), 1e-4);
    assert_eq!(
        (same.compared, same.differences.len()),
        (ours.taps.len(), 0)
    );
    assert!(same.missing.is_empty());

    let mut theirs = ours.clone();
    for name in ["l_out-1", "k_rope-0"] {
        let i = edit(&mut theirs, name);
        theirs.taps[i].data[5] += 1e-3;
    }
    let differ = compare_dumps(&ours, &theirs, 1e-4);
    let names: Vec<&str> = differ.differences.iter().map(|d| d.tap.as_str()).collect();
    assert_eq!(names, ["k_rope-0", "l_out-1"]);
    assert!(
        differ.differences[0].what.starts_with("token 1, value 1:"),
        "{}",
        differ.differences[0]
    );

    let i = edit(&mut theirs, "embd");
    theirs.taps[i].data[0] = f32::NAN;
    assert_eq!(
        compare_dumps(&ours, &theirs, 1e-4).differences[0].tap,
        "embd"
    );
    theirs.taps.push(tap("extra", &[1], vec![1.0]));
    assert_eq!(compare_dumps(&ours, &theirs, 1e-4).missing, ["extra"]);
}

#[test]
fn a_difference_within_the_tolerance_passes() {
    let ours = healthy();
    let mut theirs = ours.clone();
    for t in &mut theirs.taps {
        for v in &mut t.data {
            *v *= 1.0 + 5e-5;
        }
    }
    let result = compare_dumps(&ours, &theirs, 1e-4);
    assert!(result.differences.is_empty(), "{:?}", result.differences);
    assert!(result.worst.is_some_and(|(_, w)| w > 4e-5 && w < 1e-4));
}

/// As a reference file would have it: llama.cpp's names, dimensions fastest first.
fn reference_of(dump: &TraceDump) -> Vec<RefTensor> {
    let tensor = |name: &str, op: &str, t: &Tap| RefTensor {
        name: name.into(),
        op: op.into(),
        ne: t.shape.iter().rev().copied().chain([1]).collect(),
        l2: l2(&t.data),
        first: t.data[..6].to_vec(),
        last: t.data[t.data.len() - 6..].to_vec(),
    };
    let find = |n: &str| dump.taps.iter().find(|t| t.name == n).expect("tap exists");
    vec![
        tensor("embd", "GET_ROWS", find("embd")),
        tensor("norm-0", "RMS_NORM", find("embd")),
        tensor("Qcur-0", "MUL_MAT", find("q-0")),
        tensor("Qcur-0", "RESHAPE", find("q-0")),
        tensor("Qcur-0", "ROPE", find("q_rope-0")),
        tensor("Kcur-0", "MUL_MAT", find("k-0")),
        tensor("Kcur-0", "ROPE", find("k_rope-0")),
        tensor("l_out-0", "ADD", find("l_out-0")),
        tensor("result_output", "MUL_MAT", find("result_output")),
    ]
}

#[test]
fn a_reference_is_compared_by_its_own_names() {
    let ours = healthy();
    let reference = reference_of(&ours);
    let same = compare_reference(&ours, &reference, 1e-4);
    assert_eq!(
        (same.compared, same.differences.len(), same.missing.len()),
        (7, 0, 0)
    );

    let mut bad = ours.clone();
    let i = edit(&mut bad, "q_rope-0");
    *bad.taps[i].data.last_mut().expect("values") += 0.01;
    let differ = compare_reference(&bad, &reference, 1e-4);
    assert_eq!(differ.differences.len(), 1);
    assert_eq!(differ.differences[0].tap, "q_rope-0");
    assert!(
        differ.differences[0]
            .what
            .starts_with("last values, number 5"),
        "{}",
        differ.differences[0]
    );

    // A value in the middle shows in the norm only.
    let mut bad = ours.clone();
    let i = edit(&mut bad, "l_out-0");
    bad.taps[i].data[20] += 0.5;
    let differ = compare_reference(&bad, &reference, 1e-4);
    assert_eq!(differ.differences[0].tap, "l_out-0");
    assert!(
        differ.differences[0].what.starts_with("norm"),
        "{}",
        differ.differences[0]
    );

    let mut bad = ours;
    bad.taps.retain(|t| t.name != "k-0");
    assert_eq!(compare_reference(&bad, &reference, 1e-4).missing, ["k-0"]);
}
