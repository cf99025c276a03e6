//! Reasoning and answer apart, the same wherever the text is cut.

use chord_text::{Parts, Reasoning, ReasoningFormat};

fn format(template: &str) -> ReasoningFormat {
    ReasoningFormat::of_template(template).expect(template)
}

fn all(mut reasoning: Reasoning, pieces: &[&str]) -> (String, String) {
    let mut all = Parts::default();
    for piece in pieces {
        let parts = reasoning.push(piece);
        all.reasoning += &parts.reasoning;
        all.answer += &parts.answer;
    }
    let rest = reasoning.finish();
    assert!(reasoning.is_settled());
    (all.reasoning + &rest.reasoning, all.answer + &rest.answer)
}

/// What a template mentions, the end of the prompt, what the model says, its reasoning and its answer.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    (
        "</think>",
        "",
        "<think>\nLet me.\n\nYes.\n</think>\n\nBlue é.\n",
        "Let me.\n\nYes.",
        "Blue é.\n",
    ),
    ("</think>", "", "\n <think>a</think>b", "a", "b"),
    (
        "</think>",
        "assistant\n<think>\n",
        "\nLet me.\n</think>\n\nBlue.",
        "Let me.",
        "Blue.",
    ),
    ("</think>", "<think>\n\n</think>\n\n", "Blue.", "", "Blue."),
    (
        "</think>",
        "",
        "  Blue <think>no</think>.",
        "",
        "  Blue <think>no</think>.",
    ),
    ("</think>", "", "<think></think>Blue", "", "Blue"),
    (
        "</think>",
        "",
        "<think>only <b> </thin",
        "only <b> </thin",
        "",
    ),
    ("</think>", "", "<think>cut  \n", "cut", ""),
    ("</think>", "", "<thi", "", "<thi"),
    ("</think>", "", "", "", ""),
    ("</think>", "", " \n", "", " \n"),
    (
        "</think>",
        "",
        "<think>a</think>b</think>c <think>d",
        "a",
        "b</think>c <think>d",
    ),
    // Granite.
    (
        "</think>",
        "",
        "<think>a </think><response> b </x> </response>",
        "a",
        "b </x>",
    ),
    ("</think>", "", "<response>b</response>", "", "b"),
    ("</think>", "<think>", "a</think>\n<resp", "a", "<resp"),
    (
        "[/THINK]",
        "",
        "[THINK]Hm [x].[/THINK]Blue.",
        "Hm [x].",
        "Blue.",
    ),
    (
        "</seed:think>",
        "",
        "<seed:think>Hm</seed:think>Blue",
        "Hm",
        "Blue",
    ),
    (
        "</mm:think>",
        "<mm:think>\n",
        "Hm</mm:think>Blue",
        "Hm",
        "Blue",
    ),
    (
        "<|END_THINKING|>",
        "",
        "<|START_THINKING|>Hm<|END_THINKING|><|START_RESPONSE|>Blue<|END_RESPONSE|>",
        "Hm",
        "Blue",
    ),
    (
        "<|END_THINKING|>",
        "<|START_THINKING|>",
        "Hm<|END_THINKING|>Blue",
        "Hm",
        "Blue",
    ),
    (
        "<|inner_suffix|>",
        "",
        "<|inner_prefix|>Hm<|inner_suffix|>Blue",
        "Hm",
        "Blue",
    ),
    (
        "<channel|>",
        "",
        "<|channel>thought\nHm\n<channel|>Blue",
        "Hm",
        "Blue",
    ),
    (
        "<channel|>",
        "<|channel>thought\n<channel|>",
        "Blue",
        "",
        "Blue",
    ),
    (
        "[BEGIN FINAL RESPONSE]",
        "\n<|begin_assistant|>\nHere are my reasoning steps:\n",
        "One.\nTwo.\n[BEGIN FINAL RESPONSE]\nBlue.\n[END FINAL RESPONSE]",
        "One.\nTwo.",
        "Blue.",
    ),
    (
        "<|channel|>analysis",
        "<|start|>assistant",
        "<|channel|>analysis<|message|>Hm <| x.\n<|end|><|start|>assistant<|channel|>final<|message|>Blue.\n",
        "Hm <| x.\n",
        "Blue.\n",
    ),
    (
        "<|channel|>analysis",
        "<|start|>assistant",
        "<|channel|>analysis<|message|>One<|end|><|start|>assistant<|channel|>analysis<|message|>Two<|end|><|start|>assistant\
         <|channel|>commentary<|message|>A<|end|><|start|>assistant<|channel|>final<|message|>B",
        "One\n\nTwo",
        "A\n\nB",
    ),
    (
        "<|channel|>analysis",
        "<|start|>assistant<|channel|>final<|message|>",
        "Blue.",
        "",
        "Blue.",
    ),
    (
        "<|channel|>analysis",
        "<|start|>assistant<|channel|>analysis<|message|>",
        "Hm<|end|>",
        "Hm",
        "",
    ),
    (
        "<|channel|>analysis",
        "<|start|>assistant",
        "Blue <|channel.",
        "",
        "Blue <|channel.",
    ),
    (
        "<|channel|>analysis",
        "<|start|>assistant",
        "<|channel|>anal",
        "",
        "",
    ),
];

#[test]
fn parts_at_every_split() {
    for (template, prompt, text, reasoning, answer) in CASES {
        let start = format(template).behind(prompt);
        let want = ((*reasoning).to_owned(), (*answer).to_owned());
        assert_eq!(all(start.clone(), &[text]), want, "{text:?}");
        let characters: Vec<String> = text.chars().map(String::from).collect();
        let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
        assert_eq!(
            all(start.clone(), &characters),
            want,
            "{text:?} by characters"
        );
        let places: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        for (n, &a) in places.iter().enumerate() {
            for &b in &places[n..] {
                let pieces = [&text[..a], &text[a..b], &text[b..]];
                assert_eq!(all(start.clone(), &pieces), want, "{pieces:?}");
            }
        }
    }
}

#[test]
fn text_leaves_as_soon_as_it_is_certain() {
    let mut r = format("</think>").behind("<think>");
    let mut push = |text: &str| {
        let parts = r.push(text);
        (parts.reasoning, parts.answer)
    };
    let said = |r: &str, a: &str| (r.to_owned(), a.to_owned());
    assert_eq!(push("\nLet"), said("Let", ""));
    assert_eq!(push(" me </"), said(" me", ""));
    assert_eq!(push("b"), said(" </b", ""));
    assert_eq!(push(" </think>\n"), said("", ""));
    assert_eq!(push("\nBlue"), said("", "Blue"));
    assert_eq!(push("\n\n"), said("", "\n\n"));
}

#[test]
fn templates_without_reasoning_get_no_parts() {
    for source in [
        "",
        "{{ messages }}",
        "<tool_call></tool_call>",
        "thinking <thinking> think",
    ] {
        assert!(ReasoningFormat::of_template(source).is_none(), "{source}");
    }
    let marks = format("</think>").marks();
    assert_eq!(marks, ["<think>", "</think>", "<response>", "</response>"]);
    assert_eq!(format("[/THINK]").marks(), ["[THINK]", "[/THINK]"]);
    assert_eq!(format("'<|channel|>analysis'").marks().len(), 6);
}
