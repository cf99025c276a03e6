//! MODEL on the command line: what it names, where its bytes are, and its header.

mod arrival;
pub mod cache;
pub mod download;
pub mod error;
mod files;
mod header;
mod http;
mod progress;
mod read_ahead;
mod url;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use chord_gguf::{Directory, Limits, Parser, PartName, Progress};

pub use files::Files;

use self::arrival::Arrival;
use self::http::Token;
use self::url::Url;
use crate::args::ModelArgs;
use crate::error::Error;

/// Overrides the hub's address, as in Hugging Face's own tools.
const HF_ENDPOINT_ENV: &str = "HF_ENDPOINT";
const HF_ENDPOINT: &str = "https://huggingface.co";

/// What MODEL names.
#[derive(Debug, PartialEq, Eq)]
enum ModelRef {
    Path(PathBuf),
    Url(Url),
    /// A file on the hub; its address.
    Hub(Url),
}

impl ModelRef {
    fn parse(text: &OsStr, endpoint: &str) -> Result<ModelRef, Error> {
        let Some(s) = text.to_str() else {
            return Ok(ModelRef::Path(text.into()));
        };
        if let Some(rest) = s.strip_prefix("hf:") {
            let mut parts = rest.trim_start_matches('/').splitn(3, '/');
            let (Some(owner), Some(repo), Some(file)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(bad_hub_name(s));
            };
            let plain = |p: &str| {
                p.split('/').all(|seg| {
                    !seg.is_empty()
                        && seg != "."
                        && seg != ".."
                        && seg
                            .chars()
                            .all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
                })
            };
            if !(plain(owner) && plain(repo) && plain(file)) {
                return Err(bad_hub_name(s));
            }
            let address = format!(
                "{}/{owner}/{repo}/resolve/main/{file}",
                endpoint.trim_end_matches('/')
            );
            return Ok(ModelRef::Hub(Url::parse(&address)?));
        }
        if s.contains("://") {
            return Ok(ModelRef::Url(Url::parse(s)?));
        }
        Ok(ModelRef::Path(text.into()))
    }

    /// All parts of the split model that this is a part of; otherwise this alone.
    fn parts(self) -> Result<Vec<ModelRef>, Error> {
        match &self {
            ModelRef::Path(path) => {
                let name = path.file_name().and_then(OsStr::to_str);
                let Some(part) = name.and_then(PartName::parse) else {
                    return Ok(vec![self]);
                };
                let parts = part.all().map(|name| path.with_file_name(name));
                Ok(parts.map(ModelRef::Path).collect())
            }
            ModelRef::Url(url) => Ok(url.parts()?.into_iter().map(ModelRef::Url).collect()),
            ModelRef::Hub(url) => Ok(url.parts()?.into_iter().map(ModelRef::Hub).collect()),
        }
    }
}

fn bad_hub_name(s: &str) -> Error {
    Error::usage(
        format!("{s} does not name a file on the hub"),
        "write hf:owner/repo/file.gguf",
    )
}

fn reference(args: &ModelArgs) -> Result<(ModelRef, Option<Token>), Error> {
    let endpoint = std::env::var(HF_ENDPOINT_ENV)
        .ok()
        .filter(|e| !e.is_empty())
        .unwrap_or_else(|| HF_ENDPOINT.into());
    let model = ModelRef::parse(&args.model, &endpoint)?;
    let token = match &model {
        ModelRef::Hub(url) => Token::from_env(url),
        _ => None,
    };
    Ok((model, token))
}

fn expected_hash(args: &ModelArgs) -> Result<Option<String>, Error> {
    let Some(text) = &args.sha256 else {
        return Ok(None);
    };
    match cache::sha256_hex(text.trim()) {
        Some(hash) => Ok(Some(hash)),
        None => Err(Error::usage(
            format!("--sha256 {text}: not a SHA-256"),
            "give 64 hexadecimal digits",
        )),
    }
}

/// The model for reading forwards, once. A download need not have ended: see [`Files::settle`].
pub fn open(args: &ModelArgs) -> Result<Files, Error> {
    let (model, token) = reference(args)?;
    match model.parts()?.as_slice() {
        [ModelRef::Url(url) | ModelRef::Hub(url)] if !download::is_here(url)? => {
            Files::arriving(url.clone(), expected_hash(args)?, token)
        }
        _ => Files::open(&resolve(args)?),
    }
}

