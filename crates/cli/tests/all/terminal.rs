//! The chat on a terminal, which util-linux's `script` provides.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::common::{Scratch, device, tiny_arg};

#[test]
fn a_chat_on_a_terminal() {
    let cache = Scratch::new();
    // util-linux's `script` gives the command a terminal. `exec`: a shell that stays would get Ctrl-C too, and dash would
    // end with 130 for it.
    let shell = format!(
        "exec '{}' run '{}' -n 3 --seed 1 --device {}",
        env!("CARGO_BIN_EXE_wasm-chord"),
        tiny_arg(),
        device()
    );
    let mut child = Command::new("script")
        .args(["-qec", &shell, "/dev/null"])
        .env("WASM_CHORD_CACHE", cache.path(""))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keys = child.stdin.take().expect("piped");
    let mut screen = Screen::of(child.stdout.take().expect("piped"));
    for (line, answer) in [
        ("Hello there", "stopped after 3 tokens"),
        ("/stats", "of 1024 tokens used"),
        ("/clear", "conversation forgotten"),
        ("/system Be brief.", "new conversation"),
        ("/exit", ""),
    ] {
        screen.wait_for("> ");
        keys.write_all(format!("{line}\r").as_bytes())
            .expect("typed");
        screen.wait_for(answer);
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let history = std::fs::read_to_string(cache.path("history")).expect("history");
    assert!(history.contains("Hello there"), "{history}");
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_chat() {
    let cache = Scratch::new();
    let flags = "--raw --temperature 2 --top-k 0 --min-p 0 --seed 3";
    let shell = format!(
        "exec '{}' run '{}' {flags} --device {}",
        env!("CARGO_BIN_EXE_wasm-chord"),
        tiny_arg(),
        device()
    );
    let mut child = Command::new("script")
        .args(["-qec", &shell, "/dev/null"])
        .env("WASM_CHORD_CACHE", cache.path(""))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keys = child.stdin.take().expect("piped");
    let mut screen = Screen::of(child.stdout.take().expect("piped"));
    screen.wait_for("> ");
    loop {
        keys.write_all(b"The\r").expect("typed");
        // The line is taken, and the answer is being written.
        screen.wait_for("The");
        screen.wait_for("\r\n");
        screen.wait_for_more();
        keys.write_all(b"\x03").expect("typed");
        // It takes a fast device 0.3 seconds: where this thread had to wait as long, the chat was asked and not the answer.
        let heard = screen.wait_for_one(&["stopped by Ctrl-C", "Ctrl-C again"]);
        screen.wait_for("> ");
        if heard == 0 {
            break;
        }
        keys.write_all(b"/clear\r").expect("typed");
        screen.wait_for("> ");
    }
    keys.write_all(b"\x03").expect("typed");
    screen.wait_for("Ctrl-C again");
    screen.wait_for("> ");
    keys.write_all(b"\x03").expect("typed");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// What a terminal shows, as it comes.
struct Screen {
    bytes: std::sync::mpsc::Receiver<Vec<u8>>,
    shown: String,
    /// Everything before it was waited for.
    seen: usize,
}

impl Screen {
    fn of(mut output: impl std::io::Read + Send + 'static) -> Screen {
        let (send, bytes) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0u8; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Screen {
            bytes,
            shown: String::new(),
            seen: 0,
        }
    }

    /// Reads on until anything comes after what was waited for last.
    fn wait_for_more(&mut self) {
        while self.shown.len() == self.seen {
            match self.bytes.recv_timeout(std::time::Duration::from_secs(120)) {
                Ok(more) => self.shown.push_str(&String::from_utf8_lossy(&more)),
                Err(e) => panic!("nothing comes ({e}):\n{}", self.shown),
            }
        }
    }

    /// Reads on until `text` appears after what was waited for last.
    fn wait_for(&mut self, text: &str) {
        self.wait_for_one(&[text]);
    }

    /// The same for any of several texts: which one.
    fn wait_for_one(&mut self, texts: &[&str]) -> usize {
        loop {
            let found = texts.iter().enumerate().filter_map(|(i, text)| {
                Some((self.shown[self.seen..].find(text)? + text.len(), i))
            });
            if let Some((end, which)) = found.min() {
                self.seen += end;
                return which;
            }
            match self.bytes.recv_timeout(std::time::Duration::from_secs(120)) {
                Ok(more) => self.shown.push_str(&String::from_utf8_lossy(&more)),
                Err(e) => panic!("none of {texts:?} comes ({e}):\n{}", self.shown),
            }
        }
    }
}
