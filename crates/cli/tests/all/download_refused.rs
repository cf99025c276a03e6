//! Downloads that must fail: each with its own code, and nothing kept that could pass for a model.

use crate::common::fetch::{assert_exact, finished, ids, model, sha256, tokenize};
use crate::common::server::{Response, Server};
use crate::common::{Ended, Scratch, command, tiny};

#[test]
fn a_wrong_hash_is_refused_and_nothing_is_kept() {
    let file = model();
    let server = Server::start(move |r| {
        let mut damaged = file.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        Response::file(r, &damaged, "v1").header("X-Linked-Etag", format!("\"{}\"", sha256(&file)))
    });
    let cache = Scratch::new();
    let ended = tokenize(&cache, &format!("{}/m.gguf", server.address), &[])
        .code(3)
        .error("E_SHA256");
    assert!(ended.stderr.contains(&sha256(&model())), "{}", ended.stderr);
    assert_eq!(ended.json()["code"], "E_SHA256");
    assert!(finished(&cache).is_empty());
    assert!(
        !cache.files().iter().any(|f| f.contains(".part")),
        "{:?}",
        cache.files()
    );
}

#[test]
fn the_hash_on_the_command_line_is_checked() {
    let file = model();
    let good = sha256(&file);
    let server = Server::start(move |r| Response::file(r, &file, "v1"));
    let url = format!("{}/m.gguf", server.address);
    let cache = Scratch::new();
    tokenize(&cache, &url, &["--sha256", &"0".repeat(64)])
        .code(3)
        .error("E_SHA256");
    tokenize(&cache, &url, &["--sha256", "abc"])
        .code(2)
        .error("E_USAGE");
    ids(tokenize(&cache, &url, &["--sha256", &good.to_uppercase()]));
    // Also for a file that is there already, from wherever it came.
    tokenize(&cache, &url, &["--sha256", &"0".repeat(64)])
        .code(3)
        .error("E_SHA256");
    tokenize(
        &cache,
        &tiny().to_string_lossy(),
        &["--sha256", &"0".repeat(64)],
    )
    .code(3)
    .error("E_SHA256");
    ids(tokenize(
        &cache,
        &tiny().to_string_lossy(),
        &["--sha256", &good],
    ));
}

