//! Helpers of the tests that run the real command.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod fetch;
pub mod server;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// A file of the repository's test data.
pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(path)
}

/// The tiny model that most tests run.
pub fn tiny() -> PathBuf {
    data("models/v2k-llama-Q4_K_M.gguf")
}

/// The same as an argument.
pub fn tiny_arg() -> String {
    tiny().to_string_lossy().into_owned()
}

/// A JSON file of the repository's test data.
pub fn read_json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(path)).expect("test data")).expect("JSON")
}

/// A folder that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("wasm-chord-test-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary folder");
        Scratch(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Files below it, as paths relative to it.
    pub fn files(&self) -> Vec<String> {
        fn walk(dir: &Path, base: &Path, into: &mut Vec<String>) {
            for entry in std::fs::read_dir(dir).expect("folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, base, into);
                } else {
                    into.push(
                        path.strip_prefix(base)
                            .expect("inside")
                            .to_string_lossy()
                            .into_owned(),
                    );
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.0, &self.0, &mut files);
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left for the system's own cleaning where it fails.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The device that tests are run on: `WASM_CHORD_TEST_DEVICE=cpu` for the CPU. A test that holds on a GPU only has `_on_gpu` in
/// its name, so that the run on the CPU can leave it out, and names its device.
pub fn device() -> &'static str {
    match std::env::var("WASM_CHORD_TEST_DEVICE").as_deref() {
        Ok("cpu") => "cpu",
        // By itself the command would leave a GPU in software for the CPU.
        Err(_) | Ok("gpu") => "gpu",
        Ok(other) => panic!("WASM_CHORD_TEST_DEVICE is cpu or gpu, not {other:?}"),
    }
}

/// The command, away from the user's cache, colours and tokens.
pub fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasm-chord"));
    command
        .args(args)
        .env("NO_COLOR", "1")
        .env(
            "WASM_CHORD_CACHE",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"),
        )
        .env_remove("HF_TOKEN")
        .env_remove("HF_ENDPOINT")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for proxy in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(proxy);
    }
    on_device(&mut command);
    command
}

/// Runs the command to its end.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ended {
    Ended::of(command(args).output().expect("the command starts"))
}

/// As [`run`], with standard input.
pub fn run_with_input<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, input: &[u8]) -> Ended {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // A command that fails early reads nothing.
    let _ = child.stdin.take().expect("piped").write_all(input);
    Ended::of(child.wait_with_output().expect("the command ends"))
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).expect("the command writes UTF-8 here");
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Asserts the exit code, showing what was said otherwise.
    #[track_caller]
    pub fn code(self, code: i32) -> Ended {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts an error's code on standard error, and that it comes with advice.
    #[track_caller]
    pub fn error(self, code: &str) -> Ended {
        assert!(
            self.stderr.contains(&format!("error[{code}]: ")),
            "want {code}, stderr:\n{}",
            self.stderr
        );
        assert!(
            self.stderr.contains("\nhelp: "),
            "no advice, stderr:\n{}",
            self.stderr
        );
        self
    }

    /// All lines of standard output as JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|l| {
                serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}\n{}", self.stderr))
            })
            .collect()
    }

    /// The last line of standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.json_lines()
            .pop()
            .unwrap_or_else(|| panic!("no output; stderr:\n{}", self.stderr))
    }
}

/// Shape and values of a float32 .npy file.
pub fn npy(bytes: &[u8]) -> (String, Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + len) % 64, 0);
    let header = String::from_utf8(bytes[10..10 + len].to_vec()).expect("text");
    (
        header,
        bytes[10 + len..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
    )
}

/// The subcommands that load a model.
const LOAD: [&str; 4] = ["run", "eval", "trace", "bench"];

/// Names the device of the run for a command that loads a model and names none itself.
fn on_device(command: &mut Command) {
    let args: Vec<_> = command.get_args().collect();
    let loads = args.first().is_some_and(|a| LOAD.iter().any(|l| a == l));
    if loads
        && !args
            .iter()
            .any(|a| a.to_string_lossy().starts_with("--device"))
    {
        command.args(["--device", device()]);
    }
}

/// Hides every Vulkan driver.
pub const NO_GPU: (&str, &str) = ("VK_DRIVER_FILES", "/nonexistent.json");
