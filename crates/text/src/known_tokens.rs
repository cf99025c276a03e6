//! Ids with a meaning: those the file names, and llama.cpp's rules for tokens known by their text.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::spec::SpecialIds;
use crate::vocab::{Kind, Vocab};

/// Special ids inside the vocabulary.
pub(crate) struct Special {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) eot: Option<u32>,
    pub(crate) eom: Option<u32>,
    pub(crate) fim_pad: Option<u32>,
    pub(crate) fim_rep: Option<u32>,
    pub(crate) fim_sep: Option<u32>,
}

/// The named ids, each inside the vocabulary.
pub(crate) fn check_special_ids(ids: &SpecialIds, n_vocab: u32) -> Result<Special, Error> {
    let check = |key: &str| match ids.get(key) {
        None => Ok(None),
        Some(id) => match u32::try_from(id) {
            Ok(id) if id < n_vocab => Ok(Some(id)),
            _ => Err(Error::TokenId {
                key: SpecialIds::key(key),
                problem: format!("{id} is outside the vocabulary of {n_vocab} tokens"),
            }),
        },
    };
    for name in SpecialIds::NAMES {
        check(name)?;
    }
    Ok(Special {
        bos: check("bos")?,
        eos: check("eos")?,
        eot: check("eot")?,
        eom: check("eom")?,
        fim_pad: check("fim_pad")?,
        fim_rep: check("fim_rep")?,
        fim_sep: check("fim_sep")?,
    })
}

impl Vocab {
    /// llama.cpp's rules by token text: some texts are control tokens whatever the file says, some end a generation.
    /// Returns the end-of-generation ids in ascending order.
    pub(crate) fn correct_by_text(&mut self, special: &Special) -> Vec<u32> {
        let mut eog = BTreeSet::new();
        let find = |vocab: &Self, texts: &[&str]| {
            texts.iter().filter_map(|t| vocab.id(t.as_bytes())).min()
        };
        for (given, texts, ends) in [
            (None, FIM_PREFIX, false),
            (None, FIM_SUFFIX, false),
            (None, FIM_MIDDLE, false),
            (special.fim_pad, FIM_PAD, true),
            (special.fim_rep, FIM_REPO, true),
            (special.fim_sep, FIM_FILE, true),
        ] {
            let id = given.or_else(|| {
                let id = find(self, texts)?;
                self.set_kind(id, Kind::Control);
                Some(id)
            });
            eog.extend(id.filter(|_| ends));
        }
        for text in END_OF_GENERATION {
            if let Some(id) = self.id(text.as_bytes()) {
                self.set_kind(id, Kind::Control);
                eog.insert(id);
            }
        }
        for text in ALWAYS_SHOWN {
            if let Some(id) = self.id(text.as_bytes()) {
                self.set_kind(id, Kind::UserDefined);
            }
        }
        eog.extend(
            [special.eos, special.eot, special.eom]
                .into_iter()
                .flatten(),
        );

        let has = |eog: &BTreeSet<u32>, text: &str| {
            self.id(text.as_bytes()).filter(|id| eog.contains(id))
        };
        let (end, call) = (
            has(&eog, "<|end|>"),
            has(&eog, "<|call|>").or_else(|| has(&eog, "<|calls|>")),
        );
        let returns = has(&eog, "<|return|>").or_else(|| has(&eog, "<|flush|>"));
        let (s, normal_s) = (
            has(&eog, "</s>"),
            has(&eog, "<|tool_response>").or_else(|| has(&eog, "<|plamo:eos|>")),
        );
        if let (Some(end), Some(_), Some(_)) = (end, call, returns) {
            // In the harmony format <|end|> closes a message, not the turn.
            eog.remove(&end);
            self.set_kind(end, Kind::UserDefined);
        }
        if let (Some(s), Some(_)) = (s, normal_s) {
            eog.remove(&s);
            self.set_kind(s, Kind::Normal);
        }
        eog.into_iter().collect()
    }
}

const END_OF_GENERATION: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];
const ALWAYS_SHOWN: &[&str] = &["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];
const FIM_PREFIX: &[&str] = &[
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<｜fim▁begin｜>",
    "<PRE>",
    "▁<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
];
const FIM_SUFFIX: &[&str] = &[
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<｜fim▁hole｜>",
    "<SUF>",
    "▁<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
];
const FIM_MIDDLE: &[&str] = &[
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<｜fim▁end｜>",
    "<MID>",
    "▁<MID>",
    "<|code_middle|>",
    "<|middle|>",
];
const FIM_PAD: &[&str] = &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"];
const FIM_REPO: &[&str] = &[
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
];
const FIM_FILE: &[&str] = &["<|file_sep|>"];