#[test]
fn refusals_have_their_own_codes_and_are_not_repeated() {
    for (status, code) in [
        (404, "E_HTTP_NOT_FOUND"),
        (403, "E_HTTP_DENIED"),
        (401, "E_HTTP_DENIED"),
        (400, "E_HTTP_STATUS"),
    ] {
        let server = Server::start(move |_| Response::new(status, "no"));
        let cache = Scratch::new();
        tokenize(&cache, &format!("{}/m.gguf", server.address), &[])
            .code(3)
            .error(code);
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn what_is_not_a_model_is_named() {
    for body in [
        "<!DOCTYPE html><html>Log in</html>",
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n",
    ] {
        let server = Server::start(move |r| Response::file(r, body.as_bytes(), "v1"));
        let cache = Scratch::new();
        let ended = tokenize(&cache, &format!("{}/m.gguf", server.address), &[])
            .code(3)
            .error("E_BAD_MAGIC");
        let said = ended.stderr.to_lowercase();
        assert!(
            said.contains("html") || said.contains("git lfs"),
            "{}",
            ended.stderr
        );
        assert!(finished(&cache).is_empty());
    }
}

#[test]
fn a_file_shorter_than_its_header_says_is_refused() {
    let file = model();
    let server = Server::start(move |r| Response::file(r, &file[..file.len() - 1], "v1"));
    let cache = Scratch::new();
    tokenize(&cache, &format!("{}/m.gguf", server.address), &[])
        .code(3)
        .error("E_TRUNCATED");
    assert!(finished(&cache).is_empty());
}

#[test]
fn a_model_that_we_cannot_run_is_refused_before_its_bulk() {
    let mut file = model();
    let arch = b"general.architecture";
    let at = file
        .windows(arch.len())
        .position(|w| w == arch)
        .expect("key")
        + arch.len();
    // Type and length of the value come first.
    file[at + 12..at + 17].copy_from_slice(b"mamba");
    file.resize(64 << 20, 0);
    let server = Server::start(move |r| Response::file(r, &file, "v1"));
    let cache = Scratch::new();
    let ended = tokenize(&cache, &format!("{}/m.gguf", server.address), &[])
        .code(3)
        .error("E_ARCH");
    assert!(ended.stderr.contains("mamba"), "{}", ended.stderr);
    assert!(
        server.sent() < 16 << 20,
        "{} of 64 MiB were sent",
        server.sent()
    );
    assert!(finished(&cache).is_empty());
}

#[test]
fn inspect_fetches_the_header_only() {
    let mut file = model();
    file.resize(64 << 20, 0);
    let server = Server::start(move |r| Response::file(r, &file, "v1"));
    let cache = Scratch::new();
    let url = format!("{}/m.gguf", server.address);
    let ended = Ended::of(
        command(["inspect", &url, "--json"])
            .env("WASM_CHORD_CACHE", cache.path(""))
            .output()
            .expect("the command starts"),
    );
    let ended = ended.code(0);
    assert_eq!(ended.json()["metadata"]["general.architecture"], "llama");
    assert_eq!(ended.json()["size"], 64 << 20);
    assert!(
        server.sent() < 16 << 20,
        "{} of 64 MiB were sent",
        server.sent()
    );
    assert!(finished(&cache).is_empty());
}

#[test]
fn redirects_without_end_or_aim_are_refused() {
    let round = Server::start(|_| Response::new(302, "").header("Location", "/again"));
    let cache = Scratch::new();
    tokenize(&cache, &format!("{}/m.gguf", round.address), &[])
        .code(3)
        .error("E_REDIRECT");
    let nowhere = Server::start(|_| Response::new(302, ""));
    tokenize(&cache, &format!("{}/m.gguf", nowhere.address), &[])
        .code(3)
        .error("E_REDIRECT");
    let away =
        Server::start(|_| Response::new(302, "").header("Location", "http://example.org/m.gguf"));
    tokenize(&cache, &format!("{}/m.gguf", away.address), &[])
        .code(3)
        .error("E_URL");
}

#[test]
fn what_came_before_a_faulty_answer_is_kept() {
    let wrong = "0".repeat(64);
    // A redirect to nowhere, a sign-in page without encryption, and a hash that somebody mistyped.
    let answers: [(&str, &[&str], &str); 3] = [
        ("", &[], "E_REDIRECT"),
        ("http://example.org/sign-in", &[], "E_URL"),
        ("", &["--sha256", &wrong], "E_SHA256"),
    ];
    for (location, more, code) in answers {
        let file = model();
        let hash = sha256(&file);
        let typed = !more.is_empty();
        let server = Server::start(move |r| match r.number {
            0 => Response::file(r, &file, "v1").cut(500_000),
            1..=5 => Response::new(503, "").header("Retry-After", "0"),
            6 if !typed && location.is_empty() => Response::new(302, ""),
            6 if !typed => Response::new(302, "").header("Location", location),
            _ => Response::file(r, &file, "v1").header("X-Linked-Etag", format!("\"{hash}\"")),
        });
        let cache = Scratch::new();
        let url = format!("{}/m.gguf", server.address);
        tokenize(&cache, &url, &[]).code(3).error("E_HTTP_STATUS");
        tokenize(&cache, &url, more).code(3).error(code);
        ids(tokenize(&cache, &url, &[]));
        assert_exact(&cache);
        let starts: Vec<_> = server.requests().iter().skip(6).map(|r| r.from).collect();
        assert_eq!(starts, [Some(500_000), Some(500_000)], "{code}");
    }
}

#[test]
fn unencrypted_addresses_and_nobody_at_home() {
    let cache = Scratch::new();
    tokenize(&cache, "http://example.org/m.gguf", &[])
        .code(3)
        .error("E_URL");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    tokenize(&cache, &format!("http://127.0.0.1:{port}/m.gguf"), &[])
        .code(3)
        .error("E_NETWORK");
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let server = Server::start(|_| Response::new(200, ""));
    let ended = Ended::of(
        command(["tokenize", &format!("{}/m.gguf", server.address), "x"])
            .env("WASM_CHORD_CACHE", "/dev/null/nothing")
            .output()
            .expect("the command starts"),
    );
    ended.code(3).error("E_CACHE");
}
