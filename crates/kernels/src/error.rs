use crate::preprocess;

/// What can go wrong between the engine and a device.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No adapter, or none that matches.
    #[error("no usable GPU adapter{}; found: {}", wanted.as_ref().map(|w| format!(" matching \"{w}\"")).unwrap_or_default(), if found.is_empty() { "none".into() } else { found.join(", ") })]
    NoAdapter {
        /// What the user asked for.
        wanted: Option<String>,
        /// Names of what is there.
        found: Vec<String>,
    },
    /// The adapter lacks something the kernels cannot do without.
    #[error("adapter \"{adapter}\" has {what} {have}, the kernels need {need}")]
    Limit {
        /// Adapter name.
        adapter: String,
        /// WebGPU limit.
        what: &'static str,
        /// What it offers.
        have: u64,
        /// What is needed.
        need: u64,
    },
    /// The device could not be opened.
    #[error("adapter \"{adapter}\" refused to open a device: {why}")]
    Open {
        /// Adapter name.
        adapter: String,
        /// The driver's words.
        why: String,
    },
    /// The device is gone.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// An allocation failed.
    #[error("the device has no room for {what}{}", if *bytes > 0 { format!(" ({bytes} bytes)") } else { String::new() })]
    OutOfMemory {
        /// Buffer label.
        what: String,
        /// Size asked for; 0 where the driver does not say.
        bytes: u64,
    },
    /// The GPU did not answer in time.
    #[error("the GPU did not finish within {seconds} s")]
    Timeout {
        /// Deadline that passed.
        seconds: u64,
    },
    /// Steps cannot be timed.
    #[error("adapter \"{adapter}\" has no timestamps")]
    NoTimestamps {
        /// Adapter name.
        adapter: String,
    },
    /// The system gives no threads.
    #[error("no threads to compute with: {0}")]
    Threads(String),
    /// A shader text could not be expanded: a mistake in this program.
    #[error("shader: {0}")]
    Shader(#[from] preprocess::Error),
    /// The device refused something this program asked for: a mistake in this program or in the driver.
    #[error("the GPU refused {what}: {why}")]
    Refused {
        /// Object being made.
        what: String,
        /// The driver's words.
        why: String,
    },
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoAdapter { .. } => "E_NO_ADAPTER",
            Self::Limit { .. } => "E_ADAPTER_LIMIT",
            Self::Open { .. } => "E_DEVICE_OPEN",
            Self::Lost(_) => "E_DEVICE_LOST",
            Self::OutOfMemory { .. } => "E_GPU_OOM",
            Self::Timeout { .. } => "E_GPU_TIMEOUT",
            Self::NoTimestamps { .. } => "E_NO_TIMESTAMPS",
            Self::Threads(_) => "E_THREADS",
            Self::Shader(_) => "E_SHADER",
            Self::Refused { .. } => "E_GPU_REFUSED",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NoAdapter { wanted: Some(_), .. } => "choose one of the adapters that the message lists, or run on the CPU (--device cpu)".into(),
            Self::NoAdapter { .. } => "run on the CPU (--device cpu), or install your GPU's driver: on Linux one for Vulkan and its loader (Debian: apt-get install libvulkan1 mesa-vulkan-drivers)".into(),
            Self::Limit { .. } | Self::Open { .. } => "choose another adapter, or update the driver".into(),
            Self::Lost(_) => "try again; if it happens again, update the driver or choose another adapter".into(),
            Self::OutOfMemory { .. } => "use a shorter context or a smaller model, close other programs that use its memory, or, if it is a GPU, run on the CPU (--device cpu; in a browser device: \"cpu\")".into(),
            Self::Timeout { .. } => "the device may be hung: try again, or choose another adapter".into(),
            Self::NoTimestamps { .. } => "measure without a profile, or profile on another adapter or on the CPU (--device cpu)".into(),
            Self::Threads(_) => "ask for fewer threads, or raise the limit of processes (ulimit -u)".into(),
            Self::Shader(_) | Self::Refused { .. } => "this is a bug: please report it with the name of your GPU and its driver".into(),
        }
    }
}
