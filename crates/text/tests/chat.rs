//! The model's own chat template renders byte for byte as llama.cpp and Hugging Face render it.

mod common;

use chord_text::{ChatTemplate, ChatVariables, Message, RenderOptions};
use common::json;

#[test]
fn smollm2_template_text() {
    let golden = json("chat/SmolLM2-135M-Instruct.json");
    let template = ChatTemplate::new(golden["template_source"].as_str().unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let (messages, opts) = common::chat_case(&golden, case);
        let rendered = template.render(&messages, &opts).unwrap();
        assert_eq!(
            Some(rendered.text.as_str()),
            case["direct"].as_str(),
            "{case}"
        );
        assert_eq!(Some(rendered.text.as_str()), case["hf"].as_str(), "{case}");
        for (span, message) in rendered.spans.iter().filter(|s| s.from_user).zip(&messages) {
            assert_eq!(&rendered.text[span.range.clone()], message.content().trim());
        }
        assert_eq!(
            rendered.spans.iter().filter(|s| s.from_user).count(),
            messages.len()
        );
    }
}

fn message(role: &str, content: &str) -> Message {
    Message::new(role, content)
}

fn render(source: &str, messages: &[Message]) -> String {
    ChatTemplate::new(source)
        .unwrap()
        .render(messages, &RenderOptions::default())
        .unwrap()
        .text
}

#[test]
fn spans_cover_the_text_and_survive_trimming() {
    let template = ChatTemplate::new(
        "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</>{% endfor %}",
    )
    .unwrap();
    let messages = [
        message("user", "  a b \n"),
        message("assistant", " "),
        message("user", ""),
    ];
    let rendered = template
        .render(&messages, &RenderOptions::default())
        .unwrap();
    assert_eq!(rendered.text, "<user>a b</><assistant></><user></>");
    let spans: Vec<(&str, bool)> = rendered
        .spans
        .iter()
        .map(|s| (&rendered.text[s.range.clone()], s.from_user))
        .collect();
    assert_eq!(
        spans,
        [
            ("<user>", false),
            ("a b", true),
            ("</><assistant></><user></>", false)
        ]
    );
}

#[test]
fn functions_that_templates_expect() {
    let user = [message("user", "Zoë \"<é>\"\n")];
    for (source, want) in [
        (
            "{{ messages[0].content | tojson }}",
            "\"Zoë \\\"<é>\\\"\\n\"",
        ),
        (
            "{{ messages[0].content | tojson(ensure_ascii=true) }}",
            "\"Zo\\u00eb \\\"<\\u00e9>\\\"\\n\"",
        ),
        (
            "{{ {'b': [1, 2.0, none, true], 'a': {}} | tojson }}",
            "{\"b\": [1, 2.0, null, true], \"a\": {}}",
        ),
        (
            "{{ {'b': [1, []], 'a': {}} | tojson(indent=2) }}",
            "{\n  \"b\": [\n    1,\n    []\n  ],\n  \"a\": {}\n}",
        ),
        (
            "{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}",
            "{\"a\":2,\"b\":1}",
        ),
        (
            "{% generation %}x{% endgeneration %}{%- generation -%} y {%- endgeneration %}",
            "xy",
        ),
        (
            "{{ range(1, 8, 3) | list }}{{ range(3, 0, -1) | list }}{{ range(5, 1) | length }}",
            "[1, 4, 7][3, 2, 1]0",
        ),
        (
            "{{ 'a-b'.split('-') | join('+') }}{{ ' x '.strip() }}{{ {'k': 1}.get('k') }}",
            "a+bx1",
        ),
        (
            "{{ '=' * 3 ~ 'a' + 'b' * 2 * 2 }}|{{ 7 // 2 * 2 }}|{{ 2 ** 3 * 2 }}|{{ 1 - 2 * 3 - 4 }}|{{ 7 / 2 * 2 % 4 }}",
            "===abbbb|6|16|-9|3.0",
        ),
        (
            "{{ 'x' in 'axb' and 'y' not in ['x', 'z'] and 1 < 2 }}|{{ 'abc'[1:] ~ 'abc'[::-1] ~ [1, 2, 3][-1] }}",
            "True|bccba3",
        ),
        (
            "{{ 'a' if 'x' ~ 'y' == 'xy' else 'b' }}{{ not 'a' == 'b' }}{{ (1, 2)[1] }}{{ [3, 4][0] }}{{ {'q': 5}['q'] }}",
            "aTrue235",
        ),
        (
            "{% set ns = namespace(t='') %}{% for c in ['a', 'b'] if c != 'z' %}{% set ns.t = ns.t ~ c %}{% endfor %}{{ ns.t }}",
            "ab",
        ),
        (
            "{% macro m(a, b=[1, 2], c='x' ~ 'y') %}{{ a }}{{ b | length }}{{ c }}{% endmacro %}{{ m('q') }}{{ m('r', c='s') }}",
            "q2xyr2s",
        ),
        (
            "{% set t %}in{{ 1 + 1 }}{% endset %}{{ t | upper }}{{ '%02d' | format(7) }}",
            "IN207",
        ),
        (
            "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% set a, b = 1, 2 %}{{ a + b }}",
            "a13",
        ),
        (
            "{{ x is defined }}{{ messages is iterable and messages is not mapping }}{{ 4 is divisibleby 2 }}",
            "FalseTrueTrue",
        ),
        (
            "{{ tools is none }}{{ '{{' }}{% raw %}{{ a ~ b }}{% endraw %}{# {{ c #}",
            "True{{{{ a ~ b }}",
        ),
        ("{ a {% if true %} b{% endif %} {c}", "{ a  b {c}"),
    ] {
        assert_eq!(render(source, &user), want, "{source}");
    }
}

