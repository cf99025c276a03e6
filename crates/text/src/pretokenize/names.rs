//! Which pre-tokenizer a name means. The names, and how they share patterns, are llama.cpp's.

use super::engine::Stage;
use super::{PreTokenizer, patterns as p};

const fn pre(stages: &'static [Stage]) -> PreTokenizer {
    PreTokenizer {
        stages,
        ignore_merges: false,
        add_bos: false,
    }
}

const fn whole_words(stages: &'static [Stage]) -> PreTokenizer {
    PreTokenizer {
        ignore_merges: true,
        ..pre(stages)
    }
}

const fn whole_words_and_bos(stages: &'static [Stage]) -> PreTokenizer {
    PreTokenizer {
        add_bos: true,
        ..whole_words(stages)
    }
}

pub(super) const NAMES: &[(PreTokenizer, &[&str])] = &[
    (
        pre(p::GPT2),
        &[
            "gpt-2",
            "phi-2",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "exaone4",
        ],
    ),
    (
        pre(p::STARCODER),
        &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
    ),
    (pre(p::FALCON), &["falcon"]),
    (
        whole_words_and_bos(p::LLAMA3),
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
        ],
    ),
    (whole_words(p::LLAMA3), &["glm4", "glm5"]),
    (pre(p::LLAMA3), &["dbrx", "smaug-bpe", "chatglm-bpe"]),
    (whole_words(p::MINICPM5), &["minicpm5"]),
    (
        pre(p::QWEN2),
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
    ),
    (pre(p::QWEN35), &["qwen35"]),
    (pre(p::LAGUNA), &["laguna"]),
    (pre(p::UFAKZEKA), &["ufakzeka"]),
    (pre(p::SEED_CODER), &["seed-coder"]),
    (
        pre(p::BAILINGMOE),
        &["bailingmoe", "bailingmoe2", "llada-moe"],
    ),
    (whole_words_and_bos(p::TEKKEN), &["tekken"]),
    (
        pre(p::GPT4O),
        &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
    ),
    (whole_words(p::GRANITE_EMBED), &["granite-embed-multi-97m"]),
    (pre(p::TINY_AYA), &["tiny_aya", "cohere2moe"]),
    (whole_words(p::YOUTU), &["youtu"]),
    (pre(p::KIMI_K2), &["kimi-k2"]),
    (pre(p::DEEPSEEK_LLM), &["deepseek-llm"]),
    (pre(p::DEEPSEEK_CODER), &["deepseek-coder"]),
    (
        pre(p::DEEPSEEK_V3),
        &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
    ),
    (pre(p::SPARK), &["spark2_5"]),
    (pre(p::AFMOE), &["afmoe"]),
    (pre(p::BLOOM), &["bloom", "poro-chat", "gpt3-finnish"]),
    (pre(p::VIKING), &["viking"]),
];

/// The pre-tokenizer of a name, or `None`: never a default.
pub(crate) fn by_name(name: &str) -> Option<PreTokenizer> {
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|&(pre, _)| pre)
}

/// Every name that [`by_name`] knows, for error texts.
pub(crate) fn supported() -> String {
    NAMES
        .iter()
        .flat_map(|(_, names)| names.iter().copied())
        .collect::<Vec<_>>()
        .join(", ")
}
