//! Stop strings in streamed text, wherever the stream is cut.

/// What one push lets out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopEvent {
    /// Text that can be shown.
    pub emit: String,
    /// A stop string has been reached: nothing more will be shown.
    pub stopped: bool,
}

/// Watches a stream for stop strings. Holds back exactly the longest suffix that may begin one; the stop string and
/// what follows it never leave. Of several, the one that begins first in the text counts, at the moment it is complete.
#[derive(Debug, Clone)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopStrings {
    /// Watches for these strings; empty ones are ignored.
    pub fn new(stops: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let stops = stops
            .into_iter()
            .map(Into::into)
            .filter(|s: &String| !s.is_empty())
            .collect();
        Self {
            stops,
            held: String::new(),
            stopped: false,
        }
    }

    /// Takes the next text and gives what may be shown.
    pub fn push(&mut self, text: &str) -> StopEvent {
        if self.stopped {
            return StopEvent {
                emit: String::new(),
                stopped: true,
            };
        }
        self.held.push_str(text);
        if let Some(at) = self
            .stops
            .iter()
            .filter_map(|s| self.held.find(s.as_str()))
            .min()
        {
            self.stopped = true;
            self.held.truncate(at);
            return StopEvent {
                emit: std::mem::take(&mut self.held),
                stopped: true,
            };
        }
        let keep = self
            .stops
            .iter()
            .map(|s| overlap(&self.held, s))
            .max()
            .unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        StopEvent {
            emit: std::mem::replace(&mut self.held, rest),
            stopped: false,
        }
    }

    /// Whether no text is held back.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.held.is_empty()
    }

    /// Ends the stream: the text held back, if no stop string came.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes of the longest suffix of `text` that is a proper prefix of `stop`. Always on a character border.
pub(crate) fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(n, _)| n)
        .rev()
        .find(|&n| stop.get(..n).is_some_and(|p| text.ends_with(p)))
        .unwrap_or(0)
}
