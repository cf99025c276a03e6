//! Templates that attack: each ends with its exact code, in bounded time (rows 89 to 97 of the bad-input table).

use std::time::{Duration, Instant};

use chord_gguf::Directory;
use chord_gguf::write::{WriteValue, tiny_llama};
use chord_text::{ChatTemplate, Error, Message, RenderOptions, TemplateError};

fn run(source: &str) -> Result<String, Error> {
    let messages = [Message::new("user", "hi")];
    Ok(ChatTemplate::new(source)?
        .render(&messages, &RenderOptions::default())?
        .text)
}

fn from_file(value: WriteValue) -> Result<Option<ChatTemplate>, Error> {
    let mut spec = tiny_llama();
    spec.set("tokenizer.chat_template", value);
    ChatTemplate::from_directory(&Directory::parse(&spec.to_bytes()).unwrap())
}

#[test]
fn the_value_in_the_file() {
    let code = |value| from_file(value).map(|_| ()).unwrap_err().code();
    assert_eq!(code(WriteValue::U32(1)), "E_TEMPLATE_TYPE");
    assert_eq!(code(WriteValue::Str(vec![0xFF, 0xFE])), "E_TEMPLATE_TYPE");
    assert_eq!(
        code(WriteValue::Str(vec![b'x'; 5 << 20])),
        "E_TEMPLATE_SIZE"
    );
    assert!(
        from_file(WriteValue::str("{{ messages[0].content }}"))
            .unwrap()
            .is_some()
    );
    let mut without = tiny_llama();
    without.remove("tokenizer.chat_template");
    assert!(
        ChatTemplate::from_directory(&Directory::parse(&without.to_bytes()).unwrap())
            .unwrap()
            .is_none()
    );
}

#[test]
fn syntax_errors_say_where() {
    let at = |source: &str| match ChatTemplate::new(source).unwrap_err() {
        Error::Template(TemplateError::Syntax { line, column, .. }) => (line, column),
        other => panic!("{source}: {other}"),
    };
    assert_eq!(at("é\n{{ 'a' ~ 'b' ~ }}"), (2, 16));
    assert_eq!(at("{% if x %}"), (1, 9));
    assert_eq!(at("ok\n\n  {% frob %}").0, 3);
}

/// Doubles `x` forty times in a loop.
fn doubled(start: &str, step: &str) -> String {
    format!(
        "{{% set n = namespace(x={start}) %}}{{% for i in range(40) %}}{{% set n.x = {step} %}}{{% endfor %}}{{{{ n.x }}}}"
    )
}

