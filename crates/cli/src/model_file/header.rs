//! Checks a model's header while the file is being downloaded.

use chord_gguf::{Directory, Limits, Parser, Progress};

use crate::error::Error;

/// Whether it is a model that we run.
pub fn check(directory: &Directory) -> Result<(), Error> {
    chord_model::Config::from_directory(directory)?;
    chord_text::Tokenizer::from_directory(directory)?;
    Ok(())
}

/// Fed with the file's bytes in order; errs as soon as they cannot be a model that we run.
pub struct HeaderCheck {
    parser: Option<Parser>,
    directory: Option<Box<Directory>>,
    /// A part of a split model: what the model needs is in all of them together.
    part: bool,
}

impl HeaderCheck {
    pub fn new(part: bool) -> HeaderCheck {
        HeaderCheck {
            parser: Some(Parser::new(Limits::default())),
            directory: None,
            part,
        }
    }

    /// The next bytes of the file. After the header everything passes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(parser) = &mut self.parser
            && let Progress::Ready(directory) = parser.feed(bytes)?
        {
            self.accept(directory)?;
        }
        Ok(())
    }

    fn accept(&mut self, directory: Box<Directory>) -> Result<(), Error> {
        if !self.part {
            check(&directory)?;
        }
        self.parser = None;
        self.directory = Some(directory);
        Ok(())
    }

    /// Whether the header is there, and of a model that we run.
    pub fn accepted(&self) -> bool {
        self.directory.is_some()
    }

    /// Whether a file of `len` bytes can hold what the header describes; an unknown length passes.
    pub fn check_len(&self, len: Option<u64>) -> Result<(), Error> {
        if let (Some(directory), Some(len)) = (&self.directory, len) {
            directory.check_file_len(len)?;
        }
        Ok(())
    }

    /// The file has ended with `len` bytes.
    pub fn finish(&mut self, len: u64) -> Result<(), Error> {
        if let Some(parser) = self.parser.take() {
            let directory = parser.finish()?;
            self.accept(directory)?;
        }
        self.check_len(Some(len))
    }
}
