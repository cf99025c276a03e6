//! Devices that are lost in the middle of an answer, on the device that WASM_CHORD_TEST_DEVICE names.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use super::*;
use crate::args::{DeviceArg, EngineArgs, ModelArgs};
use crate::cmd::answer::{Chat, Style};
use crate::cmd::engine::{Needs, load};
use crate::cmd::run::message;
use crate::out::Out;
use chord_runtime::{Done, Precision, Sampling};

fn engine(tokens_per_submit: u32) -> Result<Engine, Error> {
    let model = "../../tests/data/models/v2k-llama-Q4_K_M.gguf";
    let model = ModelArgs {
        model: Path::new(env!("CARGO_MANIFEST_DIR")).join(model).into(),
        sha256: None,
    };
    let device = match std::env::var("WASM_CHORD_TEST_DEVICE").as_deref() {
        Ok("cpu") => DeviceArg::Cpu,
        _ => DeviceArg::Gpu,
    };
    let args = EngineArgs {
        device,
        ..EngineArgs::default()
    };
    let needs = Needs {
        precision: Precision::Exact,
        tokens_per_submit: Some(tokens_per_submit),
        ..Needs::default()
    };
    load(&model, &args, needs)
}

/// What loses a device.
type Destroyer = Box<dyn Fn()>;

/// Loses the device of the engine that writes, once for each number of lines in `at`.
#[derive(Clone, Default)]
struct Fuse {
    device: Rc<RefCell<Option<Destroyer>>>,
    at: Rc<RefCell<VecDeque<usize>>>,
    text: Rc<RefCell<Vec<u8>>>,
}

impl Fuse {
    fn lines(&self) -> usize {
        self.text.borrow().iter().filter(|b| **b == b'\n').count()
    }

    fn on(&self, engine: &Engine) {
        *self.device.borrow_mut() = Some(engine.device_destroyer());
    }
}

impl std::io::Write for Fuse {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.borrow_mut().extend_from_slice(bytes);
        let due = self.at.borrow().front().is_some_and(|n| *n <= self.lines());
        // One loss per device: the lines of the submit that was under way still come.
        if due && let Some(destroy) = self.device.borrow_mut().take() {
            self.at.borrow_mut().pop_front();
            destroy();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Ended {
    done: Result<Done, Error>,
    /// What was written, a line per token.
    text: String,
    /// For each reload, whether it was on the CPU.
    reloads: Vec<bool>,
    reason: String,
}

/// As [`answer_by`] with four tokens per submit.
fn answer(losses: &[usize], cpu: bool) -> Ended {
    answer_by(4, losses, cpu)
}

/// The answer of devices that are lost when so many lines are written.
fn answer_by(tokens_per_submit: u32, losses: &[usize], cpu: bool) -> Ended {
    let fuse = Fuse::default();
    fuse.at.borrow_mut().extend(losses);
    let reloads = Rc::new(RefCell::new(Vec::new()));
    let first = engine(tokens_per_submit).expect("loaded");
    fuse.on(&first);
    let reload: Reload = {
        let (fuse, reloads) = (fuse.clone(), reloads.clone());
        Box::new(move |reason| {
            reloads.borrow_mut().push(reason.is_some());
            let engine = engine(tokens_per_submit)?;
            fuse.on(&engine);
            Ok(engine)
        })
    };
    let style = Style {
        raw: true,
        variables: Default::default(),
        sampling: Sampling {
            seed: 7,
            ..Sampling::default()
        },
        stop: Vec::new(),
        max_tokens: Some(24),
        json: true,
    };
    let mut chat = Chat::new(first, style, Recovery::new(reload, cpu)).expect("a session");
    let mut out = Out::to(Box::new(fuse.clone()), false);
    let done = chat.answer(&[message("user", "The capital of France is")], &mut out);
    let text = String::from_utf8(fuse.text.borrow().clone()).expect("text");
    let reloads = reloads.borrow().clone();
    let reason = chat.reason().to_owned();
    Ended {
        done,
        text,
        reloads,
        reason,
    }
}

#[test]
fn an_answer_goes_on_where_the_device_was_lost_and_says_nothing_twice() {
    let whole = answer(&[], true);
    let complete = whole.done.expect("answered");
    // With eight, one of the losses finds a chain behind another under way.
    for tokens_per_submit in [4, 8] {
        let broken = answer_by(tokens_per_submit, &[3, 11], false);
        assert_eq!(broken.reloads, [false, false]);
        assert_eq!(broken.text, whole.text);
        let done = broken.done.expect("answered");
        assert_eq!(
            (done.tokens, done.text),
            (complete.tokens.clone(), complete.text.clone())
        );
    }
}

#[test]
fn the_third_loss_within_a_minute_is_the_cpus_turn_where_it_may() {
    let whole = answer(&[], true);
    let broken = answer(&[3, 9, 15], true);
    assert_eq!(broken.reloads, [false, false, true]);
    assert_eq!(broken.text, whole.text);
    assert!(broken.reason.contains("lost 3 times"), "{}", broken.reason);
    let broken = answer(&[3, 9, 15], false);
    assert_eq!(broken.reloads, [false, false]);
    assert!(is_loss(&broken.done.expect_err("lost")));
    assert!(whole.text.starts_with(&broken.text));
}

/// A recovery whose reloads all fail, for what it counts.
fn counter() -> Recovery {
    Recovery::new(Box::new(|_| Err(Error::ClosedPipe)), true)
}

#[test]
fn losses_far_apart_are_accidents() {
    let mut recovery = counter();
    let start = Instant::now();
    let mut after = |seconds| {
        recovery.progress();
        let often = recovery.too_often(start + Duration::from_secs(seconds));
        often.is_some()
    };
    assert_eq!([0, 30, 61, 89].map(&mut after), [false, false, false, true]);
    assert_eq!([200, 230, 261].map(&mut after), [false; 3]);
}

#[test]
fn losses_without_a_token_in_between_are_none_however_far_apart() {
    let mut recovery = counter();
    let start = Instant::now();
    let mut after = |seconds| recovery.too_often(start + Duration::from_secs(seconds));
    assert_eq!([0, 100].map(&mut after), [None, None]);
    let often = after(200).expect("three of them");
    assert!(often.contains("3 times without a token"), "{often}");
    recovery.progress();
    assert_eq!(recovery.too_often(start + Duration::from_secs(300)), None);
}

#[test]
fn a_lost_engine_is_gone_before_another_is_loaded() {
    let old = Rc::new(());
    let alive = Rc::downgrade(&old);
    let reload = move |_: Option<&str>| {
        assert_eq!(alive.strong_count(), 0, "its memory is still taken");
        Ok(Rc::new(()))
    };
    let mut recovery = Recovery::new(Box::new(reload), false);
    let lost = chord_runtime::Error::from(chord_kernels::Error::Lost("a test".into()));
    let (_, moved) = recovery
        .replace(Some(old), lost.into())
        .expect("another engine");
    assert_eq!(moved, None);
}
