//! The shader texts and their expansion for a target.

use crate::preprocess;

/// Where a shader will be compiled. The bodies are the same; the headers differ: browsers require `enable subgroups;`,
/// naga refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// wgpu with naga.
    Native,
    /// A browser's WebGPU.
    Browser,
}

include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// How a device has weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Row by row.
    Rows,
    /// In panels of rows (shaders/shared/in_row.wgsl).
    Panels,
}

impl Weights {
    /// Both in turn, without end: what looks at every permutation once sees half of them with each, as one function is all that differs.
    pub fn in_turn() -> impl Iterator<Item = Self> {
        [Self::Rows, Self::Panels].into_iter().cycle()
    }
}

/// One permutation of one kernel's shader: what a pipeline is made from and cached by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shader {
    /// File name in `shaders/`, without `.wgsl`.
    pub kernel: &'static str,
    /// Names for the preprocessor, in a fixed order.
    pub defines: Vec<(String, String)>,
    /// Uses subgroup built-ins.
    pub subgroups: bool,
}

impl Shader {
    /// A short unique name, also fit for a file name.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = self.kernel.to_string();
        for (k, v) in &self.defines {
            match v.as_str() {
                "0" => {}
                "1" => name.extend(["-", &k.to_lowercase()]),
                _ => name.extend(["-", &k.to_lowercase(), "_", v]),
            }
        }
        name
    }

    /// The WGSL text for a target and a device.
    ///
    /// # Errors
    /// A mistake in `shaders/`; every permutation in [`crate::variants::all`] is tested to have none.
    pub fn expand(&self, target: Target, weights: Weights) -> Result<String, preprocess::Error> {
        let header = match target {
            Target::Native => "",
            Target::Browser => {
                if self.subgroups {
                    "enable subgroups;\nrequires packed_4x8_integer_dot_product;\n"
                } else {
                    "requires packed_4x8_integer_dot_product;\n"
                }
            }
        };
        let mut defines = self.defines.clone();
        defines.push(flag("PANELS", weights == Weights::Panels));
        Ok(header.to_string() + &preprocess::expand(self.kernel, &defines, &source)?)
    }
}

/// Builds the define list of a [`Shader`].
pub(crate) fn define(name: &str, value: &dyn std::fmt::Display) -> (String, String) {
    (name.into(), value.to_string())
}

/// A define that is on or off.
pub(crate) fn flag(name: &str, on: bool) -> (String, String) {
    (name.into(), u8::from(on).to_string())
}
