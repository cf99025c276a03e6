//! Which addresses a model may come from, and where a redirect leads.

use std::net::IpAddr;

use chord_gguf::PartName;
use ureq::http::Uri;

use super::error::Error;

/// An absolute address that is allowed: https anywhere, http only on this machine (tests, local mirrors).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// Reads and checks an address.
    pub fn parse(text: &str) -> Result<Url, Error> {
        let bad = |why: &'static str| Error::Url {
            url: display_safe(text),
            why,
        };
        // A fragment is never sent; http::Uri drops it.
        let uri: Uri = text
            .parse()
            .map_err(|_| bad("this is not a valid address"))?;
        let host = uri.host().ok_or_else(|| bad("the address names no host"))?;
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(bad(
                "user names and passwords in addresses are not supported",
            ));
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback(host) => {}
            Some("http") => {
                return Err(bad(
                    "http:// is not protected against tampering; use https://",
                ));
            }
            _ => return Err(bad("only https:// addresses are supported")),
        }
        Ok(Url(uri))
    }

    /// The address a `Location` header points to, seen from `self`.
    pub fn join(&self, location: &str) -> Result<Url, Error> {
        let scheme = self.0.scheme_str().unwrap_or("https");
        // A query may hold another address: only what comes before the path, the query and the fragment is a scheme.
        let front = location.split(['/', '?', '#']).next().unwrap_or("");
        let path = self.0.path();
        let absolute = if front.contains(':') {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            self.on_host(location)
        } else if location.starts_with('?') {
            self.on_host(&format!("{path}{location}"))
        } else {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            self.on_host(&format!("{folder}/{location}"))
        };
        let next = Url::parse(&absolute)?;
        if scheme == "https" && next.0.scheme_str() != Some("https") {
            return Err(Error::Url {
                url: next.shown(),
                why: "the server redirects from https:// to http://",
            });
        }
        Ok(next)
    }

    /// The address of `path`, which may have a query, on the same host.
    fn on_host(&self, path: &str) -> String {
        let scheme = self.0.scheme_str().unwrap_or("https");
        let authority = self.0.authority().map_or("", |a| a.as_str());
        format!("{scheme}://{authority}{path}")
    }

    /// The addresses of all parts where this is one of a split model; otherwise this alone.
    pub fn parts(&self) -> Result<Vec<Url>, Error> {
        let (folder, name) = self.0.path().rsplit_once('/').unwrap_or_default();
        let Some(part) = PartName::parse(name) else {
            return Ok(vec![self.clone()]);
        };
        let query = self.0.query().map_or(String::new(), |q| format!("?{q}"));
        part.all()
            .map(|name| Url::parse(&self.on_host(&format!("{folder}/{name}{query}"))))
            .collect()
    }

    /// As text, for a request.
    pub fn text(&self) -> String {
        self.0.to_string()
    }

    /// As text for messages: without the query, which may hold a signature or a key.
    pub fn shown(&self) -> String {
        display_safe(&self.text())
    }

    /// Host name without port.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or("")
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Last part of the path, made safe as a file name.
    pub fn file_name(&self) -> String {
        let last = self.0.path().rsplit('/').next().unwrap_or("");
        let clean: String = last
            .chars()
            .take(100)
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let clean = clean.trim_start_matches('.');
        if clean.is_empty() {
            "model.gguf".into()
        } else {
            clean.into()
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn display_safe(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or("");
    match text.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest
            .split_once('/')
            .map_or((rest, None), |(a, p)| (a, Some(p)));
        let (_, host) = authority.rsplit_once('@')?;
        Some(match path {
            Some(path) => format!("{scheme}://{host}/{path}"),
            None => format!("{scheme}://{host}"),
        })
    }) {
        Some(without_login) => without_login,
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_loopback_http_only() {
        for ok in [
            "https://e.org/m.gguf",
            "http://127.0.0.1:8080/m.gguf",
            "http://localhost/m",
            "http://[::1]:1/m",
        ] {
            assert!(Url::parse(ok).is_ok(), "{ok}");
        }
        for bad in [
            "http://e.org/m.gguf",
            "ftp://e.org/m",
            "https://",
            "https://u:p@e.org/m",
            "http://127.0.0.1.e.org/m",
            "https:///m",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_resolve_and_never_leave_encryption() {
        let base = Url::parse("https://e.org/a/b/m.gguf?x=1").expect("valid");
        assert_eq!(base.join("/c").expect("ok").text(), "https://e.org/c");
        assert_eq!(
            base.join("n.gguf").expect("ok").text(),
            "https://e.org/a/b/n.gguf"
        );
        assert_eq!(
            base.join("//cdn.org/z").expect("ok").text(),
            "https://cdn.org/z"
        );
        assert_eq!(
            base.join("https://cdn.org/z?s=1").expect("ok").text(),
            "https://cdn.org/z?s=1"
        );
        assert_eq!(
            base.join("?x=2").expect("ok").text(),
            "https://e.org/a/b/m.gguf?x=2"
        );
        for (location, target) in [
            (
                "/get?from=https://h.org/m",
                "https://e.org/get?from=https://h.org/m",
            ),
            (
                "get?from=https://h.org/m",
                "https://e.org/a/b/get?from=https://h.org/m",
            ),
        ] {
            assert_eq!(base.join(location).expect("ok").text(), target);
        }
        assert!(base.join("http://e.org/c").is_err());
        assert!(base.join("http://127.0.0.1/c").is_err());
    }

    #[test]
    fn parts_are_on_the_same_host() {
        for (first, second) in [
            (
                "https://e.org//deep/m-00001-of-00002.gguf",
                "https://e.org//deep/m-00002-of-00002.gguf",
            ),
            (
                "https://e.org/m-00001-of-00002.gguf?via=https://h.org/",
                "https://e.org/m-00002-of-00002.gguf?via=https://h.org/",
            ),
        ] {
            let parts = Url::parse(first)
                .and_then(|url| url.parts())
                .expect("valid");
            let parts: Vec<_> = parts.iter().map(Url::text).collect();
            assert_eq!(parts, [first, second]);
        }
    }

    #[test]
    fn messages_hide_queries_and_logins() {
        let url = Url::parse("https://e.org/m.gguf?signature=abc").expect("valid");
        assert_eq!(url.shown(), "https://e.org/m.gguf");
        let Err(Error::Url { url, .. }) = Url::parse("https://me:secret@e.org/m?k=1") else {
            panic!("must be refused")
        };
        assert_eq!(url, "https://e.org/m");
    }

    #[test]
    fn file_names_are_harmless() {
        let name = |u: &str| Url::parse(u).expect("valid").file_name();
        assert_eq!(name("https://e.org/a/m-1.Q4_K.gguf"), "m-1.Q4_K.gguf");
        assert_eq!(name("https://e.org/a/%2e%2e%2fx"), "_2e_2e_2fx");
        assert_eq!(name("https://e.org/a/.."), "model.gguf");
        assert_eq!(name("https://e.org/"), "model.gguf");
    }
}
