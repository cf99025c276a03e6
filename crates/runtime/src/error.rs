use crate::sampler::InvalidSampling;
use chord_model::Full;

/// What can go wrong while loading or running a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a model this engine runs, or the device cannot hold it.
    #[error(transparent)]
    Model(#[from] chord_model::Error),
    /// Tokenizer or chat template.
    #[error(transparent)]
    Text(#[from] chord_text::Error),
    /// Device.
    #[error(transparent)]
    Gpu(#[from] chord_kernels::Error),
    /// A sampling setting is out of range.
    #[error(transparent)]
    Sampling(#[from] InvalidSampling),
    /// Reading the model failed.
    #[error("reading the model at byte {offset}: {source}")]
    Read {
        /// First byte asked for.
        offset: u64,
        /// The system's words.
        source: std::io::Error,
    },
    /// The prompt does not fit the context.
    #[error("the prompt has {tokens} tokens, the context holds {context}")]
    Context {
        /// Tokens of the prompt.
        tokens: usize,
        /// Context in tokens.
        context: u32,
    },
    /// No room for another token or sequence.
    #[error("no room in the KV store: {0}")]
    KvFull(#[from] Full),
    /// The prompt has no tokens and the vocabulary no beginning-of-text token.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// A token id is outside the vocabulary.
    #[error("token {id} is outside the vocabulary of {n_vocab}")]
    TokenId {
        /// The id.
        id: u32,
        /// Tokens in the vocabulary.
        n_vocab: u32,
    },
    /// The model that was to guess ahead has other tokens.
    #[error("the draft model does not have the model's tokens: {}", match differs {
        Some(id) => format!("token {id} is another text"),
        None => format!("it has {}, the model has {}", n[1], n[0]),
    })]
    DraftVocabulary {
        /// Tokens in the model's vocabulary and in the draft model's.
        n: [u32; 2],
        /// The first token that is not the same.
        differs: Option<u32>,
    },
    /// The model produced NaN or infinity.
    #[error("the model produced logits that are not finite, at position {position}")]
    NonFinite {
        /// Position of the token that was to be chosen.
        position: u32,
    },
    /// The ring would have no page beside its sinks.
    #[error("{sink_pages} sink pages leave no room in a context of {pages} pages of 32 tokens")]
    SinkPages {
        /// Pages asked to be kept.
        sink_pages: u32,
        /// Pages of the context.
        pages: u32,
    },
    /// No variant of the kernels computes what it should on this adapter.
    #[error("the kernels compute wrong results on adapter \"{adapter}\": {what}")]
    SelfTest {
        /// Adapter name.
        adapter: String,
        /// What each variant got wrong.
        what: String,
    },
    /// Taps were asked for on an engine loaded without them.
    #[error("the engine was loaded without taps")]
    NoTaps,
    /// The caller stopped the loading.
    #[error("loading was stopped")]
    Cancelled,
}

/// Classes of errors, one per exit code of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitClass {
    /// A wrong request.
    Usage,
    /// The model file.
    Model,
    /// No usable adapter.
    NoAdapter,
    /// Device lost, or out of memory.
    Device,
    /// Stopped by the caller.
    Interrupted,
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Model(e) => e.code(),
            Self::Text(e) => e.code(),
            Self::Gpu(e) => e.code(),
            Self::Sampling(e) => e.code(),
            Self::Read { .. } => "E_READ",
            Self::Context { .. } => "E_CONTEXT",
            Self::KvFull(_) => "E_KV_FULL",
            Self::EmptyPrompt => "E_EMPTY_PROMPT",
            Self::TokenId { .. } => "E_TOKEN_ID",
            Self::DraftVocabulary { .. } => "E_DRAFT_VOCABULARY",
            Self::NonFinite { .. } => "E_NONFINITE",
            Self::SinkPages { .. } => "E_SINK_PAGES",
            Self::SelfTest { .. } => "E_SELF_TEST",
            Self::NoTaps => "E_NO_TAPS",
            Self::Cancelled => "E_ABORTED",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Model(e) => e.help(),
            Self::Text(e) => e.help(),
            Self::Gpu(e) => e.help(),
            Self::Sampling(e) => e.help(),
            Self::Read { .. } => "check that the file is complete and readable".into(),
            Self::Context { .. } => "shorten the prompt, or load with a longer context if the model allows more".into(),
            Self::KvFull(Full::Sequences { .. }) => "close a conversation first".into(),
            Self::KvFull(Full::Memory { .. }) => {
                "clear a conversation, close other programs that use the GPU, or store K and V in q8_0".into()
            }
            Self::KvFull(_) => "clear a conversation, or load with a longer context".into(),
            Self::EmptyPrompt => "give a prompt".into(),
            Self::TokenId { .. } => "use ids that the same model's tokenizer gave".into(),
            Self::DraftVocabulary { .. } => "use a smaller model of the same family".into(),
            Self::NonFinite { .. } => "keys or values may pass the range of f16: store them in f32 (kv); else the weights hold NaN or infinity, or a kernel is wrong on this device: a trace names the first step where it appears".into(),
            Self::SinkPages { .. } => "keep fewer pages, or take a longer context".into(),
            Self::SelfTest { .. } => "update the graphics driver, or choose another adapter".into(),
            Self::NoTaps => "load with taps".into(),
            Self::Cancelled => "load again".into(),
        }
    }

    /// Which exit code this is.
    #[must_use]
    pub fn exit_class(&self) -> ExitClass {
        match self {
            Self::Model(chord_model::Error::Fit { .. }) => ExitClass::Device,
            Self::Model(chord_model::Error::ContextTooLong { .. }) => ExitClass::Usage,
            Self::Text(chord_text::Error::Chat(_)) => ExitClass::Usage,
            Self::Model(_) | Self::Text(_) | Self::Read { .. } | Self::NonFinite { .. } => {
                ExitClass::Model
            }
            Self::Gpu(
                chord_kernels::Error::NoAdapter { .. }
                | chord_kernels::Error::Limit { .. }
                | chord_kernels::Error::Open { .. },
            )
            | Self::SelfTest { .. } => ExitClass::NoAdapter,
            Self::Gpu(_) => ExitClass::Device,
            Self::Cancelled => ExitClass::Interrupted,
            Self::Sampling(_)
            | Self::DraftVocabulary { .. }
            | Self::Context { .. }
            | Self::KvFull(_)
            | Self::EmptyPrompt
            | Self::TokenId { .. }
            | Self::SinkPages { .. }
            | Self::NoTaps => ExitClass::Usage,
        }
    }
}
