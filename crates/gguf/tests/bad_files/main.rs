//! Bad files, one row per cause: each must give its own code, at its own place, with advice, however it is fed.
//!
//! Rows 1 to 58 of the bad-input corpus; rows 59 and 60 (every cut, every flipped bit) are in `properties.rs`, and the
//! rows that need a model's configuration in `crates/model/tests`.

mod header;
mod metadata;
mod tensors;

use std::collections::BTreeSet;

use chord_gguf::write::{FileSpec, WriteValue};
use chord_gguf::{Directory, Error, Limits, Parser, Progress};

/// One bad file and what must be said about it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    code: &'static str,
    /// Byte offset in the error, where the row states one.
    at: Option<u64>,
    /// Must occur in the message or the advice.
    says: &'static str,
}

fn case(
    name: impl Into<String>,
    bytes: Vec<u8>,
    code: &'static str,
    at: impl Into<Option<u64>>,
    says: &'static str,
) -> Case {
    Case {
        name: name.into(),
        bytes,
        code,
        at: at.into(),
        says,
    }
}

/// A file of metadata only.
fn only(key: &str, value: WriteValue) -> FileSpec {
    let mut spec = FileSpec::default();
    spec.push(key, value);
    spec
}

/// Feeds `bytes` in pieces of `step` to a parser that knows the file's length.
fn in_pieces(bytes: &[u8], step: usize) -> Result<Directory, Error> {
    let mut parser = Parser::new(Limits::DEFAULT).with_file_len(bytes.len() as u64);
    for piece in bytes.chunks(step) {
        if let Progress::Ready(directory) = parser.feed(piece)? {
            return Ok(*directory);
        }
    }
    parser.finish().map(|directory| *directory)
}

fn all_cases() -> Vec<Case> {
    let mut cases = header::cases();
    cases.extend(metadata::cases());
    cases.extend(tensors::cases());
    cases
}

#[test]
fn each_bad_file_gives_its_code_place_and_advice() {
    let mut faults = Vec::new();
    let cases = all_cases();
    for Case {
        name,
        bytes,
        code,
        at,
        says,
    } in &cases
    {
        let error = match Directory::parse_file(bytes) {
            Err(error) => error,
            Ok(directory) => {
                faults.push(format!("{name}: accepted {directory:?}"));
                continue;
            }
        };
        if error.code() != *code {
            faults.push(format!(
                "{name}: want {code}, got {} ({error})",
                error.code()
            ));
        }
        if at.is_some() && error.offset() != *at {
            faults.push(format!(
                "{name}: want offset {at:?}, got {:?} ({error})",
                error.offset()
            ));
        }
        if !format!("{error} {}", error.help()).contains(says) {
            faults.push(format!(
                "{name}: {says:?} is not in {error:?} / {:?}",
                error.help()
            ));
        }
        if error.help().len() < 20 {
            faults.push(format!("{name}: no advice"));
        }
        for step in [1, 7, 64] {
            if in_pieces(bytes, step).as_ref() != Err(&error) {
                faults.push(format!(
                    "{name}: fed in pieces of {step}, the verdict differs"
                ));
            }
        }
        // Without the length known in advance the cause may be seen later, but never not at all.
        let late = Directory::parse(bytes)
            .and_then(|directory| directory.check_file_len(bytes.len() as u64));
        if late.is_ok() {
            faults.push(format!(
                "{name}: accepted when the length is not known in advance"
            ));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn every_code_of_a_header_occurs() {
    let seen: BTreeSet<&str> = all_cases().iter().map(|case| case.code).collect();
    let want = [
        "E_TRUNCATED",
        "E_BAD_MAGIC",
        "E_VERSION",
        "E_BIG_ENDIAN",
        "E_COUNT",
        "E_STRING_LEN",
        "E_KEY_EMPTY",
        "E_KEY_DUP",
        "E_KEY_UTF8",
        "E_KEY_CHARS",
        "E_KV_TYPE",
        "E_ARR_TYPE",
        "E_ARR_NESTED",
        "E_ARR_LEN",
        "E_BOOL",
        "E_ALIGN",
        "E_META_TYPE",
        "E_NAME_EMPTY",
        "E_NAME_LEN",
        "E_NAME_CHARS",
        "E_NAME_DUP",
        "E_NDIMS",
        "E_DIM",
        "E_SHAPE_OVERFLOW",
        "E_SIZE_OVERFLOW",
        "E_BLOCK",
        "E_TENSOR_TYPE",
        "E_OFFSET",
        "E_OVERLAP",
    ];
    assert_eq!(seen, BTreeSet::from(want));
}

#[test]
fn no_two_rows_share_a_name() {
    let cases = all_cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}
