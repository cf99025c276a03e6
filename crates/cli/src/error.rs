//! What can go wrong in the command, with a stable code, advice, and the process's exit code.

use std::io;
use std::path::{Path, PathBuf};

use chord_gguf::PartName;
use chord_runtime::ExitClass;

use crate::model_file::error as download;

/// Exit codes of the command.
pub mod exit {
    pub const OK: u8 = 0;
    /// `trace` found faults or differences.
    pub const FAULTS: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const MODEL: u8 = 3;
    pub const NO_ADAPTER: u8 = 4;
    pub const DEVICE: u8 = 5;
    pub const INTERRUPTED: u8 = 130;
}

/// Errors of the command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that cannot be.
    #[error("{what}")]
    Usage { what: String, help: String },
    /// A file given on the command line, other than the model, cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A file given on the command line does not hold what it should.
    #[error("{}: {what}", path.display())]
    FileContent {
        path: PathBuf,
        what: String,
        help: String,
    },
    /// Standard input or output failed.
    #[error("standard {stream}: {source}")]
    Stdio {
        stream: &'static str,
        source: io::Error,
    },
    /// Whoever read standard output went away.
    #[error("standard output was closed")]
    ClosedPipe,
    /// The system gave no thread.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The model file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    ModelFile { path: PathBuf, source: io::Error },
    /// The model file is not the one that was asked for.
    #[error("{}: SHA-256 is {found}, expected {expected}", path.display())]
    ModelHash {
        path: PathBuf,
        found: String,
        expected: String,
    },
    /// Fetching the model failed.
    #[error(transparent)]
    Download(#[from] download::Error),
    /// The prompt does not fit.
    #[error("the prompt has {prompt} tokens, the context holds {context}")]
    Context { prompt: usize, context: u32 },
    #[error(transparent)]
    Gguf(#[from] chord_gguf::Error),
    #[error(transparent)]
    Model(#[from] chord_model::Error),
    #[error(transparent)]
    Text(#[from] chord_text::Error),
    #[error(transparent)]
    Engine(#[from] chord_runtime::Error),
}

impl Error {
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Error {
        Error::Usage {
            what: what.into(),
            help: help.into(),
        }
    }

    /// A failed write to standard output.
    pub fn stdout(source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::BrokenPipe {
            Error::ClosedPipe
        } else {
            Error::Stdio {
                stream: "output",
                source,
            }
        }
    }

    /// A failed read of standard input.
    pub fn stdin(source: io::Error) -> Error {
        Error::Stdio {
            stream: "input",
            source,
        }
    }

    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, source }
    }

    /// Stable name of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Usage { .. } => "E_USAGE",
            Error::File { .. } => "E_FILE",
            Error::FileContent { .. } => "E_FILE_CONTENT",
            Error::Stdio { .. } => "E_STDIO",
            Error::ClosedPipe => "E_CLOSED_PIPE",
            Error::Thread(_) => "E_THREADS",
            Error::Interrupted => "E_INTERRUPTED",
            Error::ModelFile { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "E_NOT_FOUND"
            }
            Error::ModelFile { .. } => "E_MODEL_FILE",
            Error::ModelHash { .. } => "E_SHA256",
            Error::Download(e) => e.code(),
            Error::Context { .. } => "E_CONTEXT",
            Error::Gguf(e) => e.code(),
            Error::Model(e) => e.code(),
            Error::Text(e) => e.code(),
            Error::Engine(e) => e.code(),
        }
    }

    /// What to do about it; empty where there is nothing to say.
    pub fn help(&self) -> String {
        match self {
            Error::Usage { help, .. } | Error::FileContent { help, .. } => help.clone(),
            Error::File { .. } => "check that the path exists and may be read or written".into(),
            Error::Stdio { .. } | Error::ClosedPipe | Error::Interrupted => String::new(),
            Error::Thread(_) => "end other programs, or raise the limit of processes (ulimit -u)".into(),
            Error::ModelFile { path, source } if source.kind() == io::ErrorKind::NotFound && is_part(path) => {
                "all parts of a split model must be in one folder, under the names they were published with".into()
            }
            Error::ModelFile { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "MODEL is the path of a .gguf file, an https:// address, or hf:owner/repo/file.gguf".into()
            }
            Error::ModelFile { .. } => "check that MODEL is a file that may be read".into(),
            Error::ModelHash { .. } => "the file is damaged or another one: delete it and get it again, or correct --sha256".into(),
            Error::Download(e) => e.help(),
            Error::Context { .. } => "shorten the prompt, or raise --ctx if the model and the device allow it".into(),
            Error::Gguf(e) => e.help(),
            Error::Model(e) => e.help(),
            Error::Text(e) => e.help(),
            Error::Engine(e) => e.help(),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::ClosedPipe => exit::OK,
            Error::Interrupted => exit::INTERRUPTED,
            Error::Thread(_) => exit::DEVICE,
            Error::Usage { .. }
            | Error::File { .. }
            | Error::FileContent { .. }
            | Error::Stdio { .. }
            | Error::Context { .. }
            | Error::Model(chord_model::Error::ContextTooLong { .. }) => exit::USAGE,
            Error::ModelFile { .. }
            | Error::ModelHash { .. }
            | Error::Download(_)
            | Error::Gguf(_)
            | Error::Model(_)
            | Error::Text(_) => exit::MODEL,
            Error::Engine(e) => match e.exit_class() {
                ExitClass::Usage => exit::USAGE,
                ExitClass::Model => exit::MODEL,
                ExitClass::NoAdapter => exit::NO_ADAPTER,
                ExitClass::Device => exit::DEVICE,
                ExitClass::Interrupted => exit::INTERRUPTED,
            },
        }
    }

    /// The line that `--json` puts on standard output.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"event": "error", "code": self.code(), "message": self.to_string(), "help": self.help()})
    }
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| PartName::parse(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chord_kernels::Error as Gpu;

    fn exit_code(e: impl Into<chord_runtime::Error>) -> (u8, &'static str) {
        let error = Error::Engine(e.into());
        assert_eq!(error.to_json()["code"], error.code());
        assert!(!error.help().is_empty(), "{error}");
        (error.exit_code(), error.code())
    }

    #[test]
    fn a_device_that_fails_is_5_and_one_that_is_not_there_is_4() {
        assert_eq!(exit_code(Gpu::Lost("gone".into())), (5, "E_DEVICE_LOST"));
        let full = Gpu::OutOfMemory {
            what: "K 0".into(),
            bytes: 1 << 30,
        };
        assert_eq!(exit_code(full), (5, "E_GPU_OOM"));
        assert_eq!(exit_code(Gpu::Timeout { seconds: 9 }), (5, "E_GPU_TIMEOUT"));
        let adapter = "old".into();
        assert_eq!(
            exit_code(Gpu::NoTimestamps { adapter }),
            (5, "E_NO_TIMESTAMPS")
        );
        let reasons = vec!["too large".into()];
        assert_eq!(exit_code(chord_model::Error::Fit { reasons }), (5, "E_FIT"));
        let none = Gpu::NoAdapter {
            wanted: None,
            found: Vec::new(),
        };
        assert_eq!(exit_code(none), (4, "E_NO_ADAPTER"));
    }

    #[test]
    fn too_long_a_context_is_a_wrong_request_wherever_it_is_found() {
        let (asked, max) = (65, 64);
        let error = || chord_model::Error::ContextTooLong { asked, max };
        assert_eq!(exit_code(error()), (2, "E_CTX"));
        assert_eq!(Error::Model(error()).exit_code(), 2);
    }
}
