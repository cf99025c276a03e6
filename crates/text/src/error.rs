//! The one error type of this crate: what is wrong, where, and what to do about it.

use thiserror::Error;

/// Why a tokenizer or a chat template could not be built or used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A metadata key the tokenizer cannot do without is absent.
    #[error("metadata key {key} is missing")]
    MetaMissing {
        /// The key.
        key: String,
    },
    /// A metadata key holds another type than the tokenizer reads.
    #[error("metadata key {key} is {found}, want {want}")]
    MetaType {
        /// The key.
        key: String,
        /// The type in the file.
        found: String,
        /// The type that is read.
        want: &'static str,
    },
    /// The vocabulary contradicts itself or cannot be used.
    #[error("vocabulary: {0}")]
    Vocab(String),
    /// Two lengths that must agree do not, or a length is beyond its limit.
    #[error("{what} {found} != {want}")]
    VocabLen {
        /// Which lengths.
        what: &'static str,
        /// The length found.
        found: u64,
        /// The length (or limit) it must have.
        want: u64,
    },
    /// A special-token id lies outside the vocabulary, or is needed and absent.
    #[error("{key}: {problem}")]
    TokenId {
        /// The metadata key.
        key: String,
        /// What is wrong, with the number.
        problem: String,
    },
    /// A merge rule cannot be used.
    #[error("tokenizer.ggml.merges line {line}: {problem}")]
    Merges {
        /// 1-based line; 0 when the list itself is wrong.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A pre-tokenizer this crate does not have.
    #[error("pre-tokenizer \"{0}\" is not supported")]
    PreTokenizer(String),
    /// A tokenizer model this crate does not have.
    #[error("tokenizer model \"{0}\" is not supported")]
    TokenizerModel(String),
    /// The chat template cannot be used; the kind says why.
    #[error("chat template: {0}")]
    Template(#[from] TemplateError),
    /// A request's messages, tools or template variables are not of the shape they must have.
    #[error(transparent)]
    Chat(#[from] ChatError),
}

/// What is wrong with a request for a chat.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChatError {
    /// A message; the text names the field.
    #[error("a message {0}")]
    Message(String),
    /// The tool definitions.
    #[error("tools: {0}")]
    Tools(String),
    /// The template's keyword arguments.
    #[error("chat template arguments: {0}")]
    Kwargs(String),
}

/// What went wrong in a chat template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The metadata value is not text.
    #[error("tokenizer.chat_template is {found}, want a string")]
    Type {
        /// The type in the file.
        found: String,
    },
    /// The source is too large.
    #[error("the source is {bytes} bytes, the limit is {limit}")]
    Size {
        /// Bytes of the source.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The source does not parse.
    #[error("syntax error at {line}:{column}: {problem}")]
    Syntax {
        /// 1-based line.
        line: u32,
        /// 1-based column, in characters.
        column: u32,
        /// What the parser says.
        problem: String,
    },
    /// The template asks for another template.
    #[error("it refers to another template: {0}")]
    NotFound(String),
    /// Nesting or recursion beyond the limit.
    #[error("nested or recursive beyond the limit at line {line}")]
    Depth {
        /// 1-based line.
        line: u32,
    },
    /// A range beyond the limit.
    #[error("a range has {items} items, the limit is {limit}")]
    Range {
        /// Items asked for (saturating).
        items: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many steps.
    #[error("more than {limit} steps")]
    Fuel {
        /// The limit in template instructions.
        limit: u64,
    },
    /// Too much text, in the result or on the way to it.
    #[error("text beyond the limit of {limit} bytes")]
    Output {
        /// The limit in bytes.
        limit: u64,
    },
    /// The template itself refused these messages.
    #[error("{0}")]
    Raised(String),
    /// An operation failed while rendering (an undefined value, a wrong type).
    #[error("line {line}: {problem}")]
    Render {
        /// 1-based line.
        line: u32,
        /// What the engine says.
        problem: String,
    },
}

impl Error {
    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MetaMissing { .. } => "E_META_MISSING",
            Self::MetaType { .. } => "E_META_TYPE",
            Self::Vocab(_) => "E_VOCAB",
            Self::VocabLen { .. } => "E_VOCAB_LEN",
            Self::TokenId { .. } => "E_TOKEN_ID",
            Self::Merges { .. } => "E_MERGES",
            Self::PreTokenizer(_) => "E_PRETOKENIZER",
            Self::TokenizerModel(_) => "E_TOKENIZER",
            Self::Template(t) => match t {
                TemplateError::Type { .. } => "E_TEMPLATE_TYPE",
                TemplateError::Size { .. } => "E_TEMPLATE_SIZE",
                TemplateError::Syntax { .. } => "E_TEMPLATE_SYNTAX",
                TemplateError::NotFound(_) => "E_TEMPLATE_NOT_FOUND",
                TemplateError::Depth { .. } => "E_TEMPLATE_DEPTH",
                TemplateError::Range { .. } => "E_TEMPLATE_RANGE",
                TemplateError::Fuel { .. } => "E_TEMPLATE_FUEL",
                TemplateError::Output { .. } => "E_TEMPLATE_OUTPUT",
                TemplateError::Raised(_) => "E_TEMPLATE_RAISED",
                TemplateError::Render { .. } => "E_TEMPLATE_RENDER",
            },
            Self::Chat(c) => match c {
                ChatError::Message(_) => "E_MESSAGE",
                ChatError::Tools(_) => "E_TOOLS",
                ChatError::Kwargs(_) => "E_TEMPLATE_KWARGS",
            },
        }
    }

    /// What the person at the keyboard can do.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::MetaMissing { .. } | Self::MetaType { .. } | Self::Vocab(_) | Self::VocabLen { .. } | Self::TokenId { .. } | Self::Merges { .. } => {
                "The file's tokenizer is damaged or was converted wrongly: download the model again, or convert it with a current llama.cpp.".into()
            }
            Self::PreTokenizer(_) => format!("Supported pre-tokenizers: {}. Text would be split wrongly with any other, so none is guessed.", crate::pretokenize::supported()),
            Self::TokenizerModel(_) => "Supported tokenizer models: gpt2 (byte-level BPE), llama (SentencePiece) and gemma4 (BPE over characters).".into(),
            Self::Template(t) => match t {
                TemplateError::Raised(_) => "The model's chat template refuses this conversation: change the messages (roles, order, system prompt) as it says.".into(),
                TemplateError::Fuel { .. } | TemplateError::Output { .. } => "Shorten the conversation; if it is short, the model's chat template is broken: use --raw to prompt without it.".into(),
                _ => "The model's chat template cannot be used: use --raw to prompt without it, or another conversion of the model.".into(),
            },
            Self::Chat(c) => match c {
                ChatError::Message(_) => "A message is an object with a text role, and content that is a text, a list of text parts, or null.".into(),
                ChatError::Tools(_) => r#"Tools are a JSON list such as [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]."#.into(),
                ChatError::Kwargs(_) => r#"They are names with JSON values, such as {"enable_thinking": false}; messages, tools and the special tokens come from the request and the model."#.into(),
            },
        }
    }

    /// Byte offset in the file, where one is known. Tokenizer faults are named by key, id or line instead.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        None
    }
}
