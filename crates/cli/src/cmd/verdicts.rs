//! What of a file is supported, each part by itself, and why the others are not.

use chord_gguf::Directory;
use chord_model::Config;
use chord_runtime::FitPlan;
use serde_json::{Value, json};

use super::fit;
use crate::args::InspectArgs;
use crate::error::Error;

/// Everything that `run` would check, short of the device.
pub struct Verdicts {
    /// The file is as long as its tensors need.
    complete: Result<(), Error>,
    pub config: Result<Config, Error>,
    /// In words.
    pub tokenizer: Result<String, Error>,
    /// Whether there is one.
    pub template: Result<bool, Error>,
    /// None where the family is not supported.
    pub plan: Option<Result<FitPlan, Error>>,
}

impl Verdicts {
    pub fn of(directory: &Directory, length: Option<u64>, args: &InspectArgs) -> Self {
        let complete = length.map_or(Ok(()), |length| directory.check_file_len(length));
        let config = Config::from_directory(directory).map_err(Error::from);
        let plan = config
            .as_ref()
            .ok()
            .map(|config| fit::plan(directory, config, args));
        let tokenizer = chord_text::Tokenizer::from_directory(directory);
        let template = chord_text::ChatTemplate::from_directory(directory);
        Self {
            complete: complete.map_err(Error::from),
            config,
            tokenizer: tokenizer.map(|t| t.describe()).map_err(Error::from),
            template: template.map(|t| t.is_some()).map_err(Error::from),
            plan,
        }
    }

    /// (part, what it is, why it is not supported)
    fn parts(&self) -> Vec<(&'static str, String, Option<&Error>)> {
        let mut parts = Vec::new();
        if let Err(error) = &self.complete {
            parts.push(("file", String::new(), Some(error)));
        }
        let family = self.config.as_ref().map(|c| c.arch.name().to_owned());
        let template = self.template.as_ref().map(|has| {
            let text = if *has {
                "a chat template"
            } else {
                "no chat template: prompts are continued as text"
            };
            text.to_owned()
        });
        for (part, verdict) in [
            ("family", family),
            ("tokenizer", self.tokenizer.as_ref().map(Clone::clone)),
            ("template", template),
        ] {
            parts.push(match verdict {
                Ok(what) => (part, what, None),
                Err(error) => (part, String::new(), Some(error)),
            });
        }
        if let Some(Err(error)) = &self.plan {
            parts.push(("memory", String::new(), Some(error)));
        }
        parts
    }

    /// For people: a row per part.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |(part, what, error): (&str, String, Option<&Error>)| {
            let verdict = match error {
                None => format!("yes: {what}"),
                Some(error) => format!("no: {}. {}", error, error.help()),
            };
            vec![part.to_owned(), verdict]
        };
        self.parts().into_iter().map(row).collect()
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let object = self.parts().into_iter().map(|(part, what, error)| {
            let verdict = match error {
                None => json!({"supported": true, "what": what}),
                Some(error) => json!({
                    "supported": false, "code": error.code(), "message": error.to_string(), "help": error.help(),
                }),
            };
            (part.to_owned(), verdict)
        });
        Value::Object(object.collect())
    }

    /// The first reason that the file cannot be run.
    pub fn into_error(self) -> Option<Error> {
        self.complete
            .err()
            .or(self.config.err())
            .or(self.tokenizer.err())
            .or(self.template.err())
            .or(self.plan.and_then(Result::err))
    }
}
