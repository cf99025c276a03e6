//! Errors of this crate: a readable file that is not a model this engine runs, or one the device cannot hold.

use chord_gguf::TensorType;

/// Why a model was refused. Positions (`at`) are byte offsets from the start of the file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Gguf(#[from] chord_gguf::Error),
    #[error("architecture {found:?} (byte {at}) is not supported; supported: {}", supported.join(", "))]
    Arch {
        found: String,
        at: u64,
        supported: &'static [&'static str],
    },
    #[error("the file is no model: general.type (byte {at}) is {found:?}")]
    Kind { found: String, at: u64 },
    #[error("the file is one part of a split model: {key} {reason}")]
    Split {
        key: &'static str,
        at: u64,
        reason: String,
    },
    #[error("the tensor {name} is missing")]
    MissingTensor { name: String },
    #[error("the tensor {name} (byte {at}) has no place in this architecture as it is run here")]
    UnexpectedTensor { name: String, at: u64 },
    #[error("{name} (byte {at}): shape {found:?}, want {want:?}")]
    Shape {
        name: String,
        at: u64,
        want: Vec<u64>,
        found: Vec<u64>,
    },
    #[error("{name} (byte {at}) is {found}; supported here: {}", names(supported))]
    TensorUnsupported {
        name: String,
        at: u64,
        found: TensorType,
        supported: &'static [TensorType],
    },
    #[error("{}", reasons.join("; "))]
    Fit { reasons: Vec<String> },
    #[error("a context of {asked} tokens was asked for, this model has {max}")]
    ContextTooLong { asked: u32, max: u32 },
    #[error("the model's data is unusable: {what}")]
    ModelData { what: String },
}

/// Shorthand for this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn names(types: &[TensorType]) -> String {
    types
        .iter()
        .map(|ty| ty.name())
        .collect::<Vec<_>>()
        .join(", ")
}

impl Error {
    /// The stable code of this cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gguf(error) => error.code(),
            Self::Arch { .. } => "E_ARCH",
            Self::Kind { .. } => "E_MODEL_KIND",
            Self::Split { .. } => "E_SPLIT",
            Self::MissingTensor { .. } => "E_MISSING_TENSOR",
            Self::UnexpectedTensor { .. } => "E_UNEXPECTED_TENSOR",
            Self::Shape { .. } => "E_SHAPE",
            Self::TensorUnsupported { .. } => "E_TENSOR_UNSUPPORTED",
            Self::Fit { .. } => "E_FIT",
            Self::ContextTooLong { .. } => "E_CTX",
            Self::ModelData { .. } => "E_MODEL_DATA",
        }
    }

    /// What the person can do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Gguf(error) => error.help(),
            Self::Arch { supported, .. } => format!("Get a model of architecture {}.", supported.join(" or ")),
            Self::Kind { .. } => {
                "Get the model itself. An adapter (LoRA) has to be merged into its model first, with llama.cpp's llama-export-lora; \
                 a projector (mmproj) or an importance matrix is no model."
                    .to_owned()
            }
            Self::Split { .. } => {
                "Give it with all its parts, under the names they were published with (NAME-00001-of-00003.gguf and so on), or join them \
                 (llama-gguf-split --merge)."
                    .to_owned()
            }
            Self::MissingTensor { .. } => {
                "The file is incomplete or was converted wrongly: download it again, or convert the model again with a \
                 current llama.cpp."
                    .to_owned()
            }
            Self::UnexpectedTensor { .. } => {
                "Leaving the tensor out would change every answer, so the model is not run. Get a plain llama model without \
                 it."
                    .to_owned()
            }
            Self::Shape { .. } => {
                "The metadata and the tensors do not belong together: download the file again, or convert the model again."
                    .to_owned()
            }
            Self::TensorUnsupported { supported, .. } => {
                format!("Get the model quantised with types of this list only: {}.", names(supported))
            }
            Self::Fit { .. } => {
                "Use a shorter context, keys and values in q8_0, a smaller quantisation or a smaller model, or close other programs that \
                 use the device."
                    .to_owned()
            }
            Self::ContextTooLong { max, .. } => format!("Ask for a context of {max} tokens or less, or leave it out."),
            Self::ModelData { .. } => "Download the file again and compare its SHA-256 with the publisher's.".to_owned(),
        }
    }

    /// Where in the file the offending field is, when there is such a place.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Gguf(error) => error.offset(),
            Self::Arch { at, .. }
            | Self::Kind { at, .. }
            | Self::Split { at, .. }
            | Self::UnexpectedTensor { at, .. }
            | Self::Shape { at, .. }
            | Self::TensorUnsupported { at, .. } => Some(*at),
            Self::MissingTensor { .. }
            | Self::Fit { .. }
            | Self::ContextTooLong { .. }
            | Self::ModelData { .. } => None,
        }
    }
}
