//! The shader preprocessor: one WGSL text per kernel in, one permutation out.
//!
//! Directives, each on a line of its own:
//! - `#import name [K=V …]`: the text of `shaders/shared/name.wgsl`, with more names defined for it;
//! - `#if NAME`, `#if !NAME`, `#if A == B`, `#else`, `#endif`: a name is true when defined and not `0`; `A` and `B`
//!   stand for their values where defined, else for themselves;
//! - `#for v in LIST` … `#endfor`: repeats the lines for `0..n` (LIST a number), or for the words of LIST (separated by
//!   spaces or commas); `#for a:b in x:0 y:1` binds two names a word.
//!
//! `${NAME}` anywhere is replaced by the name's value. Loops are unrolled here because not every driver unrolls them, and
//! accumulators that are indexed by a variable leave registers.

use std::collections::HashMap;

/// Why a shader text could not be expanded: a mistake in `shaders/`, never in user input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct Error {
    /// Shader file name without folder.
    pub file: String,
    /// 1-based line in that file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

type Defines = HashMap<String, String>;

/// Expands `file` with `defines`; `source` maps a file name (without `.wgsl`) to its text.
///
/// # Errors
/// Unknown imports or names and unbalanced directives.
pub fn expand(
    file: &str,
    defines: &[(String, String)],
    source: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<String, Error> {
    let text = source(file).ok_or_else(|| Error {
        file: file.into(),
        line: 0,
        what: "no such shader".into(),
    })?;
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    let mut names: Defines = defines.iter().cloned().collect();
    Expander { file, source }.block(&lines, 0, &mut names, &mut out)?;
    Ok(out)
}

struct Expander<'a> {
    file: &'a str,
    source: &'a dyn Fn(&str) -> Option<&'static str>,
}

