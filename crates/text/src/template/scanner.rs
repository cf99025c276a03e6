//! Reads a template's tags and expressions as far as it takes to know where operands begin and end.

use crate::error::TemplateError;
use crate::template::frame::{Edit, Frame, Kind};
use crate::template::limits;
use crate::template::source::line_of;
use crate::template::words::{Previous, ident, string_length};

/// Walks a template's tags.
pub(super) struct Scanner<'a> {
    source: &'a str,
    edits: Vec<Edit>,
    /// Open blocks: how much nesting each costs (an `elif` nests like an `if` inside an `else`).
    blocks: Vec<usize>,
}

impl<'a> Scanner<'a> {
    /// The guards of `source`, in the order in which they are found.
    pub(super) fn scan(source: &'a str) -> Result<Vec<Edit>, TemplateError> {
        let mut scanner = Self {
            source,
            edits: Vec::new(),
            blocks: Vec::new(),
        };
        scanner.run()?;
        Ok(scanner.edits)
    }

    fn run(&mut self) -> Result<(), TemplateError> {
        let mut at = 0;
        while let Some(found) = self.rest(at).find('{') {
            let open = at + found;
            match self.rest(open).as_bytes().get(1) {
                Some(b'#') => {
                    self.text(at, open)?;
                    at = self.after(open, "#}");
                }
                Some(b'{') => {
                    self.text(at, open)?;
                    at = self.expression(open + 2, b'}', "")?;
                }
                Some(b'%') => {
                    self.text(at, open)?;
                    at = self.block(open)?;
                }
                _ => {
                    // A lone brace is text; look on behind it, without ending the text.
                    let Some(next) = self.next_tag(open + 1) else {
                        break;
                    };
                    self.text(at, next)?;
                    at = next;
                }
            }
        }
        self.text(at, self.source.len())
    }