#[test]
fn every_attack_has_its_code() {
    let deep = |open: &str, middle: &str, close: &str, n: usize| {
        format!("{}{middle}{}", open.repeat(n), close.repeat(n))
    };
    let table: Vec<(&str, String, &str)> = vec![
        ("include", "{% include 'x' %}".into(), "E_TEMPLATE_NOT_FOUND"),
        ("include itself", "{% include 'chat_template' %}".into(), "E_TEMPLATE_NOT_FOUND"),
        ("include a path", "{% include '/etc/passwd' %}".into(), "E_TEMPLATE_NOT_FOUND"),
        ("import", "{% import 'os' as os %}".into(), "E_TEMPLATE_NOT_FOUND"),
        ("from", "{% from 'os' import system %}".into(), "E_TEMPLATE_NOT_FOUND"),
        ("extends", "{% extends 'base' %}".into(), "E_TEMPLATE_NOT_FOUND"),
        ("paren_60k", format!("{{{{ {} }}}}", deep("(", "1", ")", 60_000)), "E_TEMPLATE_DEPTH"),
        ("list_60k", format!("{{{{ {} }}}}", deep("[", "1", "]", 60_000)), "E_TEMPLATE_DEPTH"),
        ("if_10k", deep("{% if 1 %}", "x", "{% endif %}", 10_000), "E_TEMPLATE_DEPTH"),
        ("elif_10k", format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("for_10k", deep("{% for a in b %}", "x", "{% endfor %}", 10_000), "E_TEMPLATE_DEPTH"),
        ("attr_chain_10k", format!("{{{{ a{} }}}}", ".b".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("item_chain_10k", format!("{{{{ a{} }}}}", "[0]".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("call_chain_10k", format!("{{{{ a{} }}}}", "()".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("filter_chain_10k", format!("{{{{ a{} }}}}", "|upper".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("concat_chain_10k", format!("{{{{ a{} }}}}", "~a".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("and_chain_10k", format!("{{{{ a{} }}}}", " and a".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("not_chain_10k", format!("{{{{ {}a }}}}", "not ".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("minus_chain_10k", format!("{{{{ {}1 }}}}", "-".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("power_chain_10k", format!("{{{{ 1{} }}}}", "**1".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("inline_if_10k", format!("{{{{ 1{} }}}}", " if 0 else 1".repeat(10_000)), "E_TEMPLATE_DEPTH"),
        ("macro_self", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(), "E_TEMPLATE_DEPTH"),
        (
            "macro_mutual",
            "{% macro a(b) %}{{ b(a, b) }}{% endmacro %}{% macro b(a, b) %}{{ a(b) }}{% endmacro %}{{ a(b) }}".into(),
            "E_TEMPLATE_DEPTH",
        ),
        ("loop_self", "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".into(), "E_TEMPLATE_DEPTH"),
        ("value_deep", doubled("[]", "[n.x]").replace("range(40)", "range(90)"), "E_TEMPLATE_DEPTH"),
        ("value_in_itself", "{% set n = namespace() %}{% set n.n = n %}{{ n }}".into(), "E_TEMPLATE_DEPTH"),
        ("json_in_itself", "{% set n = namespace() %}{% set n.n = n %}{{ n | tojson }}".into(), "E_TEMPLATE_DEPTH"),
        ("range_1e9", "{% for i in range(1000000000) %}{% endfor %}".into(), "E_TEMPLATE_RANGE"),
        ("range_min_max", "{{ range(-9223372036854775807, 9223372036854775807) }}".into(), "E_TEMPLATE_RANGE"),
        (
            "nested_1e5",
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}".into(),
            "E_TEMPLATE_FUEL",
        ),
        ("repeat", "{{ '-' * 10000000000 }}".into(), "E_TEMPLATE_OUTPUT"),
        ("repeat_float", "{{ '-' * 1e10 }}".into(), "E_TEMPLATE_OUTPUT"),
        ("repeat_left", "{{ 10000000000 * '-' }}".into(), "E_TEMPLATE_OUTPUT"),
        ("repeat_hidden", "{{ '-' * (9999999 + 99999999) * 2 }}".into(), "E_TEMPLATE_OUTPUT"),
        ("repeat_const", format!("{{{{ {} }}}}", vec!["'-' * 999999"; 60].join(" ~ ")), "E_TEMPLATE_OUTPUT"),
        (
            "repeat_kept",
            format!("{{% for i in range(99999) %}}{}{{% endfor %}}", "{% set a = 'x' * 999999 %}".repeat(50)),
            "E_TEMPLATE_OUTPUT",
        ),
        ("repeat_list", "{{ [0] * 100000000 }}".into(), "E_TEMPLATE_OUTPUT"),
        ("indent", "{{ 'a\nb' | indent(1000000000) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("indent_named", "{{ 'a\nb' | indent(width=1000000000) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("tojson_indent", "{{ [1] | tojson(indent=1000000000) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("format_width", "{{ '%999999999d' % 1 }}".into(), "E_TEMPLATE_OUTPUT"),
        ("format_filter", "{{ '%0999999999d' | format(1) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("format_method", "{{ '{:>999999999}'.format(1) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("format_argument", "{{ '%*d' % (999999999, 1) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("replace", "{% set s = 'a' * 9999 %}{{ s | replace('a', s) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("replace_method", "{% set s = 'a' * 9999 %}{{ s.replace('', s) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("join", "{{ range(99999) | join('a' * 9999) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("join_method", "{{ ('a' * 9999).join(range(99999)) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("batch", "{{ [1] | batch(1000000000, 0) }}".into(), "E_TEMPLATE_OUTPUT"),
        ("slice", "{{ [1] | slice(1000000000) | list }}".into(), "E_TEMPLATE_OUTPUT"),
        ("double_concat", doubled("'a'", "n.x ~ n.x"), "E_TEMPLATE_OUTPUT"),
        ("double_add", doubled("'a'", "n.x + n.x"), "E_TEMPLATE_OUTPUT"),
        ("double_add_list", doubled("[1]", "n.x + n.x"), "E_TEMPLATE_OUTPUT"),
        ("double_join", doubled("'a'", "[n.x, n.x] | join"), "E_TEMPLATE_OUTPUT"),
        ("double_format", doubled("'a'", "'%s%s' | format(n.x, n.x)"), "E_TEMPLATE_OUTPUT"),
        ("double_replace", doubled("'a'", "n.x.replace('a', 'aa')"), "E_TEMPLATE_OUTPUT"),
        ("double_list", doubled("[1]", "[n.x, n.x]"), "E_TEMPLATE_OUTPUT"),
        ("double_tuple", doubled("(1, 2)", "(n.x, n.x)"), "E_TEMPLATE_OUTPUT"),
        ("double_map", doubled("{'a': 1}", "{'a': n.x, 'b': n.x}"), "E_TEMPLATE_OUTPUT"),
        (
            "double_capture",
            "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set t %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = t %}{% endfor %}"
                .into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "raw_text_in_capture",
            format!("{{% set t %}}{{% for i in range(99999) %}}{}{{% endfor %}}{{% endset %}}", "text ".repeat(9999)),
            "E_TEMPLATE_OUTPUT",
        ),
        ("raw_text", format!("{{% for i in range(99999) %}}{}{{% endfor %}}", "text ".repeat(999)), "E_TEMPLATE_OUTPUT"),
        (
            "compare_in_loop",
            "{% set s = 'a' * 999999 %}{% for i in range(99999) %}{% if s ~ 'b' in s %}{% endif %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "slice_in_loop",
            "{% set s = 'a' * 999999 %}{% for i in range(99999) %}{% set t = s[1:].x %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "split_in_loop",
            "{% set s = 'a ' * 99999 %}{% for i in range(99999) %}{% set t = s.split(' ') %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "sort_in_loop",
            "{% set s = range(99999) %}{% for i in range(99999) %}{% set t = s | sort %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "own_guard",
            format!("{{% macro __text(n) %}}{{% endmacro %}}{{% set t %}}{{% for i in range(99999) %}}{}{{% endfor %}}{{% endset %}}", "text ".repeat(9999)),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "text_of_list_in_loop",
            "{% set s = range(9999) | list %}{% for i in range(99999) %}{% set t = 'x' ~ s %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "escaped_in_loop",
            "{% set s = '<' * 999999 %}{% for i in range(99999) %}{% set t = 'x'|safe + s %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "strip_in_loop",
            "{% set s = ' ' * 999999 %}{% for i in range(99999) %}{% set t = s.strip() ~ s | trim %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        (
            "lines_in_loop",
            "{% set s = 'a\n' * 99999 %}{% for i in range(99999) %}{% set t = s.splitlines() %}{% endfor %}".into(),
            "E_TEMPLATE_OUTPUT",
        ),
        ("text_of_deep", doubled("[]", "[n.x]").replace("range(40)", "range(90)").replace("{{ n.x }}", "{{ 'x' ~ n.x }}"), "E_TEMPLATE_DEPTH"),
        ("slice_of_none", "{{ none[::-1] }}".into(), "E_TEMPLATE_RENDER"),
        ("slice_step_0", "{{ 'abc'[::0] }}".into(), "E_TEMPLATE_RENDER"),
        ("slice_bound", "{{ 'abc'['a':] }}".into(), "E_TEMPLATE_RENDER"),
        ("raise", "{{ raise_exception('x') }}".into(), "E_TEMPLATE_RAISED"),
        ("raise_in_macro", "{% macro m() %}{{ raise_exception('x') }}{% endmacro %}{{ m() }}".into(), "E_TEMPLATE_RAISED"),
        ("undefined", "{{ a.b.c }}".into(), "E_TEMPLATE_RENDER"),
        ("unknown_filter", "{{ 1 | frob }}".into(), "E_TEMPLATE_RENDER"),
        ("divide_by_zero", "{{ 1 // 0 }}".into(), "E_TEMPLATE_RENDER"),
    ];
    // Of those stopped by a limit, not of those that only fail.
    let stopped = |end: &str| {
        table
            .iter()
            .filter(|(_, _, code)| code.ends_with(end))
            .count()
    };
    assert!(stopped("_DEPTH") >= 20 && stopped("_OUTPUT") >= 20);
    assert!(stopped("_FUEL") + stopped("_RANGE") >= 3);
    let mut failures = Vec::new();
    for (name, source, want) in &table {
        let started = Instant::now();
        let got = run(source);
        let took = started.elapsed();
        let code = got.as_ref().map_or_else(Error::code, |_| "rendered");
        // Under a second on a quiet machine; other tests run beside this one.
        if code != *want || took > Duration::from_secs(2) {
            let text = got.map_or_else(|e| e.to_string(), |t| t.chars().take(60).collect());
            failures.push(format!(
                "{name}: want {want}, got {code} in {took:?}: {text}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Bounds that the engine's own slices overflow on.
#[test]
fn extreme_slices_end() {
    for (source, want) in [
        ("{{ [][::-1] }}{{ []|list|reverse|list }}", "[][]"),
        ("{{ 'ab'[::-9223372036854775808] }}", "b"),
        (
            "{{ [1, 2][9223372036854775807:-9223372036854775808:-9223372036854775808] }}",
            "[2]",
        ),
        (
            "{{ 'ab'[-9223372036854775808:9223372036854775807:9223372036854775807] }}",
            "a",
        ),
        (
            "{{ range(3)[5::-1] }}{{ {'a': 1}.items()[::-1] }}",
            "[2, 1, 0][('a', 1)]",
        ),
    ] {
        assert_eq!(run(source).unwrap(), want, "{source}");
    }
}

#[test]
fn raised_text_is_the_templates_own() {
    let error = run("{{ raise_exception('Roles must alternate') }}").unwrap_err();
    assert_eq!(
        error,
        Error::Template(TemplateError::Raised("Roles must alternate".into()))
    );
    assert_eq!(error.to_string(), "chat template: Roles must alternate");
}

/// Row 90: Python's ways out of the sandbox lead nowhere.
#[test]
fn nothing_of_the_host_is_reachable() {
    for source in [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ messages.__class__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ namespace.__init__ }}",
        "{{ debug() }}",
    ] {
        match run(source) {
            Ok(text) => assert_eq!(text, "", "{source}"),
            Err(e) => assert_eq!(e.code(), "E_TEMPLATE_RENDER", "{source}"),
        }
    }
}

/// The accepting twins of the limits: what a real template may do.
#[test]
fn large_but_honest_work_passes() {
    let long = "long text. ".repeat(100_000);
    let messages: Vec<Message> = (0..1000)
        .map(|i| {
            Message::new(
                ["user", "assistant"][i % 2],
                format!("{i} {}", "word ".repeat(200)),
            )
        })
        .chain([Message::new("user", long.as_str())])
        .collect();
    let template = ChatTemplate::new(
        "{%- for m in messages %}{%- if m['role'] == 'user' and '</think>' not in m.content %}<|{{ m.role | upper }}|>{{ m.content \
         | trim }}{%- else %}{{- '<|' ~ m['role'] ~ '|>' + m['content'].strip() }}{%- endif %}{%- endfor %}{{ '=' * 40 }}",
    )
    .unwrap();
    let text = template
        .render(&messages, &RenderOptions::default())
        .unwrap()
        .text;
    assert!(text.contains(long.trim()) && text.ends_with("===="));
    assert_eq!(run("{{ range(100000) | length }}").unwrap(), "100000");
    assert_eq!(
        run(&format!("{{{{ {}1{} }}}}", "(".repeat(40), ")".repeat(40))).unwrap(),
        "1"
    );
}
