//! The chat with a scripted user and a model that says what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

struct Script {
    inputs: VecDeque<Input>,
    history: Vec<String>,
}

impl Lines for Script {
    fn read(&mut self, _prompt: &str) -> Result<Input, Error> {
        Ok(self
            .inputs
            .pop_front()
            .expect("the chat reads on after it should have ended"))
    }

    fn remember(&mut self, message: &str) {
        self.history.push(message.into());
    }
}

#[derive(Default)]
struct Echo {
    /// Conversations as `role:content` per call.
    asked: Vec<Vec<String>>,
    cleared: usize,
    fail: Option<fn() -> Error>,
}

impl Model for Echo {
    fn answer(&mut self, messages: &[Message], out: &mut Out) -> Result<Answer, Error> {
        self.asked.push(
            messages
                .iter()
                .map(|m| format!("{}:{}", m.role(), m.content()))
                .collect(),
        );
        if let Some(fail) = self.fail.take() {
            return Err(fail());
        }
        let text = format!("re {}", messages.last().map_or("", |m| m.content()));
        out.model_text(&text)?;
        Ok(Answer {
            text,
            ..Answer::default()
        })
    }

    fn clear(&mut self) {
        self.cleared += 1;
    }

    fn stats(&self) -> Vec<String> {
        Vec::new()
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn line(s: &str) -> Input {
    Input::Line(s.into())
}

fn play(
    model: &mut Echo,
    system: Option<&str>,
    inputs: Vec<Input>,
) -> (Result<(), Error>, String, Vec<String>) {
    let mut script = Script {
        inputs: inputs.into(),
        history: Vec::new(),
    };
    let sink = Sink::default();
    let mut out = Out::to(Box::new(sink.clone()), true);
    let result = chat(&mut script, model, &mut out, system.map(Into::into));
    assert!(
        script.inputs.is_empty(),
        "left before the end: {:?}",
        script.inputs
    );
    let text = String::from_utf8(sink.0.lock().expect("one thread").clone()).expect("text");
    (result, text, script.history)
}

#[test]
fn turns_add_up_to_a_conversation() {
    let mut model = Echo::default();
    let (result, text, history) = play(
        &mut model,
        Some("be brief"),
        vec![line("one"), line("two"), Input::End],
    );
    assert!(result.is_ok());
    assert_eq!(text, "re one\nre two\n");
    assert_eq!(
        model.asked[1],
        [
            "system:be brief",
            "user:one",
            "assistant:re one",
            "user:two"
        ]
    );
    assert_eq!(history, ["one", "two"]);
}

#[test]
fn clear_and_system_begin_anew() {
    let mut model = Echo::default();
    let inputs = vec![
        line("one"),
        line("/clear"),
        line("two"),
        line("/system  talk like a pirate "),
        line("three"),
        line("/exit"),
    ];
    let (result, ..) = play(&mut model, None, inputs);
    assert!(result.is_ok());
    assert_eq!(model.asked[1], ["user:two"]);
    assert_eq!(model.asked[2], ["system:talk like a pirate", "user:three"]);
    assert_eq!(model.cleared, 2);
}

#[test]
fn commands_are_not_sent_to_the_model() {
    let mut model = Echo::default();
    let inputs = vec![
        line("/help"),
        line("/stats"),
        line("/system"),
        line("/nonsense"),
        line("   "),
        line("/quit"),
    ];
    let (result, text, _) = play(&mut model, None, inputs);
    assert!(result.is_ok());
    assert!(model.asked.is_empty());
    assert_eq!(text, "", "help and figures are not part of the answer");
}

#[test]
fn messages_of_several_lines() {
    let mut model = Echo::default();
    let inputs = vec![
        line("a\\"),
        line("b"),
        line("\"\"\"c"),
        line("  d /clear"),
        line("e\"\"\""),
        line("\"\"\"one line\"\"\""),
        Input::End,
    ];
    let (result, _, history) = play(&mut model, None, inputs);
    assert!(result.is_ok());
    assert_eq!(history, ["a\nb", "c\n  d /clear\ne", "one line"]);
    assert_eq!(model.asked[0], ["user:a\nb"]);
}

#[test]
fn ctrl_c_leaves_only_when_pressed_twice_in_a_row() {
    let mut model = Echo::default();
    let inputs = vec![
        Input::Interrupted,
        line("one"),
        Input::Interrupted,
        Input::Interrupted,
    ];
    let (result, text, _) = play(&mut model, None, inputs);
    assert!(result.is_ok());
    assert_eq!(text, "re one\n");
}

#[test]
fn ctrl_c_inside_a_message_of_several_lines_drops_it() {
    let mut model = Echo::default();
    let (result, ..) = play(
        &mut model,
        None,
        vec![line("\"\"\"a"), Input::Interrupted, line("b"), Input::End],
    );
    assert!(result.is_ok());
    assert_eq!(model.asked, [["user:b"]]);
}

#[test]
fn a_message_that_does_not_fit_is_taken_back() {
    let mut model = Echo {
        fail: Some(|| Error::Context {
            prompt: 70,
            context: 64,
        }),
        ..Echo::default()
    };
    let (result, ..) = play(
        &mut model,
        None,
        vec![line("too long"), line("short"), Input::End],
    );
    assert!(result.is_ok());
    assert_eq!(model.asked[1], ["user:short"]);
}

#[test]
fn a_closed_pipe_ends_the_chat() {
    let mut model = Echo {
        fail: Some(|| Error::ClosedPipe),
        ..Echo::default()
    };
    let (result, ..) = play(&mut model, None, vec![line("one")]);
    assert!(matches!(result, Err(Error::ClosedPipe)));
}