    fn rest(&self, at: usize) -> &'a str {
        self.source.get(at..).unwrap_or_default()
    }

    fn after(&self, at: usize, end: &str) -> usize {
        self.rest(at)
            .find(end)
            .map_or(self.source.len(), |n| at + n + end.len())
    }

    fn next_tag(&self, from: usize) -> Option<usize> {
        ["{{", "{%", "{#"]
            .iter()
            .filter_map(|tag| self.rest(from).find(tag))
            .min()
            .map(|n| from + n)
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.edits.push(Edit {
            at,
            remove: 0,
            insert: text.into(),
        });
    }

    /// Literal text. Long text is charged too, or a loop could pile it up inside a `{% set %}` block. The charge goes
    /// behind the first visible character, where no trimming of white space looks.
    fn text(&mut self, start: usize, end: usize) -> Result<(), TemplateError> {
        let text = self.source.get(start..end).unwrap_or_default();
        if text.len() <= limits::FREE_TEXT {
            return Ok(());
        }
        match text
            .char_indices()
            .find(|(_, c)| !c.is_whitespace() && *c != '{')
        {
            Some((n, c)) => self.insert(
                start + n + c.len_utf8(),
                format!("{{{{ {}|__text }}}}", text.len()),
            ),
            None if text.len() > limits::BLANK_TEXT => {
                return Err(TemplateError::Size {
                    bytes: text.len() as u64,
                    limit: limits::BLANK_TEXT as u64,
                });
            }
            None => {}
        }
        Ok(())
    }

    /// A `{% … %}` tag at `open`; gives the offset behind it.
    fn block(&mut self, open: usize) -> Result<usize, TemplateError> {
        let inner = open + 2 + usize::from(self.rest(open + 2).starts_with(['-', '+']));
        let start = inner + self.rest(inner).len() - self.rest(inner).trim_start().len();
        let name = ident(self.rest(start));
        let behind = start + name.len();
        match name {
            "raw" => {
                let body = self.after(behind, "%}");
                let end = self.next_endraw(body);
                if end - body > limits::RAW_BLOCK {
                    return Err(TemplateError::Size {
                        bytes: (end - body) as u64,
                        limit: limits::RAW_BLOCK as u64,
                    });
                }
                return Ok(self.after(end, "%}"));
            }
            "generation" | "endgeneration" => {
                let insert = if name == "generation" {
                    "if true"
                } else {
                    "endif"
                };
                self.edits.push(Edit {
                    at: start,
                    remove: name.len(),
                    insert: insert.into(),
                });
                return Ok(self.after(behind, "%}"));
            }
            _ => {}
        }
        let end = self.expression(behind, b'%', name)?;
        if name.starts_with("end") {
            self.blocks.pop();
        } else if name == "elif" {
            if let Some(top) = self.blocks.last_mut() {
                *top += 1;
            }
        } else if matches!(
            name,
            "if" | "for" | "macro" | "call" | "filter" | "block" | "with" | "autoescape"
        ) {
            self.blocks.push(1);
        }
        if self.blocks.iter().sum::<usize>() > limits::NESTING {
            return Err(self.too_deep(open));
        }
        Ok(end)
    }

    /// The value between `in` and `end` passes a guard of its own.
    fn iterated(&mut self, from: Option<usize>, end: usize) {
        if let Some(from) = from.filter(|from| *from < end) {
            self.insert(from, "(");
            self.insert(end, ")|__iter");
        }
    }

    fn next_endraw(&self, from: usize) -> usize {
        let mut at = from;
        while let Some(n) = self.rest(at).find("{%") {
            let inner = self
                .rest(at + n + 2)
                .trim_start_matches(['-', '+'])
                .trim_start();
            if ident(inner) == "endraw" {
                return at + n;
            }
            at += n + 2;
        }
        self.source.len()
    }

    fn too_deep(&self, at: usize) -> TemplateError {
        TemplateError::Depth {
            line: line_of(self.source, at),
        }
    }

    /// Expressions up to the closing `}}` or `%}`; gives the offset behind it. `tag` is empty for `{{ … }}`.
    fn expression(&mut self, from: usize, close: u8, tag: &str) -> Result<usize, TemplateError> {
        let mut frames = vec![Frame {
            target: matches!(tag, "set" | "for"),
            ..Frame::new(Kind::Top)
        }];
        if let Some(top) = frames.last_mut() {
            // `{% call(x) f() %}`: the first parenthesis there is a list of names.
            top.expect = !matches!(tag, "call" | "macro" | "filter" | "block");
        }
        let mut at = from;
        let mut end = from;
        let mut previous = Previous::Other;
        // Where the value begins that a `for` goes through.
        let mut looped = None;
        loop {
            let rest = self.rest(at);
            let trimmed = rest.trim_start();
            at += rest.len() - trimmed.len();
            let depth = frames.len();
            let Some(frame) = frames.last_mut() else {
                return Ok(at);
            };
            let Some(first) = trimmed.bytes().next() else {
                return Ok(self.source.len());
            };
            let second = trimmed.as_bytes().get(1).copied();
            if frame.ops > limits::CHAIN || depth > limits::NESTING {
                return Err(self.too_deep(at));
            }

            let closes = |s: &str| {
                s.as_bytes().first() == Some(&close) && s.as_bytes().get(1) == Some(&b'}')
            };
            let dashed = trimmed.strip_prefix(['-', '+']).is_some_and(closes);
            if depth == 1 && (closes(trimmed) || dashed) {
                frame.close(end, &mut self.edits);
                self.iterated(looped, end);
                return Ok(at + 2 + usize::from(dashed));
            }
            let mut length = 1;
            let mut now = Previous::Other;
            match first {
                b'"' | b'\'' => {
                    length = string_length(trimmed);
                    frame.begin(at);
                }
                b'0'..=b'9' => {
                    length = trimmed
                        .bytes()
                        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
                        .count();
                    if previous != Previous::Dot {
                        frame.begin(at);
                    }
                }
                _ if first.is_ascii_alphabetic() || first == b'_' || !first.is_ascii() => {
                    let name = ident(trimmed);
                    // Not a word: one character of whatever it is, for the engine to complain about.
                    length = name
                        .len()
                        .max(trimmed.chars().next().map_or(1, char::len_utf8));
                    match previous {
                        Previous::Dot => {}
                        Previous::Pipe => {
                            frame.safe |= name == "safe";
                            if let Some(pipe) = frame.pipe.take() {
                                self.edits.push(Edit {
                                    at: pipe,
                                    remove: 0,
                                    insert: format!("|__input('{name}')"),
                                });
                            }
                        }
                        Previous::Is => {
                            now = if name == "not" {
                                Previous::Is
                            } else {
                                Previous::Other
                            }
                        }
                        Previous::Not if name == "in" => {}
                        Previous::Not | Previous::Other => match name {
                            "in" if frame.target => {
                                frame.target_ends();
                                looped = Some(at + length);
                            }
                            "if" | "recursive" if depth == 1 && looped.is_some() => {
                                frame.separator(end, &mut self.edits);
                                self.iterated(looped.take(), end);
                            }
                            "in" => frame.operator("|__c", end, &mut self.edits),
                            "and" | "or" | "if" | "else" => frame.separator(end, &mut self.edits),
                            // The first half of `not in`; elsewhere an operand is expected.
                            "not" if !frame.expect => {
                                frame.operator("|__c", end, &mut self.edits);
                                now = Previous::Not;
                            }
                            "not" => frame.ops += 1,
                            "is" => {
                                frame.finish_factor(end, &mut self.edits);
                                frame.ops += 1;
                                now = Previous::Is;
                            }
                            "recursive" | "ignore" | "as" => frame.finish(end, &mut self.edits),
                            _ => frame.begin(at),
                        },
                    }
                }
                b'(' | b'[' | b'{' => {
                    let kind = match (first, frame.expect) {
                        (b'(', true) => Kind::Group,
                        (b'(', false) => Kind::Call,
                        (b'[', false) => Kind::Subscript,
                        _ => Kind::Literal,
                    };
                    if matches!(kind, Kind::Group | Kind::Literal) {
                        frame.begin(at);
                    }
                    frame.ops += usize::from(matches!(kind, Kind::Call | Kind::Subscript));
                    frames.push(Frame {
                        open: at,
                        ..Frame::new(kind)
                    });
                }
                b')' | b']' | b'}' => {
                    frame.close(end, &mut self.edits);
                    let guarded = match frame.kind {
                        Kind::Literal => true,
                        Kind::Group => frame.comma,
                        Kind::Subscript | Kind::Call | Kind::Top => false,
                    };
                    let slice = frame.kind == Kind::Subscript && !frame.colons.is_empty();
                    let inner = if depth > 1 { frames.pop() } else { None };
                    if let Some(outer) = frames.last_mut() {
                        outer.expect = false;
                        match (outer.primary.filter(|_| !outer.target), inner) {
                            (Some(start), Some(inner)) if slice => {
                                inner.slice(start, at, end, &mut self.edits);
                            }
                            (Some(start), _) if guarded => {
                                self.insert(start, "(");
                                self.insert(at + 1, "|__c)");
                            }
                            _ => {}
                        }
                    }
                }
                b'.' => {
                    frame.ops += 1;
                    now = Previous::Dot;
                }
                b'|' => {
                    frame.ops += 1;
                    frame.pipe = Some(end);
                    now = Previous::Pipe;
                }
                b',' => {
                    frame.separator(end, &mut self.edits);
                    frame.comma = true;
                    frame.ops = 0;
                }
                b':' => {
                    frame.separator(end, &mut self.edits);
                    frame.colons.push((at, end));
                }
                b'=' | b'!' | b'<' | b'>' if second == Some(b'=') => {
                    length = 2;
                    frame.operator("|__c", end, &mut self.edits);
                }
                b'=' => {
                    frame.separator(end, &mut self.edits);
                    frame.target = false;
                }
                b'<' | b'>' => frame.operator("|__c", end, &mut self.edits),
                // A sign, where an operand is expected.
                b'+' | b'-' if frame.expect => frame.sign(at),
                b'~' | b'+' => frame.concatenate(first == b'~', end, &mut self.edits),
                b'*' if second == Some(b'*') => {
                    length = 2;
                    frame.power();
                }
                b'*' => frame.times("|__factor", end, &mut self.edits),
                b'%' => frame.times("|__format", end, &mut self.edits),
                b'/' => {
                    length = 1 + usize::from(second == Some(b'/'));
                    frame.divided(end, &mut self.edits);
                }
                b'-' => frame.separator(end, &mut self.edits),
                _ => {}
            }
            previous = now;
            at += length;
            end = at;
        }
    }
}
