//! Models that must be accepted: the twins of the refused ones.

use chord_gguf::TensorType;
use chord_gguf::write::{FileSpec, WriteValue, tiny_llama};
use chord_model::config::Config;

use crate::rows::INTEGERS;
use crate::{load, reshape, retype, wide};

fn accept(name: &str, spec: &FileSpec) -> Config {
    load(spec).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn twins_that_must_be_accepted() {
    let plain = accept("T0", &tiny_llama());
    let same = |name: &str, edit: &dyn Fn(&mut FileSpec)| {
        let mut spec = tiny_llama();
        edit(&mut spec);
        assert_eq!(accept(name, &spec), plain, "{name}");
    };
    for key in INTEGERS {
        let mut spec = tiny_llama();
        let Some(WriteValue::U32(was)) = spec.value_mut(key).cloned() else {
            panic!("{key}")
        };
        for wide in [
            WriteValue::U64(was.into()),
            WriteValue::I64(was.into()),
            WriteValue::I32(was as i32),
        ] {
            spec.set(key, wide);
            assert_eq!(accept(key, &spec), plain, "{key}");
        }
    }
    same("small integers", &|spec| {
        spec.set("llama.block_count", WriteValue::I8(1))
            .set("llama.embedding_length", WriteValue::U16(32));
    });
    same("eps as f64", &|spec| {
        spec.set(
            "llama.attention.layer_norm_rms_epsilon",
            WriteValue::F64(1e-5),
        );
    });
    same("rope dimension not stated", &|spec| {
        spec.remove("llama.rope.dimension_count");
    });
    same("rope base not stated", &|spec| {
        spec.remove("llama.rope.freq_base");
    });
    same("vocabulary size not stated", &|spec| {
        spec.remove("llama.vocab_size");
    });
    same("head widths stated", &|spec| {
        spec.set("llama.attention.key_length", WriteValue::U32(8))
            .set("llama.attention.value_length", WriteValue::U32(8));
    });
    same("unknown keys", &|spec| {
        spec.push("llama.something.new", WriteValue::str("x"));
    });
    same("one part of one", &|spec| {
        spec.set("split.no", WriteValue::U16(0))
            .set("split.count", WriteValue::U16(1));
    });
    same("no experts", &|spec| {
        spec.set("llama.expert_count", WriteValue::U32(0));
    });
    same("linear scaling by 1", &|spec| {
        spec.set("llama.rope.scaling.type", WriteValue::str("linear"));
        spec.set("llama.rope.scaling.factor", WriteValue::F32(1.0));
    });
    same("rope factors", &|spec| {
        reshape(spec, "rope_freqs.weight", &[4]);
    });
    same("weights that are not finite", &|spec| {
        // Row 75: the header says nothing about it; generation has to notice.
        spec.tensor_mut("blk.0.attn_q.weight").unwrap().data =
            f32::NAN.to_le_bytes().repeat(32 * 32);
    });
    same("mixed types", &|spec| {
        retype(spec, "blk.0.attn_q.weight", TensorType::F16);
        retype(spec, "blk.0.attn_k.weight", TensorType::Q8_0);
        retype(spec, "blk.0.ffn_up.weight", TensorType::Q4_0);
        retype(spec, "blk.0.ffn_down.weight", TensorType::Q4_1);
    });

    let mut tied = tiny_llama();
    tied.remove_tensor("output.weight");
    assert_eq!(
        accept("tied", &tied),
        Config {
            tied: true,
            ..plain.clone()
        }
    );
    let mut nameless = tiny_llama();
    nameless.set("general.name", WriteValue::U32(1));
    assert_eq!(
        accept("a name that is not text", &nameless),
        Config {
            name: None,
            ..plain.clone()
        }
    );
    let mut heads = tiny_llama();
    heads.remove("llama.attention.head_count_kv");
    reshape(&mut heads, "blk.0.attn_k.weight", &[32, 32]);
    reshape(&mut heads, "blk.0.attn_v.weight", &[32, 32]);
    assert_eq!(
        accept("as many KV heads as heads", &heads),
        Config {
            n_kv_heads: 4,
            ..plain.clone()
        }
    );
    let mut long = tiny_llama();
    long.set("llama.context_length", WriteValue::U32(u32::MAX));
    assert_eq!(
        accept("70 ctx_2_32", &long),
        Config {
            context_length: 1 << 20,
            trained_context: u32::MAX,
            ..plain
        }
    );
    for ty in crate::READABLE {
        let ty = TensorType::all().find(|known| known.name() == ty).unwrap();
        assert_eq!(accept(ty.name(), &wide(ty)).head_dim, 64);
    }
}
