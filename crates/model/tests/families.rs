//! Keys that only some families have: what is read, and what is refused.

use chord_gguf::write::{FileSpec, KvSpec, TensorSpec, WriteValue, tiny_llama};
use chord_gguf::{Directory, Value};
use chord_model::Config;
use chord_model::config::{RopeScaling, Windows};

/// What the configuration reads of the tiny reference model of a family, with weights of zero.
fn spec(name: &str) -> FileSpec {
    let path = format!(
        "{}/../../tests/data/models/v2k-{name}.gguf",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let directory = Directory::parse(&bytes).unwrap();
    let mut spec = tiny_llama();
    spec.metadata.clear();
    for (key, value) in directory.metadata() {
        let value = match value {
            Value::U32(v) => WriteValue::U32(v),
            Value::F32(v) => WriteValue::F32(v),
            Value::Bool(v) => WriteValue::Bool(v),
            Value::Str(v) => WriteValue::Str(v.to_vec()),
            Value::Array(array) => match array.strings() {
                Some(items) => WriteValue::StrArray(items.iter().map(<[u8]>::to_vec).collect()),
                None => continue,
            },
            _ => continue,
        };
        spec.metadata.push(KvSpec {
            key: key.as_bytes().to_vec(),
            key_len: None,
            value,
        });
    }
    let tensor = |t: &chord_gguf::TensorInfo| {
        let bytes = usize::try_from(t.bytes).unwrap();
        TensorSpec::new(&t.name, t.ty, t.shape(), vec![0; bytes])
    };
    spec.tensors = directory.tensors().iter().map(tensor).collect();
    spec
}

fn config(name: &str, keys: &[(&str, WriteValue)]) -> Result<Config, chord_model::Error> {
    let mut spec = spec(name);
    for (key, value) in keys {
        spec.set(key, value.clone());
    }
    Config::from_directory(&Directory::parse(&spec.to_bytes()).unwrap())
}

fn windows(name: &str, keys: &[(&str, WriteValue)]) -> Option<Windows> {
    config(name, keys)
        .unwrap_or_else(|e| panic!("{name}: {e}"))
        .windows
}

fn refused(name: &str, keys: &[(&str, WriteValue)], says: &str) {
    let error = config(name, keys).expect_err(says);
    assert!(error.to_string().contains(says), "{error}");
}

/// One letter a layer: w for a window.
fn letters(windows: &Windows) -> String {
    let letter = |w: &bool| if *w { 'w' } else { '.' };
    windows.layers.iter().map(letter).collect()
}

#[test]
fn windows_follow_the_familys_step_or_the_files_own() {
    let gemma3 = windows("gemma3-Q4_K_M", &[]).unwrap();
    assert_eq!(
        (gemma3.size, letters(&gemma3).as_str()),
        (16, "wwwww."),
        "five local layers, then one that sees everything"
    );
    let pattern = "gemma3.attention.sliding_window_pattern";
    for (value, want) in [
        (WriteValue::U32(2), "w.w.w."),
        (WriteValue::U32(1), "......"),
        (WriteValue::U32(0), "wwwwww"),
        (
            WriteValue::BoolArray(vec![true, false, false, true, true, false]),
            "w..ww.",
        ),
        (WriteValue::I32Array(vec![0, 1, 0, 0, 0, 0]), ".w...."),
    ] {
        let found = windows("gemma3-Q4_K_M", &[(pattern, value)]).unwrap();
        assert_eq!(letters(&found), want);
    }
    let short = WriteValue::BoolArray(vec![true; 5]);
    refused("gemma3-Q4_K_M", &[(pattern, short)], "a flag for each of 6");
    let gemma2 = windows("gemma2-Q4_K_M", &[]).unwrap();
    assert_eq!(
        letters(&gemma2),
        "w.",
        "of two layers the first is the local one"
    );
    assert!(windows("mistral-Q4_K_M", &[]).is_none(), "as in llama.cpp");
    let phi = ("phi3.attention.sliding_window", WriteValue::U32(16));
    assert!(
        windows("phi3-Q4_K_M", &[phi]).is_none(),
        "llama.cpp has it switched off"
    );
}

#[test]
fn windows_that_are_absent_or_nothing() {
    let window = |arch: &str| format!("{arch}.attention.sliding_window");
    let nothing = (window("gemma3"), WriteValue::U32(0));
    let nothing = [(nothing.0.as_str(), nothing.1)];
    assert!(windows("gemma3-Q4_K_M", &nothing).is_none());
    let mut without = spec("gemma2-Q4_K_M");
    without.remove(&window("gemma2"));
    let without = Config::from_directory(&Directory::parse(&without.to_bytes()).unwrap());
    assert_eq!(without.unwrap().windows.unwrap().size, 4096);
    let mut without = spec("gpt-oss-MXFP4");
    without.remove(&window("gpt-oss"));
    let error = Config::from_directory(&Directory::parse(&without.to_bytes()).unwrap());
    assert_eq!(error.unwrap_err().code(), "E_META_MISSING");
    let zero = (window("gpt-oss"), WriteValue::U32(0));
    refused("gpt-oss-MXFP4", &[(zero.0.as_str(), zero.1)], "want 1 to");
}

#[test]
fn layers_with_windows_rotate_by_their_own_base() {
    let gemma3 = config("gemma3-Q4_K_M", &[]).unwrap();
    let local = gemma3.windows.unwrap().rope.unwrap();
    assert_eq!((gemma3.rope.freq_base, local.freq_base), (1e6, 1e4));
    let scaled = config(
        "gemma3-Q4_K_M",
        &[("gemma3.rope.scaling.factor", WriteValue::F32(8.0))],
    )
    .unwrap();
    assert_eq!(scaled.rope.scaling, RopeScaling::Linear { factor: 8.0 });
    let local = scaled.windows.unwrap().rope.unwrap();
    assert_eq!(local.scaling, RopeScaling::None, "local layers never scale");
    // gpt-oss scales in both, so there is one rotation.
    let oss = config("gpt-oss-MXFP4", &[]).unwrap();
    assert!(matches!(oss.rope.scaling, RopeScaling::Yarn { .. }));
    assert!(oss.windows.unwrap().rope.is_none());
    let own = [("gemma2.rope.freq_base_swa", WriteValue::F32(500.0))];
    let gemma2 = windows("gemma2-Q4_K_M", &own).unwrap();
    assert_eq!(gemma2.rope.unwrap().freq_base, 500.0);
}

#[test]
fn caps_and_scales() {
    let gemma2 = config("gemma2-Q4_K_M", &[]).unwrap();
    let caps = (gemma2.soft_caps.attention, gemma2.soft_caps.logits);
    assert_eq!(caps, (Some(50.0), Some(30.0)));
    let gemma3 = config("gemma3-Q4_K_M", &[]).unwrap();
    let caps = (gemma3.soft_caps.attention, gemma3.soft_caps.logits);
    assert_eq!(caps, (None, None));
    let cap = [("gemma3.final_logit_softcapping", WriteValue::F32(20.0))];
    let gemma3 = config("gemma3-Q4_K_M", &cap).unwrap();
    assert_eq!(gemma3.soft_caps.logits, Some(20.0));
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let cap = [("gemma2.attn_logit_softcapping", WriteValue::F32(bad))];
        refused("gemma2-Q4_K_M", &cap, "at least 0");
    }
    let width = f64::from(gemma2.d_model).sqrt();
    assert!((f64::from(gemma2.multipliers.embedding) - width).abs() < 1e-5);
}