/// The model as a file on this machine, or as those of all its parts; downloads it where needed.
pub fn resolve(args: &ModelArgs) -> Result<Vec<PathBuf>, Error> {
    let expected = expected_hash(args)?;
    let (model, token) = reference(args)?;
    let parts = model.parts()?;
    if let ([_, _, ..], Some(_)) = (parts.as_slice(), &expected) {
        return Err(Error::usage(
            "--sha256 with a model of several files",
            "check the files with sha256sum, then leave --sha256 out",
        ));
    }
    let split = parts.len() > 1;
    if split {
        // Alone the parts cannot be judged, and should be before their bulk is fetched.
        header::check(&headers(&parts, token.as_ref())?.0)?;
    }
    let fetch = |part: ModelRef| match part {
        ModelRef::Path(path) => check_hash(path, expected.as_deref()),
        ModelRef::Url(url) | ModelRef::Hub(url) => download::fetch(
            &url,
            split,
            expected.as_deref(),
            token.as_ref(),
            &Arrival::default(),
        ),
    };
    parts.into_iter().map(fetch).collect()
}

/// The header of the model and the length of its files. An address is not downloaded for this, unless a hash is to be checked.
pub fn header(args: &ModelArgs) -> Result<(Box<Directory>, Option<u64>), Error> {
    if args.sha256.is_some() {
        let (directory, length) = read_headers(&resolve(args)?)?;
        return Ok((directory, Some(length)));
    }
    let (model, token) = reference(args)?;
    headers(&model.parts()?, token.as_ref())
}

fn headers(
    parts: &[ModelRef],
    token: Option<&Token>,
) -> Result<(Box<Directory>, Option<u64>), Error> {
    let one = |part: &ModelRef| match part {
        ModelRef::Path(path) => read_header(path).map(|(d, length)| (d, Some(length))),
        ModelRef::Url(url) | ModelRef::Hub(url) => download::fetch_header(url, token),
    };
    joined(parts.iter().map(one).collect::<Result<_, _>>()?)
}

/// The header of the model in these files, and their length.
pub fn read_headers(paths: &[PathBuf]) -> Result<(Box<Directory>, u64), Error> {
    let parts: Vec<_> = paths
        .iter()
        .map(|path| read_header(path))
        .collect::<Result<_, _>>()?;
    let length = parts.iter().map(|(_, length)| length).sum();
    let parts = parts.into_iter().map(|(d, length)| (d, Some(length)));
    Ok((joined(parts.collect())?.0, length))
}

fn joined(
    parts: Vec<(Box<Directory>, Option<u64>)>,
) -> Result<(Box<Directory>, Option<u64>), Error> {
    let length = parts.iter().map(|(_, length)| *length).sum();
    let parts = parts.into_iter().map(|(directory, length)| {
        let ends = directory.tensors().iter().map(chord_gguf::TensorInfo::end);
        // A length that the server does not tell is that of the tensors.
        let length = length.or_else(|| ends.max()).unwrap_or(0);
        (*directory, length)
    });
    Ok((Box::new(Directory::join(parts)?), length))
}

fn check_hash(path: PathBuf, expected: Option<&str>) -> Result<PathBuf, Error> {
    if let Some(expected) = expected {
        let found = download::hash_file(&path).map_err(|source| Error::ModelFile {
            path: path.clone(),
            source,
        })?;
        if found != expected {
            return Err(Error::ModelHash {
                path,
                found,
                expected: expected.to_owned(),
            });
        }
    }
    Ok(path)
}

/// Reads only as much of `path` as its header needs.
fn read_header(path: &Path) -> Result<(Box<Directory>, u64), Error> {
    let failed = |source: io::Error| Error::ModelFile {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let mut parser = Parser::new(Limits::default()).with_file_len(meta.len());
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let n = file.read(&mut buffer).map_err(failed)?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else {
            return Ok((parser.finish()?, meta.len()));
        };
        if let Progress::Ready(directory) = parser.feed(bytes)? {
            return Ok((directory, meta.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(s: &str) -> Result<ModelRef, Error> {
        ModelRef::parse(OsStr::new(s), HF_ENDPOINT)
    }

    #[test]
    fn the_three_forms_are_told_apart() {
        assert_eq!(
            parse("dir/m.gguf").expect("path"),
            ModelRef::Path("dir/m.gguf".into())
        );
        assert_eq!(
            parse("C:\\m.gguf").expect("path"),
            ModelRef::Path("C:\\m.gguf".into())
        );
        let Ok(ModelRef::Hub(url)) = parse("hf:o/r-1/sub/m.Q4_K.gguf") else {
            panic!("hub expected")
        };
        assert_eq!(
            url.text(),
            "https://huggingface.co/o/r-1/resolve/main/sub/m.Q4_K.gguf"
        );
        assert!(matches!(
            parse("https://e.org/m.gguf"),
            Ok(ModelRef::Url(_))
        ));
    }

    #[test]
    fn hub_names_cannot_leave_their_repository() {
        for bad in [
            "hf:",
            "hf:o/r",
            "hf:o/r/",
            "hf:o/../m.gguf",
            "hf:o/r/../../x",
            "hf:o/r/m?x=1",
            "hf:o//m.gguf",
            "hf:o/r/a@b",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
