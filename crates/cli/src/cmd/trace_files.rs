//! A trace on disk: one .npy per tap and an index that keeps their order; and references made with llama.cpp.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use chord_runtime::trace_check::{Fault, RefTensor, TapSummary};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::figures::table;
use super::tokens_file;
use crate::error::Error;
use crate::npy;
use chord_runtime::{Tap, TraceDump};

const INDEX: &str = "index.json";
const SUMMARY: &str = "summary.txt";

/// index.json, as far as it is read back.
#[derive(Debug, Deserialize)]
struct Index {
    tokens: Vec<u32>,
    taps: Vec<IndexTap>,
}

#[derive(Debug, Serialize, Deserialize)]
struct IndexTap {
    name: String,
    file: String,
}

/// A reference file, as far as it is read.
#[derive(Debug, Deserialize)]
struct Reference {
    ids: Vec<u32>,
    tensors: Vec<ReferenceTensor>,
}

#[derive(Debug, Deserialize)]
struct ReferenceTensor {
    name: String,
    op: String,
    ne: Vec<usize>,
    l2: f64,
    first: Vec<f32>,
    last: Vec<f32>,
}

/// What a trace is compared with.
#[derive(Debug)]
pub enum Against {
    Dump {
        tokens: Vec<u32>,
        dump: TraceDump,
    },
    Reference {
        tokens: Vec<u32>,
        tensors: Vec<RefTensor>,
    },
}

impl Against {
    /// Reads a dump's folder or a reference file.
    pub fn read(path: &Path) -> Result<Against, Error> {
        if path.is_dir() {
            let (tokens, dump) = read_dump(path)?;
            return Ok(Against::Dump { tokens, dump });
        }
        let reference: Reference = read_json(path)?;
        let tensors = reference.tensors.into_iter().map(|t| RefTensor {
            name: t.name,
            op: t.op,
            ne: t.ne,
            l2: t.l2,
            first: t.first,
            last: t.last,
        });
        Ok(Against::Reference {
            tokens: reference.ids,
            tensors: tensors.collect(),
        })
    }

    /// The ids that it was made with.
    pub fn tokens(&self) -> &[u32] {
        match self {
            Against::Dump { tokens, .. } | Against::Reference { tokens, .. } => tokens,
        }
    }
}

fn content(path: &Path, what: impl Into<String>) -> Error {
    Error::FileContent {
        path: path.to_owned(),
        what: what.into(),
        help: "give a folder written by `trace --out`, or a reference with \"ids\" and \"tensors\""
            .into(),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(Error::file(path))?;
    serde_json::from_slice(&bytes).map_err(|e| content(path, e.to_string()))
}

fn read_dump(folder: &Path) -> Result<(Vec<u32>, TraceDump), Error> {
    let index: Index = read_json(&folder.join(INDEX))?;
    let mut taps = Vec::new();
    for entry in index.taps {
        // The index names files of its own folder, nothing else.
        if entry.file.contains(['/', '\\']) || entry.file.starts_with('.') {
            return Err(content(
                &folder.join(INDEX),
                format!("{:?} is not a file of this folder", entry.file),
            ));
        }
        let path = folder.join(&entry.file);
        let bytes = fs::read(&path).map_err(Error::file(&path))?;
        let (shape, data) = npy::parse(&bytes).map_err(|e| content(&path, e))?;
        taps.push(Tap {
            name: entry.name,
            shape,
            data,
        });
    }
    Ok((index.tokens, TraceDump { taps }))
}

/// Writes every tap, the index and the summary table into `folder`. `about` is what the engine says of itself.
pub fn write_dump(
    folder: &Path,
    tokens: &[u32],
    about: &[(String, String)],
    dump: &TraceDump,
    faults: &[Fault],
) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let mut entries = Vec::new();
    for tap in &dump.taps {
        let file = format!("{}.npy", tap.name.replace(['/', '\\'], "_"));
        let path = folder.join(&file);
        let write = || {
            let mut out = BufWriter::new(File::create(&path)?);
            npy::write_header(&mut out, &tap.shape)?;
            npy::write_values(&mut out, &tap.data)?;
            out.flush()
        };
        write().map_err(Error::file(&path))?;
        let s = TapSummary::of(tap);
        entries.push(json!({
            "name": tap.name, "file": file, "shape": tap.shape, "min": s.min, "max": s.max, "mean": s.mean, "l2": s.l2,
            "zeros": s.zeros, "non_finite": s.non_finite, "verdict": s.words(),
        }));
    }
    let about: serde_json::Map<_, _> = about.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let index =
        json!({"engine": about, "tokens": tokens, "taps": entries, "faults": faults_json(faults)});
    let path = folder.join(INDEX);
    fs::write(&path, format!("{index:#}\n")).map_err(Error::file(&path))?;
    let path = folder.join(SUMMARY);
    fs::write(&path, format!("{}\n", summary(dump, faults))).map_err(Error::file(&path))
}