#[test]
fn long_factors_are_chosen_by_the_context_that_is_planned_for() {
    let rope = config("phi3-longrope-Q4_K_M", &[]).unwrap().rope;
    assert!(matches!(
        rope.scaling,
        RopeScaling::LongRope {
            original_context: 512,
            ..
        }
    ));
    assert_eq!(rope.factors_tensor(512), "rope_factors_short.weight");
    assert_eq!(rope.factors_tensor(513), "rope_factors_long.weight");
    let (_, magnitude) = rope.inv_freq(None);
    assert!(magnitude > 1.0);
    // Files that converters write have the factors, and no type.
    let mut untyped = spec("phi3-longrope-Q4_K_M");
    untyped.remove("phi3.rope.scaling.type");
    let untyped = Config::from_directory(&Directory::parse(&untyped.to_bytes()).unwrap());
    assert_eq!(untyped.unwrap().rope, rope);
}

#[test]
fn experts_and_their_width() {
    let qwen = config("qwen3moe-Q4_K_M", &[]).unwrap();
    let experts = qwen.experts.unwrap();
    assert_eq!((experts.count, experts.used), (8, 3));
    let mixtral = config("mixtral-Q4_K_M", &[]).unwrap();
    let experts = mixtral.experts.unwrap();
    assert_eq!((experts.count, experts.used, mixtral.d_ff), (4, 2, 256));
    let more = [("qwen3moe.expert_count", WriteValue::U32(9))];
    assert_eq!(
        config("qwen3moe-Q4_K_M", &more).unwrap_err().code(),
        "E_SHAPE"
    );
    let none = [("qwen3moe.expert_count", WriteValue::U32(0))];
    refused("qwen3moe-Q4_K_M", &none, "want 1 to 1024");
    let dense = [("gemma2.expert_count", WriteValue::U32(4))];
    refused("gemma2-Q4_K_M", &dense, "not run for this architecture");
}
