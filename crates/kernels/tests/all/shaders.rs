//! Every permutation is accepted by naga, and the uniform structs agree with their Rust twins.

use chord_kernels::shaders::{Shader, Target, Weights};
use chord_kernels::variants;
use naga::valid::Capabilities;
use std::collections::BTreeSet;

#[test]
fn every_permutation_is_valid_for_naga() {
    let shaders = variants::all();
    assert!(shaders.len() > 500, "only {} permutations", shaders.len());
    let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    all_are_valid(&shaders, capabilities);
}

#[test]
fn every_permutation_of_cooperative_matrices_is_valid_for_naga() {
    let shaders = variants::native();
    assert!(shaders.len() > 100, "only {} permutations", shaders.len());
    let capabilities = Capabilities::SUBGROUP
        | Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SHADER_FLOAT16
        | Capabilities::COOPERATIVE_MATRIX;
    all_are_valid(&shaders, capabilities);
}

/// exp(x) is exp2(x * log2(e)) on most devices, and an infinity there is not dependable.
#[test]
fn where_maxima_begin_exp_has_no_infinity() {
    let mut kernels = BTreeSet::new();
    for shader in variants::all() {
        let text = shader.expand(Target::Native, Weights::Rows).unwrap();
        if let Some((_, lowest)) = text.split_once("const LOWEST = ") {
            let lowest: f32 = lowest.split(';').next().unwrap().parse().unwrap();
            assert!((lowest * std::f32::consts::LOG2_E).is_finite(), "{lowest}");
            kernels.insert(shader.kernel);
        }
    }
    let expected = ["attention", "attention_batch", "attention_reduce"];
    assert_eq!(kernels, BTreeSet::from(expected));
}

fn all_are_valid(shaders: &BTreeSet<Shader>, capabilities: Capabilities) {
    let mut names = BTreeSet::new();
    for (shader, weights) in shaders.iter().zip(Weights::in_turn()) {
        let name = shader.name();
        assert!(
            names.insert(name.clone()),
            "two permutations are called {name}"
        );
        let text = shader
            .expand(Target::Native, weights)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let module = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string_with_path(&text, &name)));
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
        validator
            .subgroup_operations(naga::valid::SubgroupOperationSet::all())
            .subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator
            .validate(&module)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string_with_path(&text, &name)));
        let storage = module
            .global_variables
            .iter()
            .filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }))
            .count();
        assert!(
            storage <= 8,
            "{name} binds {storage} storage buffers; the WebGPU default allows 8"
        );
    }
}