/// Faults as JSON.
pub fn faults_json(faults: &[Fault]) -> serde_json::Value {
    faults
        .iter()
        .map(|f| json!({"kind": f.kind.name(), "tap": f.tap, "token": f.token, "message": f.to_string()}))
        .collect()
}

/// One line per tap in words, then the faults.
pub fn summary(dump: &TraceDump, faults: &[Fault]) -> String {
    let rows: Vec<Vec<String>> = dump
        .taps
        .iter()
        .map(|tap| {
            let s = TapSummary::of(tap);
            let own = faults
                .iter()
                .filter(|f| f.tap == tap.name)
                .map(|f| format!("FAULT: {}", f.what));
            let words: Vec<String> = own.collect();
            let words = if words.is_empty() {
                s.words()
            } else {
                words.join("; ")
            };
            vec![
                s.name,
                format!("{:?}", s.shape),
                format!("{:.4e}", s.min),
                format!("{:.4e}", s.max),
                format!("{:.4e}", s.mean),
                format!("{:.7}", s.l2),
                words,
            ]
        })
        .collect();
    let mut text = table(
        &["tap", "shape", "min", "max", "mean", "l2", "verdict"],
        &rows,
        &[2, 3, 4, 5],
    );
    match faults.first() {
        None => text.push_str("\nno faults"),
        Some(first) => text.push_str(&format!("\n{} faults; the first: {first}", faults.len())),
    }
    text
}

/// Ids for a trace: from `--tokens`, else from what it is compared with. Both must be equal.
pub fn tokens(file: Option<&Path>, against: Option<&Against>) -> Result<Vec<u32>, Error> {
    match (file, against) {
        (Some(file), Some(against)) => {
            let ids = tokens_file::read(file)?;
            if ids != against.tokens() {
                return Err(Error::usage(
                    "--against was made with other tokens than --tokens gives",
                    "leave --tokens out to take the tokens of --against",
                ));
            }
            Ok(ids)
        }
        (Some(file), None) => tokens_file::read(file),
        (None, Some(against)) if !against.tokens().is_empty() => Ok(against.tokens().to_vec()),
        (None, _) => Err(Error::usage(
            "no tokens to trace",
            "give --tokens FILE.json",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_runtime::trace_check;

    fn dump() -> TraceDump {
        TraceDump {
            taps: vec![
                Tap {
                    name: "embd".into(),
                    shape: vec![2, 3],
                    data: vec![1.0, -2.0, 3.0, 0.5, 0.25, 1e-7],
                },
                Tap {
                    name: "k-0".into(),
                    shape: vec![2, 1, 2],
                    data: vec![1.0, 2.0, 0.0, 0.0],
                },
            ],
        }
    }

    fn scratch(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("wasm-chord-{name}-{}", std::process::id()));
        // Left over from a run that was killed.
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_written_dump_reads_back_bit_for_bit() {
        let dir = scratch("dump");
        let dump = dump();
        let faults = trace_check::check(&dump, &[4, 5]);
        assert_eq!(faults.len(), 1, "the key of token 1 is zero");
        write_dump(
            &dir,
            &[4, 5],
            &[("precision".into(), "exact".into())],
            &dump,
            &faults,
        )
        .expect("written");
        let Against::Dump { tokens, dump: back } = Against::read(&dir).expect("read") else {
            panic!("a folder is a dump")
        };
        assert_eq!(tokens, [4, 5]);
        assert_eq!(back.taps.len(), 2);
        for (a, b) in back.taps.iter().zip(&dump.taps) {
            assert_eq!((&a.name, &a.shape, &a.data), (&b.name, &b.shape, &b.data));
        }
        let text = fs::read_to_string(dir.join(SUMMARY)).expect("summary");
        assert!(text.contains("FAULT: the key is all zero"), "{text}");
        assert!(
            text.contains("the first: k-0: the key is all zero, first at token 1"),
            "{text}"
        );
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn an_index_cannot_name_files_elsewhere() {
        let dir = scratch("escape");
        fs::create_dir_all(&dir).expect("made");
        for file in ["../x.npy", "/etc/hosts", "a\\b.npy", ".hidden"] {
            fs::write(
                dir.join(INDEX),
                json!({"tokens": [1], "taps": [{"name": "a", "file": file}]}).to_string(),
            )
            .expect("written");
            assert!(
                matches!(Against::read(&dir), Err(Error::FileContent { .. })),
                "{file}"
            );
        }
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn the_reference_in_the_repository_is_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/trace/SmolLM2-135M-Instruct.Q4_1.deq.json"
        );
        let Against::Reference { tokens, tensors } = Against::read(Path::new(path)).expect("read")
        else {
            panic!("a reference")
        };
        assert_eq!(tokens.len(), 8);
        let named: Vec<String> = tensors.iter().filter_map(RefTensor::tap_name).collect();
        // 13 taps in each of 30 layers, and embd, result_norm, result_output.
        assert_eq!(named.len(), 30 * 13 + 3);
        let unique: std::collections::HashSet<_> = named.iter().collect();
        assert_eq!(unique.len(), named.len(), "every tap is named once");
    }
}
