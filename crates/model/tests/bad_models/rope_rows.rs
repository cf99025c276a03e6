//! Rotation, norms and recommended sampling: keys with bad values.

use chord_gguf::write::WriteValue;

use crate::{Case, case, value};

pub fn rope() -> Vec<Case> {
    let scaling = |name: &str, code, says: &str, pairs: &[(&str, WriteValue)]| {
        case(format!("71 {name}"), code, says, |spec| {
            for (key, value) in pairs {
                spec.set(&format!("llama.rope.scaling.{key}"), value.clone());
            }
        })
    };
    let yarn = || ("type", WriteValue::str("yarn"));
    let range = "E_META_RANGE";
    let mut cases = vec![
        value(
            "71 rope_dim_more",
            range,
            "the head's width, 8",
            "llama.rope.dimension_count",
            WriteValue::U32(16),
        ),
        value(
            "71 rope_dim_less",
            range,
            "the head's width, 8",
            "llama.rope.dimension_count",
            WriteValue::U32(4),
        ),
        value(
            "71 rope_dim_odd",
            range,
            "and even",
            "llama.rope.dimension_count",
            WriteValue::U32(7),
        ),
        scaling(
            "scaling_unknown",
            range,
            "none, linear, yarn or longrope",
            &[("type", WriteValue::str("dynamic"))],
        ),
        scaling(
            "longrope_without_factors",
            range,
            "rope_factors_long.weight",
            &[("type", WriteValue::str("longrope"))],
        ),
        scaling(
            "scaling_type_u32",
            "E_META_TYPE",
            "rope.scaling.type",
            &[("type", WriteValue::U32(1))],
        ),
        scaling(
            "scaling_0",
            range,
            "above 0",
            &[("factor", WriteValue::F32(0.0))],
        ),
        scaling(
            "scaling_nan",
            range,
            "NaN",
            &[("factor", WriteValue::F32(f32::NAN))],
        ),
        scaling(
            "attn_factor_alone",
            range,
            "neither yarn nor longrope",
            &[("attn_factor", WriteValue::F32(1.5))],
        ),
        scaling(
            "yarn_context_0",
            range,
            "original_context_length",
            &[yarn(), ("original_context_length", WriteValue::U32(0))],
        ),
        scaling(
            "yarn_beta_0",
            range,
            "yarn_beta_fast",
            &[yarn(), ("yarn_beta_fast", WriteValue::F32(0.0))],
        ),
        scaling(
            "yarn_ext_inf",
            range,
            "yarn_ext_factor",
            &[yarn(), ("yarn_ext_factor", WriteValue::F32(f32::INFINITY))],
        ),
        scaling(
            "yarn_log_multiplier",
            range,
            "DeepSeek",
            &[yarn(), ("yarn_log_multiplier", WriteValue::F32(0.1))],
        ),
        case("71 yarn_base_1", range, "not 1", |spec| {
            spec.set("llama.rope.scaling.type", WriteValue::str("yarn"));
            spec.set("llama.rope.freq_base", WriteValue::F32(1.0));
        }),
    ];
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        cases.push(value(
            &format!("71 freq_base {bad}"),
            range,
            "above 0",
            "llama.rope.freq_base",
            WriteValue::F32(bad),
        ));
    }
    for bad in [-1e-5, f32::NAN, f32::INFINITY] {
        let key = "llama.attention.layer_norm_rms_epsilon";
        cases.push(value(
            &format!("72 eps {bad}"),
            range,
            "at least 0",
            key,
            WriteValue::F32(bad),
        ));
    }
    for (name, code, key, bad) in [
        ("temp_101", range, "temp", WriteValue::I32(101)),
        ("temp_bool", "E_META_TYPE", "temp", WriteValue::Bool(true)),
        ("last_n_-2", range, "penalty_last_n", WriteValue::I32(-2)),
    ] {
        let key = format!("general.sampling.{key}");
        cases.push(value(&format!("72 {name}"), code, &key, &key, bad));
    }
    for (key, bad) in [
        ("temp", -0.1),
        ("temp", f32::NAN),
        ("temp", 100.5),
        ("top_p", 1.5),
        ("min_p", -0.5),
        ("penalty_repeat", 0.0),
        ("penalty_repeat", 0.005),
        ("penalty_repeat", 101.0),
    ] {
        let key = format!("general.sampling.{key}");
        cases.push(value(
            &format!("72 {key} {bad}"),
            range,
            &key,
            &key,
            WriteValue::F32(bad),
        ));
    }
    cases
}
