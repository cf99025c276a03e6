//! Line editing with a history that outlives the program.

use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};

use super::repl::{Input, Lines};
use crate::error::Error;
use crate::model_file::cache;
use crate::out::note;

/// The user's terminal.
pub struct Terminal {
    editor: DefaultEditor,
    /// `None` where the system has no place for it.
    history: Option<PathBuf>,
}

impl Terminal {
    pub fn new() -> Result<Terminal, Error> {
        let config = Config::builder()
            .max_history_size(1000)
            .map_err(readline)?
            .auto_add_history(false)
            .build();
        let mut editor = DefaultEditor::with_config(config).map_err(readline)?;
        let history = cache::folder().ok().map(|folder| folder.join("history"));
        if let Some(path) = &history {
            // The first time there is none.
            let _ = editor.load_history(path);
        }
        Ok(Terminal { editor, history })
    }
}

impl Lines for Terminal {
    fn read(&mut self, prompt: &str) -> Result<Input, Error> {
        match self.editor.readline(prompt) {
            Ok(line) => Ok(Input::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupted),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(e) => Err(readline(e)),
        }
    }

    fn remember(&mut self, message: &str) {
        // Only the history is lost.
        let _ = self.editor.add_history_entry(message);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Some(path) = &self.history else { return };
        if let Some(folder) = path.parent() {
            // Then saving fails too, and says so.
            let _ = std::fs::create_dir_all(folder);
        }
        if let Err(e) = self.editor.save_history(path) {
            note(&format!("history not saved: {}: {e}", path.display()));
        }
    }
}

fn readline(e: ReadlineError) -> Error {
    match e {
        ReadlineError::Io(source) => Error::stdin(source),
        other => Error::stdin(std::io::Error::other(other)),
    }
}