#[test]
fn messages_from_json() {
    let read = |s: &str| Message::from_json(serde_json::from_str(s).unwrap());
    let m = read(r#"{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "x": 1}"#)
        .unwrap();
    assert_eq!((m.role(), m.content()), ("user", "a\nb"));
    assert_eq!(m.fields().get("x"), Some(&1.into()));
    let m = read(
        r#"{"role": "assistant", "content": null, "tool_calls": [{}], "reasoning_content": "r"}"#,
    )
    .unwrap();
    assert_eq!((m.content(), m.text("reasoning_content")), ("", Some("r")));
    for bad in [
        "1",
        "{}",
        r#"{"role": 1}"#,
        r#"{"role": "user", "content": 1}"#,
        r#"{"role": "user", "content": {"text": "a"}}"#,
        r#"{"role": "user", "content": [{"type": "image_url"}]}"#,
        r#"{"role": "user", "content": [{"type": "text"}]}"#,
        r#"{"role": "user", "name": 1}"#,
        r#"{"role": "tool", "tool_call_id": []}"#,
        r#"{"role": "assistant", "reasoning_content": {}}"#,
        r#"{"role": "assistant", "tool_calls": {}}"#,
        r#"{"role": "assistant", "tool_calls": [1]}"#,
    ] {
        let error = read(bad).unwrap_err();
        assert_eq!(error.code(), "E_MESSAGE", "{bad}: {error}");
        assert!(!error.help().is_empty());
    }
}

#[test]
fn tools_and_template_arguments_are_checked() {
    let value = |s: &str| serde_json::from_str::<serde_json::Value>(s).unwrap();
    let mut v = ChatVariables::default();
    v.set_tools(value(
        r#"[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#,
    ))
    .unwrap();
    assert_eq!(v.tools.len(), 1);
    for bad in [
        "{}",
        "[1]",
        r#"[{"type": "web"}]"#,
        r#"[{"type": "function"}]"#,
        r#"[{"type": "function", "function": {"name": ""}}]"#,
        r#"[{"type": "function", "function": {"name": "f", "parameters": []}}]"#,
    ] {
        let error = v.set_tools(value(bad)).unwrap_err();
        assert_eq!(error.code(), "E_TOOLS", "{bad}");
        assert!(!error.help().is_empty());
    }
    assert_eq!(v.tools.len(), 1);
    v.add_kwargs(value(
        r#"{"enable_thinking": false, "add_generation_prompt": true, "_x1": null}"#,
    ))
    .unwrap();
    assert_eq!(v.kwargs.len(), 3);
    for bad in [
        "[]",
        r#"{"": 1}"#,
        r#"{"1a": 1}"#,
        r#"{"a-b": 1}"#,
        r#"{"messages": []}"#,
        r#"{"tools": []}"#,
        r#"{"bos_token": ""}"#,
        r#"{"eos_token": ""}"#,
        r#"{"__t": 1}"#,
        r#"{"add_generation_prompt": "no"}"#,
    ] {
        let error = v.add_kwargs(value(bad)).unwrap_err();
        assert_eq!(error.code(), "E_TEMPLATE_KWARGS", "{bad}");
    }
}
