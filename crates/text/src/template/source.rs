//! The template's source made safe to run: guard filters are written into it before it is compiled.
//!
//! minijinja counts instructions, not bytes: forty doublings of a string are forty instructions and a terabyte. So
//! every operand of an operator that can build or compare large values, every list, tuple and map literal, every
//! slice and every filter's input passes through a guard ([`super::guard`]) that charges its size. The guards return
//! their input, so a template renders as if they were not there; written out they also keep the compiler from
//! computing `'-' * 99999999` while it folds constants. `{% generation %}` tags, which only mark text for training,
//! become `{% if true %}`, which trims white space alike.

use crate::error::TemplateError;
use crate::template::scanner::Scanner;

/// A source ready to compile.
#[derive(Debug, Clone, Default)]
pub(super) struct Prepared {
    /// What the engine compiles.
    pub(super) text: String,
    /// Ascending (offset in `text`, offset in the original) where unchanged stretches begin.
    stretches: Vec<(usize, usize)>,
}

impl Prepared {
    /// The place in the original of an offset in `text`.
    pub(super) fn original(&self, offset: usize) -> usize {
        let i = self.stretches.partition_point(|&(out, _)| out <= offset);
        let (out, original) = i
            .checked_sub(1)
            .and_then(|i| self.stretches.get(i))
            .copied()
            .unwrap_or_default();
        original + (offset - out)
    }
}

/// Writes the guards into `source`.
pub(super) fn prepare(source: &str) -> Result<Prepared, TemplateError> {
    let mut edits = Scanner::scan(source)?;
    // Stable: changes at one place keep the order in which they were found.
    edits.sort_by_key(|e| e.at);
    let mut out = Prepared::default();
    let mut at = 0;
    for edit in edits {
        out.stretches.push((out.text.len(), at));
        out.text
            .push_str(source.get(at..edit.at).unwrap_or_default());
        out.text.push_str(&edit.insert);
        at = edit.at.max(at) + edit.remove;
    }
    out.stretches.push((out.text.len(), at));
    out.text.push_str(source.get(at..).unwrap_or_default());
    Ok(out)
}

/// 1-based line of an offset.
pub(super) fn line_of(source: &str, at: usize) -> u32 {
    let before = source.get(..at).unwrap_or(source);
    u32::try_from(before.matches('\n').count())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// 1-based column of an offset, in characters.
pub(super) fn column_of(source: &str, at: usize) -> u32 {
    let before = source.get(..at).unwrap_or(source);
    let line = before.rsplit('\n').next().unwrap_or_default();
    u32::try_from(line.chars().count())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_stand_where_values_can_grow() {
        for (source, want) in [
            ("{{ a }}", "{{ a }}"),
            ("{{ a ~ b.c[0] }}", "{{ a|__t ~ b.c[0]|__t }}"),
            (
                "{% set a = 'x' * 9 %}",
                "{% set a = ('x'|__factor * 9|__factor)|__c %}",
            ),
            (
                "{{ -a * b - c }}",
                "{{ (-a|__factor * b|__factor)|__c - c }}",
            ),
            ("{{ a not in b }}", "{{ a|__c not in b|__c }}"),
            ("{{ x[1:].y }}", "{{ (x|__slice(1, none)).y }}"),
            (
                "{{ -x[:a + 1][::-1] }}",
                "{{ -((x|__slice(none, a|__c + 1|__c))|__slice(none, none, -1)) }}",
            ),
            (
                "{{ 'x' ~ a * b - 1 ~ c }}",
                "{{ 'x'|__t ~ (a|__factor * b|__factor)|__c|__t - 1|__t ~ c|__t }}",
            ),
            (
                "{{ 'a'|safe + b }}",
                "{{ 'a'|__input('safe')|safe|__c|__e + b|__c|__e }}",
            ),
            (
                "{% for a in b or c if a %}{% for d in e recursive %}",
                "{% for a in( b or c)|__iter if a %}{% for d in( e)|__iter recursive %}",
            ),
            (
                "{{ a ~ b ~ c == d ~ e }}",
                "{{ a|__t(2) ~ b|__t ~ c|__c|__t == d|__t ~ e|__t }}",
            ),
            (
                "{% for a, b in [1] %}",
                "{% for a, b in( ([1]|__c))|__iter %}",
            ),
            ("{{ a | upper }}", "{{ a|__input('upper') | upper }}"),
            (
                "{%- generation %}a{% endgeneration -%}",
                "{%- if true %}a{% endif -%}",
            ),
            (
                "{# a ~ b #}{% raw %}{{ a ~ b }}{% endraw %}",
                "{# a ~ b #}{% raw %}{{ a ~ b }}{% endraw %}",
            ),
            ("{{ 'a ~ \\' b' }}", "{{ 'a ~ \\' b' }}"),
        ] {
            assert_eq!(prepare(source).unwrap().text, want);
        }
    }

    #[test]
    fn places_map_back() {
        let source = "{{ a + b }} {{ c + d }}";
        let prepared = prepare(source).unwrap();
        for name in ["a", "b", "c", "d"] {
            let rewritten = prepared.text.find(&format!("{name}|__c")).unwrap();
            assert_eq!(prepared.original(rewritten), source.find(name).unwrap());
        }
    }
}
