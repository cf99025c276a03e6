//! A model that answers from a download: it is loaded while the bytes arrive.

use crate::common::fetch::{assert_exact, finished, model, sha256};
use crate::common::server::{Request, Response, Server};
use crate::common::{Ended, Scratch, command, device, tiny_arg};
use std::time::{Duration, Instant};

/// A short answer of the model, with a cache of its own.
fn answer(cache: &Scratch, model: &str, more: &[&str]) -> Ended {
    let mut args = vec![
        "run",
        model,
        "Hello",
        "--raw",
        "-n",
        "8",
        "--temperature",
        "0",
        "--ctx",
        "64",
    ];
    if more.is_empty() {
        args.extend(["--device", device()]);
    }
    args.extend(more);
    let mut command = command(args);
    let command = command.env("WASM_CHORD_CACHE", cache.path(""));
    Ended::of(command.output().expect("the command starts"))
}

/// What the model says when it lies here as a file is what it says from this server.
#[track_caller]
fn says_the_same(answers: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
    let cache = Scratch::new();
    let file = answer(&cache, &tiny_arg(), &[]).code(0).stdout;
    assert!(file.len() > 5, "{file:?}");
    let server = Server::start(answers);
    let url = format!("{}/m.gguf", server.address);
    assert_eq!(answer(&cache, &url, &[]).code(0).stdout, file);
    assert_exact(&cache);
    server
}

/// The model with other weights.
fn other() -> Vec<u8> {
    let mut file = model();
    let half = file.len() / 2;
    file[half..].fill(7);
    file
}

#[test]
fn bytes_are_waited_for() {
    let file = model();
    says_the_same(move |r| Response::file(r, &file, "v1").slow());
}

#[test]
fn a_cut_transfer_goes_on_under_the_engine() {
    let file = model();
    let cuts = [file.len() / 2, 70_000];
    let server = says_the_same(move |r| {
        let whole = Response::file(r, &file, "v1").slow();
        match cuts.get(r.number) {
            Some(k) => whole.cut(*k),
            None => whole,
        }
    });
    assert_eq!(server.sent(), model().len() as u64);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again() {
    let (old, file) = (other(), model());
    let server = says_the_same(move |r| match r.number {
        0 => {
            let at = old.len() - 1000;
            Response::file(r, &old, "v1").slow().cut(at)
        }
        _ => Response::file(r, &file, "v2").slow(),
    });
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_hash_after_it_was_read_means_reading_again() {
    let (old, file) = (other(), model());
    let hash = sha256(&file);
    let server = says_the_same(move |r| {
        // The same tag for two versions: only the hash can tell, and the engine has read all of it by then.
        let body = if r.number < 2 { &old } else { &file };
        let answer = Response::file(r, body, "v1").header("X-Linked-Etag", format!("\"{hash}\""));
        match r.number {
            0 => answer.cut(old.len() - 1000),
            _ => answer,
        }
    });
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_file_of_unknown_length_is_loaded_when_it_is_there() {
    let file = model();
    says_the_same(move |r| {
        let mut answer = Response::file(r, &file, "v1");
        answer.length = false;
        answer
    });
}

#[test]
fn nothing_is_answered_from_a_file_with_a_wrong_hash() {
    let (old, hash) = (other(), sha256(&model()));
    let server = Server::start(move |r| {
        Response::file(r, &old, "v1").header("X-Linked-Etag", format!("\"{hash}\""))
    });
    let cache = Scratch::new();
    let url = format!("{}/m.gguf", server.address);
    let ended = answer(&cache, &url, &[]).code(3).error("E_SHA256");
    assert_eq!(ended.stdout, "");
    assert!(finished(&cache).is_empty());
}

#[test]
fn what_another_process_fetched_meanwhile_is_checked_too() {
    let file = model();
    let server = Server::start(move |r| Response::file(r, &file, "v1").slow());
    let cache = Scratch::new();
    let url = format!("{}/m.gguf", server.address);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| answer(&cache, &url, &[]));
        while server.sent() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let wrong = "0".repeat(64);
        let second = answer(&cache, &url, &["--device", device(), "--sha256", &wrong]);
        let second = second.code(3).error("E_SHA256");
        assert_eq!(second.stdout, "");
        assert!(second.stderr.contains("waiting"), "{}", second.stderr);
        first.join().expect("no panic").code(0);
    });
    assert_exact(&cache);
}

#[test]
fn what_cannot_be_loaded_is_said_before_the_rest_arrives_and_what_came_is_kept() {
    let file = model();
    let half = file.len() / 2;
    let server = Server::start(move |r| {
        let whole = Response::file(r, &file, "v1");
        match r.number {
            0 => whole.stall(half),
            _ => whole,
        }
    });
    let cache = Scratch::new();
    let url = format!("{}/m.gguf", server.address);
    let started = Instant::now();
    let nowhere = ["--device", "gpu", "--adapter", "no such adapter"];
    answer(&cache, &url, &nowhere).error("E_NO_ADAPTER");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(finished(&cache).is_empty());
    answer(&cache, &url, &[]).code(0);
    assert_exact(&cache);
    let starts: Vec<_> = server.requests().iter().map(|r| r.from).collect();
    assert_eq!(starts, [None, Some(half)]);
}
