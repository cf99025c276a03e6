//! Downloads that end well, against a server that cuts, changes, redirects and compresses.

use std::io::Write as _;

use crate::common::fetch::{assert_exact, finished, ids, model, sha256, tokenize};
use crate::common::server::{Request, Response, Server};
use crate::common::{Ended, Scratch, command, tiny};

#[test]
fn a_model_is_fetched_once_and_then_used_without_the_network() {
    let file = model();
    let server = Server::start(move |r| Response::file(r, &file, "v1"));
    let cache = Scratch::new();
    let url = format!("{}/dir/m.gguf", server.address);
    let local = ids(crate::common::run([
        "tokenize",
        &tiny().to_string_lossy(),
        "Hello",
        "--json",
    ]));
    assert_eq!(ids(tokenize(&cache, &url, &[])), local);
    assert_exact(&cache);
    assert_eq!(ids(tokenize(&cache, &url, &[])), local);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cut_transfer_goes_on_where_it_stopped() {
    let file = model();
    let cuts = [1, 70_000, 300_001];
    let server = Server::start(move |r| {
        let whole = Response::file(r, &file, "v1");
        match cuts.get(r.number) {
            Some(k) => whole.cut(*k),
            None => whole,
        }
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
    let starts: Vec<_> = server.requests().iter().map(|r| r.from).collect();
    assert_eq!(
        starts,
        [None, Some(1), Some(70_001), Some(370_002)],
        "no byte is fetched twice"
    );
    assert_eq!(server.sent(), model().len() as u64);
}

#[test]
fn a_part_left_by_an_earlier_run_is_continued() {
    let file = model();
    let server = Server::start(move |r| {
        let whole = Response::file(r, &file, "v1");
        // 6 requests of the first run bring 500,000 bytes, then nothing.
        match r.number {
            0 => whole.cut(500_000),
            1..=5 => Response::new(503, "").header("Retry-After", "0"),
            _ => whole,
        }
    });
    let cache = Scratch::new();
    let url = format!("{}/m.gguf", server.address);
    tokenize(&cache, &url, &[]).code(3).error("E_HTTP_STATUS");
    assert!(
        cache.files().iter().any(|f| f.ends_with(".part")),
        "{:?}",
        cache.files()
    );
    ids(tokenize(&cache, &url, &[]));
    assert_exact(&cache);
    assert_eq!(server.requests().last().and_then(|r| r.from), Some(500_000));
}

#[test]
fn a_server_without_ranges_is_asked_from_the_start_again() {
    let file = model();
    let server = Server::start(move |r| {
        let whole = Response::new(200, file.as_slice()).header("ETag", "\"v1\"");
        if r.number == 0 {
            whole.cut(400_000)
        } else {
            whole
        }
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_anew() {
    let file = model();
    let server = Server::start(move |r| {
        if r.number == 0 {
            let mut old = file.clone();
            // Another version: the same header, other weights.
            old[1_000_000..].fill(7);
            return Response::file(r, &old, "v1").cut(1_100_000);
        }
        Response::file(r, &file, "v2")
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
    assert_eq!(server.requests()[1].if_range.as_deref(), Some("\"v1\""));
}

#[test]
fn the_rest_of_another_version_is_not_glued_on() {
    // Servers that send the rest of whatever they have now, whatever If-Range asks: the tag or the length tells.
    let mut longer = model();
    longer.push(0);
    for (tag, now) in [("v2", model()), ("v1", longer)] {
        let file = now.clone();
        let server = Server::start(move |r| match r.from {
            None if r.number == 0 => {
                let mut old = model();
                old[1_000_000..].fill(7);
                Response::file(r, &old, "v1").cut(1_100_000)
            }
            None => Response::file(r, &file, tag),
            Some(from) => Response::new(206, &file[from..])
                .header(
                    "Content-Range",
                    format!("bytes {from}-{}/{}", file.len() - 1, file.len()),
                )
                .header("ETag", format!("\"{tag}\"")),
        });
        let cache = Scratch::new();
        ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
        let files = finished(&cache);
        assert!(
            std::fs::read(&files[0]).expect("readable") == now,
            "{tag}: two versions in one file"
        );
    }
}

#[test]
fn weak_tags_do_not_promise_equal_bytes_and_are_not_resumed() {
    let file = model();
    let server = Server::start(move |r| {
        let whole = Response::new(200, file.as_slice()).header("ETag", "W/\"v1\"");
        if r.number == 0 {
            whole.cut(400_000)
        } else {
            whole
        }
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
    assert_eq!(server.requests()[1].from, None);
}

#[test]
fn a_range_that_starts_elsewhere_is_not_glued_on() {
    let file = model();
    let server = Server::start(move |r| match (r.number, r.from) {
        (0, _) => Response::file(r, &file, "v1").cut(400_000),
        (_, Some(from)) => {
            let from = from + 1;
            Response::new(206, &file[from..])
                .header(
                    "Content-Range",
                    format!("bytes {from}-{}/{}", file.len() - 1, file.len()),
                )
                .header("ETag", "\"v1\"")
        }
        _ => Response::file(r, &file, "v1"),
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
}

#[test]
fn a_wrong_hash_of_a_resumed_file_starts_once_more() {
    let file = model();
    let hash = sha256(&file);
    let server = Server::start(move |r| {
        let mut old = file.clone();
        old[1_000_000..].fill(7);
        // The same tag for two versions: only the hash can tell.
        let body = if r.number == 0 { &old } else { &file };
        let answer = Response::file(r, body, "v1").header("X-Linked-Etag", format!("\"{hash}\""));
        if r.number == 0 {
            answer.cut(1_100_000)
        } else {
            answer
        }
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_busy_server_is_asked_again() {
    let file = model();
    let server = Server::start(move |r| match r.number {
        0 | 1 => Response::new(429, "slow down").header("Retry-After", "0"),
        _ => Response::file(r, &file, "v1"),
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    let always = Server::start(|_| Response::new(429, "slow down").header("Retry-After", "0"));
    tokenize(&cache, &format!("{}/m.gguf", always.address), &[])
        .code(3)
        .error("E_HTTP_BUSY");
    assert_eq!(always.requests().len(), 5);
}

#[test]
fn a_compressed_transfer_is_unpacked_and_never_resumed() {
    let file = model();
    let packed = gzip(&file);
    let server = Server::start(move |r| {
        let whole = Response::new(200, packed.as_slice())
            .header("ETag", "\"v1\"")
            .header("Content-Encoding", "gzip");
        if r.number == 0 {
            whole.cut(300_000)
        } else {
            whole
        }
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
    assert_eq!(server.requests()[1].from, None);
}

#[test]
fn a_server_that_states_no_length_is_fine() {
    let file = model();
    let server = Server::start(move |_| Response {
        length: false,
        ..Response::new(200, file.as_slice())
    });
    let cache = Scratch::new();
    ids(tokenize(&cache, &format!("{}/m.gguf", server.address), &[]));
    assert_exact(&cache);
}

#[test]
fn the_hubs_redirect_carries_the_hash() {
    let file = model();
    let hash = sha256(&file);
    let answer = move |r: &Request| match r.path.as_str() {
        "/owner/repo/resolve/main/dir/m.gguf" => Response::new(302, "")
            .header("Location", "/cdn/blob?signature=secret")
            .header("X-Linked-Size", file.len().to_string())
            .header("X-Linked-Etag", format!("\"{hash}\"")),
        "/cdn/blob?signature=secret" => Response::file(r, &file, "cdn"),
        _ => Response::new(404, ""),
    };
    let server = Server::start(answer);
    let cache = Scratch::new();
    let ended = Ended::of(
        command(["tokenize", "hf:owner/repo/dir/m.gguf", "Hello", "--json"])
            .env("WASM_CHORD_CACHE", cache.path(""))
            .env("HF_ENDPOINT", &server.address)
            .env("HF_TOKEN", "secret-token")
            .output()
            .expect("the command starts"),
    );
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    ids(ended);
    assert_exact(&cache);
    assert!(
        server.requests().iter().all(|r| r.authorization.is_none()),
        "no token goes out unencrypted"
    );
}

#[test]
fn two_at_once_fetch_one_copy() {
    let file = model();
    let server = Server::start(move |r| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        Response::file(r, &file, "v1")
    });
    let cache = Scratch::new();
    let url = format!("{}/m.gguf", server.address);
    let start = || {
        command(["tokenize", &url, "Hello", "--json"])
            .env("WASM_CHORD_CACHE", cache.path(""))
            .spawn()
            .expect("the command starts")
    };
    let (a, b) = (start(), start());
    for child in [a, b] {
        ids(Ended::of(
            child.wait_with_output().expect("the command ends"),
        ));
    }
    assert_exact(&cache);
    assert_eq!(server.requests().len(), 1);
}

/// A gzip file of stored blocks: valid, and nothing is needed to make it.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let len = u16::try_from(block.len()).expect("fits");
        out.push(u8::from(blocks.peek().is_none()));
        out.write_all(&len.to_le_bytes()).expect("vec");
        out.write_all(&(!len).to_le_bytes()).expect("vec");
        out.write_all(block).expect("vec");
    }
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    out.write_all(&(!crc).to_le_bytes()).expect("vec");
    out.write_all(&u32::try_from(data.len()).expect("fits").to_le_bytes())
        .expect("vec");
    out
}
