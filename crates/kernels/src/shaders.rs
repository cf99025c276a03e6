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

macro_rules! sources {
    ($($name:literal => $path:literal),* $(,)?) => {
        fn source(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../../shaders/", $path))),)*
                _ => None,
            }
        }
    };
}

sources! {
    "matmul" => "matmul.wgsl",
    "matmul_tile" => "matmul_tile.wgsl",
    "matmul_coop" => "matmul_coop.wgsl",
    "activate" => "activate.wgsl",
    "embed" => "embed.wgsl",
    "kv_write" => "kv_write.wgsl",
    "attention" => "attention.wgsl",
    "attention_batch" => "attention_batch.wgsl",
    "attention_reduce" => "attention_reduce.wgsl",
    "sample" => "sample.wgsl",
    "post_norm" => "post_norm.wgsl",
    "route" => "route.wgsl",
    "act_out" => "shared/act_out.wgsl",
    "pack_i8" => "shared/pack_i8.wgsl",
    "block_int" => "shared/block_int.wgsl",
    "kv" => "shared/kv.wgsl",
    "kv_seen" => "shared/kv_seen.wgsl",
    "kv_store" => "shared/kv_store.wgsl",
    "kv_params" => "shared/kv_params.wgsl",
    "matmul_acc" => "shared/matmul_acc.wgsl",
    "matmul_io" => "shared/matmul_io.wgsl",
    "matmul_stage" => "shared/matmul_stage.wgsl",
    "matmul_stage_f16" => "shared/matmul_stage_f16.wgsl",
    "tile_begin" => "shared/tile_begin.wgsl",
    "tile_weights" => "shared/tile_weights.wgsl",
    "tile_out" => "shared/tile_out.wgsl",
    "tile_end" => "shared/tile_end.wgsl",
    "glu" => "shared/glu.wgsl",
    "tanh" => "shared/tanh.wgsl",
    "unpack" => "shared/unpack.wgsl",
    "spread_bits" => "shared/spread_bits.wgsl",
    "k_scales" => "shared/k_scales.wgsl",
    "look_up" => "shared/look_up.wgsl",
    "table_iq4" => "shared/table_iq4.wgsl",
    "table_e2m1" => "shared/table_e2m1.wgsl",
    "quant_f32" => "shared/quant_f32.wgsl",
    "quant_f16" => "shared/quant_f16.wgsl",
    "quant_bf16" => "shared/quant_bf16.wgsl",
    "quant_q4_0" => "shared/quant_q4_0.wgsl",
    "quant_q4_1" => "shared/quant_q4_1.wgsl",
    "quant_q5_0" => "shared/quant_q5_0.wgsl",
    "quant_q5_1" => "shared/quant_q5_1.wgsl",
    "quant_q8_0" => "shared/quant_q8_0.wgsl",
    "quant_q2_k" => "shared/quant_q2_k.wgsl",
    "quant_q3_k" => "shared/quant_q3_k.wgsl",
    "quant_q4_k" => "shared/quant_q4_k.wgsl",
    "quant_q5_k" => "shared/quant_q5_k.wgsl",
    "quant_q6_k" => "shared/quant_q6_k.wgsl",
    "quant_iq4_nl" => "shared/quant_iq4_nl.wgsl",
    "quant_iq4_xs" => "shared/quant_iq4_xs.wgsl",
    "quant_mxfp4" => "shared/quant_mxfp4.wgsl",
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

    /// The WGSL text for a target.
    ///
    /// # Errors
    /// A mistake in `shaders/`; every permutation in [`crate::variants::all`] is tested to have none.
    pub fn expand(&self, target: Target) -> Result<String, preprocess::Error> {
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
        Ok(header.to_string() + &preprocess::expand(self.kernel, &self.defines, &source)?)
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
