//! `eval`, with the tiny model: logits and perplexity.

use crate::common::{Scratch, data, npy, read_json, run, tiny_arg};
use serde_json::json;

#[test]
fn logits_are_those_of_the_reference_whatever_the_chunk() {
    let scratch = Scratch::new();
    let text = read_json("inputs/logits_prompt.json")["text"]
        .as_str()
        .expect("text")
        .to_owned();
    let ids = run(["tokenize", &tiny_arg(), &text, "--json"])
        .code(0)
        .json();
    let ids = json!(ids["tokens"].as_array().expect("ids")[..32]);
    let tokens = scratch.path("ids.json").to_string_lossy().into_owned();
    std::fs::write(&tokens, ids.to_string()).expect("written");
    let (_, want) =
        npy(&std::fs::read(data("logits/v2k-llama-Q4_K_M.deq.slice.npy")).expect("reference"));
    for chunk in ["1", "7", "32"] {
        let out = scratch
            .path(&format!("{chunk}.npy"))
            .to_string_lossy()
            .into_owned();
        let args = [
            "eval",
            &tiny_arg(),
            "--tokens",
            &tokens,
            "--logits",
            &out,
            "--chunk",
            chunk,
            "--precision",
            "exact",
            "--json",
        ];
        assert_eq!(run(args).code(0).json()["shape"], json!([32, 2048]));
        let (header, values) = npy(&std::fs::read(&out).expect("written"));
        assert!(
            header.contains("'descr': '<f4', 'fortran_order': False, 'shape': (32, 2048)"),
            "{header}"
        );
        assert_eq!(values.len(), 32 * 2048);
        for (row, want) in values.chunks(2048).zip(want.chunks(512)) {
            for (a, b) in row.iter().zip(want) {
                assert!((a - b).abs() <= 2e-4, "chunk {chunk}: {a} {b}");
            }
        }
    }
}

#[test]
fn eval_refuses_what_it_cannot_use() {
    let scratch = Scratch::new();
    let file = |name: &str, text: &str| {
        let path = scratch.path(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let out = scratch.path("o.npy").to_string_lossy().into_owned();
    let eval = |tokens: &str| run(["eval", &tiny_arg(), "--tokens", tokens, "--logits", &out]);
    eval(&scratch.path("none.json").to_string_lossy())
        .code(2)
        .error("E_FILE");
    eval(&file("a.json", "not json"))
        .code(2)
        .error("E_FILE_CONTENT");
    eval(&file("b.json", "[]")).code(2).error("E_FILE_CONTENT");
    eval(&file("c.json", "[1, 2048]")).code(2).error("E_USAGE");
    eval(&file("d.json", &json!(vec![5; 1025]).to_string()))
        .code(2)
        .error("E_CONTEXT");
    let unwritable = run([
        "eval",
        &tiny_arg(),
        "--tokens",
        &file("e.json", "[1]"),
        "--logits",
        "/nonexistent/o.npy",
    ]);
    unwritable.code(2).error("E_FILE");
}

#[test]
fn perplexity_is_that_of_the_logits() {
    let scratch = Scratch::new();
    let text = scratch.path("t.txt").to_string_lossy().into_owned();
    std::fs::write(&text, "The harbour at Lunden had two lights.\n").expect("written");
    let ended = run([
        "eval",
        &tiny_arg(),
        "--perplexity",
        &text,
        "--precision",
        "exact",
        "--json",
    ])
    .code(0)
    .json();
    let tokens = scratch.path("ids.json").to_string_lossy().into_owned();
    std::fs::write(&tokens, ended["ids"].to_string()).expect("written");
    let out = scratch.path("l.npy").to_string_lossy().into_owned();
    run([
        "eval",
        &tiny_arg(),
        "--tokens",
        &tokens,
        "--logits",
        &out,
        "--precision",
        "exact",
    ])
    .code(0);
    let (_, logits) = npy(&std::fs::read(&out).expect("written"));
    let ids: Vec<usize> = ended["ids"]
        .as_array()
        .expect("ids")
        .iter()
        .filter_map(|v| v.as_u64())
        .filter_map(|v| usize::try_from(v).ok())
        .collect();
    let rows = logits.chunks(2048);
    let nll: Vec<f64> = rows
        .zip(&ids[1..])
        .map(|(row, id)| {
            row.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln() - f64::from(row[*id])
        })
        .collect();
    let mean = nll.iter().sum::<f64>() / nll.len() as f64;
    assert_eq!(ended["n_scored"], nll.len());
    assert_eq!(ended["nll"].as_array().map(Vec::len), Some(nll.len()));
    assert!((ended["mean_nll"].as_f64().expect("number") - mean).abs() < 1e-6);
    assert!((ended["ppl"].as_f64().expect("number") - mean.exp()).abs() < 1e-2);
}
