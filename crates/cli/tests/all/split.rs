//! Split models: found from any part, as files and as addresses.

use std::path::PathBuf;

use crate::common::fetch::finished;
use crate::common::server::{Response, Server};
use crate::common::{Ended, Scratch, command, data, run};
use serde_json::Value;

fn part(number: u32) -> PathBuf {
    data(&format!("split/t0-{number:05}-of-00003.gguf"))
}

/// Greedy ids, by `exact`.
fn answer(cache: &Scratch, model: &str) -> Value {
    let flags = [
        "--raw",
        "--temperature",
        "0",
        "--precision",
        "exact",
        "--json",
    ];
    let args = ["run", model, "a", "-n", "12"].into_iter().chain(flags);
    let output = command(args)
        .env("WASM_CHORD_CACHE", cache.path(""))
        .output();
    let lines = Ended::of(output.expect("it starts")).code(0).json_lines();
    lines.last().expect("lines")["tokens"].clone()
}

#[test]
fn any_part_stands_for_the_whole() {
    let cache = Scratch::new();
    let whole = answer(&cache, &data("split/t0.gguf").to_string_lossy());
    assert_eq!(whole.as_array().map(Vec::len), Some(12), "{whole}");
    for number in [1, 3] {
        let model = part(number);
        assert_eq!(answer(&cache, &model.to_string_lossy()), whole);
    }
    let inspect = |path: PathBuf| {
        run(["inspect", &path.to_string_lossy(), "--json"])
            .code(0)
            .json()
    };
    let (whole, split) = (inspect(data("split/t0.gguf")), inspect(part(2)));
    assert_eq!((&whole["parts"], &split["parts"]), (&1.into(), &3.into()));
    assert_eq!(whole["types"], split["types"]);
    assert_eq!(whole["fit"], split["fit"]);
    let bytes = |path: PathBuf| std::fs::metadata(path).expect("file").len();
    assert_eq!(split["size"], (1..=3).map(|n| bytes(part(n))).sum::<u64>());
}

#[test]
fn parts_of_an_address_are_fetched_once() {
    let server = Server::start(|request| {
        let name = request.path.trim_start_matches('/').replace("?key=1", "");
        match std::fs::read(data(&format!("split/{name}"))) {
            Ok(file) => Response::file(request, &file, "v1"),
            Err(_) => Response::new(404, "no such file"),
        }
    });
    let cache = Scratch::new();
    let url = format!("{}/t0-00002-of-00003.gguf?key=1", server.address);
    let first = answer(&cache, &url);
    assert_eq!(finished(&cache).len(), 3, "{:?}", cache.files());
    let asked = server.requests();
    // Headers first, so that a model we cannot run is refused before the first of its parts is fetched.
    let paths: Vec<&str> = asked.iter().map(|r| r.path.as_str()).collect();
    let all = [1, 2, 3].map(|n| format!("/t0-{n:05}-of-00003.gguf?key=1"));
    assert_eq!(paths, [all.clone(), all].concat());
    assert_eq!(answer(&cache, &url), first);
    assert_eq!(server.requests().len(), asked.len(), "all are in the cache");
}

#[test]
fn what_is_missing_or_no_part_is_said() {
    let scratch = Scratch::new();
    let copy = |from: PathBuf, name: &str| {
        std::fs::copy(from, scratch.path(name)).expect("copied");
        scratch.path(name).to_string_lossy().into_owned()
    };
    let model = copy(part(1), "m-00001-of-00002.gguf");
    let ended = run(["tokenize", &model, "a"]).error("E_NOT_FOUND");
    assert!(
        ended.stderr.contains("m-00002-of-00002.gguf"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("in one folder"), "{}", ended.stderr);
    // Two of three.
    copy(part(2), "m-00002-of-00002.gguf");
    let ended = run(["run", &model, "a"]).code(3).error("E_SPLIT");
    assert!(
        ended.stderr.contains("part 1 of 3, not 1 of 2"),
        "{}",
        ended.stderr
    );
    // Under another name, alone.
    let alone = copy(part(3), "alone.gguf");
    let ended = run(["run", &alone, "a"]).code(3).error("E_SPLIT");
    assert!(ended.stderr.contains("all its parts"), "{}", ended.stderr);
    let sum = "0".repeat(64);
    let first = part(1);
    run(["run", &first.to_string_lossy(), "a", "--sha256", &sum]).code(2);
}
