//! One GET with our own redirects: the headers that name the file's hash are on the redirect, not on its target.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, Response, StatusCode, header};

use super::cache::sha256_hex;
use super::error::Error;
use super::url::Url;

const MAX_REDIRECTS: usize = 8;

/// What the server said about the file, and the bytes that follow.
pub struct Reply {
    /// 200 or 206.
    pub status: StatusCode,
    /// First byte of the body within the file.
    pub start: u64,
    /// Length of the whole file, where known.
    pub size: Option<u64>,
    /// Whether a later request may ask for the rest: the length is that of the stored bytes.
    pub resumable: bool,
    /// Entity tag, strong ones only: a weak one does not promise equal bytes.
    pub etag: Option<String>,
    /// SHA-256 that the hub states for the file.
    pub sha256: Option<String>,
    /// The bytes.
    pub body: Box<dyn Read>,
}

/// Client with deadlines for everything but the whole transfer.
pub fn agent() -> Agent {
    Agent::config_builder()
        .user_agent(concat!("wasm-chord/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .new_agent()
}

/// Asks for `url` from byte `from` on; `etag` must be that of the bytes already there when `from` > 0.
pub fn get(
    agent: &Agent,
    url: &Url,
    from: u64,
    etag: Option<&str>,
    token: Option<&Token>,
) -> Result<Reply, Error> {
    let mut at = url.clone();
    let mut sha256 = None;
    let mut linked_size = None;
    for _ in 0..=MAX_REDIRECTS {
        // Compressed transfers have another length and no resumable ranges; model files do not compress anyway.
        let mut request = agent
            .get(at.text())
            .header(header::ACCEPT_ENCODING, "identity");
        if let (true, Some(etag)) = (from > 0, etag) {
            request = request
                .header(header::RANGE, format!("bytes={from}-"))
                .header(header::IF_RANGE, etag);
        }
        if let Some(token) = token.filter(|t| t.is_for(&at)) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.value));
        }
        let response = request.call().map_err(|e| Error::Network {
            url: at.shown(),
            what: e.to_string(),
        })?;
        let headers = response.headers();
        sha256 = sha256.or_else(|| {
            text(headers, "x-linked-etag").and_then(|t| sha256_hex(t.trim_matches('"')))
        });
        linked_size = linked_size.or_else(|| number(headers, "x-linked-size"));
        let status = response.status();
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            let target =
                text(headers, "location").ok_or_else(|| Error::Redirect { url: at.shown() })?;
            at = at.join(target)?;
            continue;
        }
        return match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                Ok(reply(response, sha256, linked_size))
            }
            _ => Err(Error::Status {
                url: at.shown(),
                status: status.as_u16(),
                retry_after: number(headers, "retry-after"),
            }),
        };
    }
    Err(Error::Redirect { url: url.shown() })
}

fn reply(
    response: Response<ureq::Body>,
    sha256: Option<String>,
    linked_size: Option<u64>,
) -> Reply {
    let headers = response.headers();
    let status = response.status();
    let length = number(headers, "content-length");
    // "bytes 100-199/200"
    let range = text(headers, "content-range").and_then(|r| {
        let (span, size) = r.trim().strip_prefix("bytes ")?.split_once('/')?;
        Some((
            span.split_once('-')?.0.parse::<u64>().ok()?,
            size.parse::<u64>().ok(),
        ))
    });
    let (start, size) = match (status, range) {
        (StatusCode::PARTIAL_CONTENT, Some((start, size))) => (start, size),
        // A 206 without a readable range could be any part of the file: a start that never matches makes us begin anew.
        (StatusCode::PARTIAL_CONTENT, None) => (u64::MAX, None),
        _ => (0, length),
    };
    // ureq removes Content-Length where it decompresses, so a length means: these are the stored bytes.
    let resumable = length.is_some() && headers.get(header::CONTENT_ENCODING).is_none();
    let etag = text(headers, "etag")
        .filter(|e| !e.starts_with("W/"))
        .map(str::to_owned);
    Reply {
        status,
        start,
        size: size.or(linked_size),
        resumable,
        etag,
        sha256,
        body: Box::new(response.into_body().into_reader()),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// Access token of a model hub, sent to that hub only and only encrypted.
#[derive(Clone)]
pub struct Token {
    host: String,
    value: String,
}

impl Token {
    /// The user's `HF_TOKEN`, for `endpoint`.
    pub fn from_env(endpoint: &Url) -> Option<Token> {
        let value = std::env::var("HF_TOKEN").ok().filter(|t| !t.is_empty())?;
        Some(Token {
            host: endpoint.host().to_owned(),
            value,
        })
    }

    fn is_for(&self, url: &Url) -> bool {
        url.is_https() && url.host().eq_ignore_ascii_case(&self.host)
    }
}
