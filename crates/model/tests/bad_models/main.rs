//! Bad models, one row per cause: rows 15, 16, 52 and 61 to 76 of the bad-input corpus, each a written file that the
//! header reader accepts and the configuration must refuse by its own code, before any weight is read.

mod accept;
mod rope_rows;
mod rows;
mod tensor_rows;

use std::collections::BTreeSet;

use chord_gguf::write::{FileSpec, TensorSpec, WriteValue, tiny_llama};
use chord_gguf::{Directory, TensorType};
use chord_model::config::Config;
use chord_model::error::Error;

/// Weight types of matrices, in the order of the message.
const READABLE: [&str; 16] = [
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4",
];

struct Case {
    name: String,
    spec: FileSpec,
    code: &'static str,
    /// Must occur in the message or the advice.
    says: String,
}

fn load(spec: &FileSpec) -> Result<Config, Error> {
    let directory = Directory::parse_file(&spec.to_bytes())?;
    Config::from_directory(&directory)
}

fn case(
    name: impl Into<String>,
    code: &'static str,
    says: impl Into<String>,
    edit: impl FnOnce(&mut FileSpec),
) -> Case {
    let mut spec = tiny_llama();
    edit(&mut spec);
    Case {
        name: name.into(),
        spec,
        code,
        says: says.into(),
    }
}

/// T0 with one metadata value replaced.
fn value(name: &str, code: &'static str, says: &str, key: &str, value: WriteValue) -> Case {
    case(name, code, says, |spec| {
        spec.set(key, value);
    })
}

/// T0 with one tensor's shape replaced, its data made to fit.
fn reshape(spec: &mut FileSpec, name: &str, dims: &[u64]) {
    let elements = dims.iter().product::<u64>() as usize;
    spec.set_tensor(TensorSpec::f32(name, dims, &vec![0.1; elements]));
}

/// T0 with one tensor's type replaced, its data made to fit.
fn retype(spec: &mut FileSpec, name: &str, ty: TensorType) {
    let tensor = spec.tensor_mut(name).expect("a tensor of T0");
    let bytes = ty
        .bytes_for(tensor.dims.iter().product())
        .expect("whole blocks");
    tensor.type_id = ty.id();
    tensor.data = vec![0; bytes as usize];
}

/// A T0 of width 256, so that types with blocks of 256 fit its rows; all matrices of `ty`.
fn wide(ty: TensorType) -> FileSpec {
    let mut spec = tiny_llama();
    for (key, width) in [
        ("llama.embedding_length", 256),
        ("llama.feed_forward_length", 512),
        ("llama.attention.key_length", 64),
        ("llama.attention.value_length", 64),
        ("llama.rope.dimension_count", 64),
    ] {
        spec.set(key, WriteValue::U32(width));
    }
    let shapes: [(&str, &[u64]); 12] = [
        ("token_embd.weight", &[256, 16]),
        ("output.weight", &[256, 16]),
        ("output_norm.weight", &[256]),
        ("blk.0.attn_norm.weight", &[256]),
        ("blk.0.attn_q.weight", &[256, 256]),
        ("blk.0.attn_k.weight", &[256, 128]),
        ("blk.0.attn_v.weight", &[256, 128]),
        ("blk.0.attn_output.weight", &[256, 256]),
        ("blk.0.ffn_norm.weight", &[256]),
        ("blk.0.ffn_gate.weight", &[256, 512]),
        ("blk.0.ffn_up.weight", &[256, 512]),
        ("blk.0.ffn_down.weight", &[512, 256]),
    ];
    for (name, dims) in shapes {
        reshape(&mut spec, name, dims);
        if dims.len() == 2 {
            retype(&mut spec, name, ty);
        }
    }
    spec
}

#[test]
fn each_bad_model_gives_its_code_and_advice() {
    let mut faults = Vec::new();
    let cases: Vec<Case> = [
        rows::keys(),
        rope_rows::rope(),
        tensor_rows::tensors(),
        tensor_rows::split(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for Case {
        name,
        spec,
        code,
        says,
    } in &cases
    {
        let error = match load(spec) {
            Err(error) => error,
            Ok(config) => {
                faults.push(format!("{name}: accepted {config:?}"));
                continue;
            }
        };
        if error.code() != *code {
            faults.push(format!(
                "{name}: want {code}, got {} ({error})",
                error.code()
            ));
        }
        if !format!("{error} {}", error.help()).contains(says) {
            faults.push(format!(
                "{name}: {says:?} is not in {error} / {}",
                error.help()
            ));
        }
        if error.help().len() < 20 {
            faults.push(format!("{name}: no advice"));
        }
        // Only something that is absent has no place in the file.
        let placed = !["E_META_MISSING", "E_MISSING_TENSOR"].contains(code);
        if error.offset().is_some() != placed {
            faults.push(format!("{name}: offset {:?} ({error})", error.offset()));
        }
    }
    let codes: BTreeSet<&str> = cases.iter().map(|case| case.code).collect();
    let want = [
        "E_ARCH",
        "E_META_MISSING",
        "E_META_RANGE",
        "E_META_TYPE",
        "E_META_UTF8",
        "E_MISSING_TENSOR",
        "E_MODEL_KIND",
        "E_SHAPE",
        "E_SPLIT",
        "E_TENSOR_UNSUPPORTED",
        "E_UNEXPECTED_TENSOR",
    ];
    assert_eq!(codes, BTreeSet::from(want));
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn offsets_point_at_the_field() {
    let mut spec = tiny_llama();
    spec.set("llama.attention.head_count_kv", WriteValue::U32(3));
    let built = spec.build();
    let index = spec
        .metadata
        .iter()
        .position(|kv| kv.key == b"llama.attention.head_count_kv")
        .unwrap();
    // The value lies behind its type, 4 bytes.
    assert_eq!(
        load(&spec).unwrap_err().offset(),
        Some(built.kv_at[index].1 + 4)
    );

    let mut spec = tiny_llama();
    reshape(&mut spec, "blk.0.attn_k.weight", &[16, 32]);
    let index = spec
        .tensors
        .iter()
        .position(|tensor| tensor.name == b"blk.0.attn_k.weight")
        .unwrap();
    assert_eq!(
        load(&spec).unwrap_err().offset(),
        Some(spec.build().tensor_at[index])
    );
}