impl Expander<'_> {
    fn error(&self, line: usize, what: impl Into<String>) -> Error {
        Error {
            file: self.file.into(),
            line: line + 1,
            what: what.into(),
        }
    }

    fn block(
        &self,
        lines: &[&str],
        offset: usize,
        names: &mut Defines,
        out: &mut String,
    ) -> Result<(), Error> {
        let mut i = 0;
        while i < lines.len() {
            let at = offset + i;
            let trimmed = lines[i].trim_start();
            if let Some(rest) = trimmed.strip_prefix("#import ") {
                let rest = self.substitute(rest, names, at)?;
                let mut words = rest.split_whitespace();
                let file = words.next().unwrap_or_default();
                let text = (self.source)(file)
                    .ok_or_else(|| self.error(at, format!("no shader {file} to import")))?;
                let mut inner = names.clone();
                for word in words {
                    let (k, v) = word
                        .split_once('=')
                        .ok_or_else(|| self.error(at, format!("{word} is not NAME=VALUE")))?;
                    inner.insert(k.into(), v.into());
                }
                let text: Vec<&str> = text.lines().collect();
                Expander {
                    file,
                    source: self.source,
                }
                .block(&text, 0, &mut inner, out)?;
                i += 1;
            } else if let Some(rest) = trimmed.strip_prefix("#if ") {
                let (otherwise, end) = self.matching(lines, i, "#if ", "#endif", at)?;
                let (yes, no) = match otherwise {
                    Some(e) => (i + 1..e, e + 1..end),
                    None => (i + 1..end, end..end),
                };
                let chosen = if self.holds(rest, names, at)? {
                    yes
                } else {
                    no
                };
                self.block(&lines[chosen.clone()], offset + chosen.start, names, out)?;
                i = end + 1;
            } else if let Some(rest) = trimmed.strip_prefix("#for ") {
                let (_, end) = self.matching(lines, i, "#for ", "#endfor", at)?;
                let rest = self.substitute(rest, names, at)?;
                let (vars, list) = rest
                    .split_once(" in ")
                    .ok_or_else(|| self.error(at, "#for NAMES in LIST"))?;
                let vars: Vec<&str> = vars.trim().split(':').collect();
                let list = names
                    .get(list.trim())
                    .cloned()
                    .unwrap_or_else(|| list.trim().to_string());
                let words: Vec<String> = match list.parse::<usize>() {
                    Ok(n) => (0..n).map(|i| i.to_string()).collect(),
                    Err(_) => list
                        .split([' ', ','])
                        .filter(|w| !w.is_empty())
                        .map(String::from)
                        .collect(),
                };
                for word in words {
                    let values: Vec<&str> = word.split(':').collect();
                    if values.len() != vars.len() {
                        return Err(self.error(at, format!("{word} does not bind {vars:?}")));
                    }
                    let mut inner = names.clone();
                    inner.extend(
                        vars.iter()
                            .zip(values)
                            .map(|(k, v)| ((*k).to_string(), v.to_string())),
                    );
                    self.block(&lines[i + 1..end], offset + i + 1, &mut inner, out)?;
                }
                i = end + 1;
            } else if trimmed.starts_with('#') {
                return Err(self.error(at, format!("unexpected directive: {trimmed}")));
            } else {
                out.push_str(&self.substitute(lines[i], names, at)?);
                out.push('\n');
                i += 1;
            }
        }
        Ok(())
    }

    /// Line of the `#else` that belongs to the directive at `start`, and of its end.
    fn matching(
        &self,
        lines: &[&str],
        start: usize,
        open: &str,
        close: &str,
        at: usize,
    ) -> Result<(Option<usize>, usize), Error> {
        let mut depth = 0;
        let mut otherwise = None;
        for (i, line) in lines.iter().enumerate().skip(start) {
            let line = line.trim_start();
            if line.starts_with(open) {
                depth += 1;
            } else if line.starts_with(close) {
                depth -= 1;
                if depth == 0 {
                    return Ok((otherwise, i));
                }
            } else if line.starts_with("#else") && depth == 1 && open == "#if " {
                otherwise = Some(i);
            }
        }
        Err(self.error(at, format!("{}without {close}", open)))
    }

    fn holds(&self, condition: &str, names: &Defines, at: usize) -> Result<bool, Error> {
        let condition = self.substitute(condition, names, at)?;
        let condition = condition.trim();
        let value = |name: &str| names.get(name).cloned().unwrap_or_else(|| name.to_string());
        if let Some((a, b)) = condition.split_once("==") {
            return Ok(value(a.trim()) == value(b.trim()));
        }
        let truth = |name: &str| names.get(name).is_some_and(|v| v != "0");
        Ok(match condition.strip_prefix('!') {
            Some(name) => !truth(name.trim()),
            None => truth(condition),
        })
    }

    fn substitute(&self, line: &str, names: &Defines, at: usize) -> Result<String, Error> {
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(start) = rest.find("${") {
            out.push_str(&rest[..start]);
            let tail = &rest[start + 2..];
            let end = tail
                .find('}')
                .ok_or_else(|| self.error(at, "${ without }"))?;
            let name = &tail[..end];
            out.push_str(
                names
                    .get(name)
                    .ok_or_else(|| self.error(at, format!("{name} is not defined")))?,
            );
            rest = &tail[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &'static str, defines: &[(&str, &str)]) -> Result<String, Error> {
        let defines: Vec<_> = defines
            .iter()
            .map(|(k, v)| ((*k).to_string(), (*v).to_string()))
            .collect();
        expand("main", &defines, &move |name| match name {
            "main" => Some(text),
            "part" => Some("part ${P}\n"),
            _ => None,
        })
    }

    #[test]
    fn loops_conditions_and_imports_nest() {
        let text = "#for i in N\n#if i == 1\none\n#else\nnot ${i}\n#endif\n#endfor\n#for a:b in x:0 y:1\n${a}${b}\n#endfor\n#import part P=${Q}\n#if !NONE\nend\n#endif";
        assert_eq!(
            run(text, &[("N", "3"), ("Q", "q")]).unwrap(),
            "not 0\none\nnot 2\nx0\ny1\npart q\nend\n"
        );
    }

    #[test]
    fn mistakes_name_file_and_line() {
        for (text, line, what) in [
            ("a\n${X}", 2, "X is not defined"),
            ("#if A\nb", 1, "#if without #endif"),
            ("\n#import gone", 2, "no shader gone to import"),
            (
                "#for a:b in x\n#endfor",
                1,
                "x does not bind [\"a\", \"b\"]",
            ),
            ("#what", 1, "unexpected directive: #what"),
        ] {
            let error = run(text, &[]).unwrap_err();
            assert_eq!((error.line, error.what.as_str()), (line, what));
        }
    }
}
