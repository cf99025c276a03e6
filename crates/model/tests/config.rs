//! Real and written files give the configuration they should, and RoPE angles equal llama.cpp's.

use chord_gguf::Directory;
use chord_gguf::write::{WriteValue, tiny_llama};
use chord_model::config::{Arch, Config, Rope, RopePairing, RopeScaling};

fn model(name: &str) -> Directory {
    let path = format!(
        "{}/../../tests/data/models/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Directory::parse_file(&bytes).unwrap()
}

#[test]
fn v2k_llama() {
    let config = Config::from_directory(&model("v2k-llama-Q4_K_M.gguf")).unwrap();
    assert_eq!(config.arch, Arch::Llama);
    assert_eq!(config.name.as_deref(), Some("synth-v2k-llama"));
    assert_eq!(
        (config.n_layers, config.d_model, config.d_ff, config.n_vocab),
        (2, 256, 512, 2048)
    );
    assert_eq!(
        (config.n_heads, config.n_kv_heads, config.head_dim),
        (4, 2, 64)
    );
    assert_eq!((config.context_length, config.rms_eps), (1024, 1e-5));
    assert!(config.tied);
    let plain = Rope {
        pairing: RopePairing::Interleaved,
        dim: 64,
        freq_base: 10_000.0,
        scaling: RopeScaling::None,
        no_rope_step: 0,
    };
    assert_eq!(config.rope, plain);
}

#[test]
fn yarn_and_rope_factors() {
    let yarn = Config::from_directory(&model("v2k-llama-yarn-Q4_K_M.gguf")).unwrap();
    let RopeScaling::Yarn {
        ext_factor,
        attn_factor,
        beta_fast,
        beta_slow,
        ..
    } = yarn.rope.scaling
    else {
        panic!("{:?}", yarn.rope)
    };
    assert_eq!(
        (ext_factor, attn_factor, beta_fast, beta_slow),
        (1.0, 1.0, 32.0, 1.0)
    );
    let factors = model("v2k-llama-ropefreqs-Q4_K_M.gguf");
    assert!(factors.tensor("rope_freqs.weight").is_some());
    assert_eq!(
        Config::from_directory(&factors).unwrap().rope.scaling,
        RopeScaling::None
    );
}

#[test]
fn tiny_llama_and_its_sampling_defaults() {
    let mut spec = tiny_llama();
    spec.set("general.sampling.temp", WriteValue::F32(0.6));
    spec.set("general.sampling.top_k", WriteValue::I32(20));
    spec.set("general.sampling.top_p", WriteValue::U32(1));
    spec.set("general.sampling.penalty_last_n", WriteValue::I32(-1));
    let config = Config::from_directory(&Directory::parse_file(&spec.to_bytes()).unwrap()).unwrap();
    assert_eq!(
        (
            config.n_layers,
            config.d_model,
            config.head_dim,
            config.n_vocab
        ),
        (1, 32, 8, 16)
    );
    assert!(!config.tied);
    let sampling = &config.sampling;
    assert_eq!(
        (
            sampling.temp,
            sampling.top_k,
            sampling.top_p,
            sampling.min_p,
            sampling.penalty_last_n
        ),
        (Some(0.6), Some(20), Some(1.0), None, Some(u32::MAX))
    );
}

/// llama.cpp's computation for one position, in its own f32 steps: angle and magnitude per pair
/// (facts of `ggml_rope_cache_init`, `rope_yarn` and the context's set-up of `yarn_attn_factor`).
fn reference(rope: &Rope, freq_factors: Option<&[f32]>, position: f32) -> Vec<(f32, f32)> {
    let (freq_scale, ext, attn, betas, context) = match rope.scaling {
        RopeScaling::None => (1.0, 0.0, 1.0, (32.0, 1.0), 0),
        RopeScaling::Linear { factor } => (1.0 / factor, 0.0, 1.0, (32.0, 1.0), 0),
        RopeScaling::LongRope {
            factor,
            attn_factor,
            ..
        } => (1.0 / factor, 0.0, attn_factor, (32.0, 1.0), 0),
        RopeScaling::Yarn {
            factor,
            original_context,
            ext_factor,
            attn_factor,
            beta_fast,
            beta_slow,
        } => {
            let mut attn = 1.0;
            if ext_factor != 0.0 {
                attn = if factor <= 1.0 {
                    1.0
                } else {
                    0.1 * factor.ln() + 1.0
                };
                attn *= 1.0 / (1.0 + 0.1 * factor.ln());
            }
            (
                1.0 / factor,
                ext_factor,
                attn * attn_factor,
                (beta_fast, beta_slow),
                original_context,
            )
        }
    };
    let dim = rope.dim as f32;
    let corr = |turns: f32| {
        dim * (context as f32 / (turns * 2.0 * std::f32::consts::PI)).ln()
            / (2.0 * rope.freq_base.ln())
    };
    let (low, high) = (
        corr(betas.0).floor().max(0.0),
        corr(betas.1).ceil().min(dim - 1.0),
    );
    let step = rope.freq_base.powf(-2.0 / dim);
    let mut theta = position;
    let mut out = Vec::new();
    for pair in 0..rope.dim as usize / 2 {
        let extrapolated = theta / freq_factors.map_or(1.0, |factors| factors[pair]);
        let interpolated: f32 = freq_scale * extrapolated;
        let (mut angle, mut magnitude) = (interpolated, attn);
        if ext != 0.0 {
            let y = (pair as f32 - low) / (high - low).max(0.001);
            let mix = (1.0 - y.clamp(0.0, 1.0)) * ext;
            angle = interpolated * (1.0 - mix) + extrapolated * mix;
            magnitude *= 1.0 + 0.1 * (1.0 / freq_scale).ln();
        }
        out.push((angle, magnitude));
        theta *= step;
    }
    out
}

#[test]
fn angles_equal_the_step_by_step_f32_reference() {
    let factors: Vec<f32> = (0..32)
        .map(|pair| {
            if pair < 12 {
                1.0
            } else {
                1.0 + pair as f32 / 4.0
            }
        })
        .collect();
    let rope = |freq_base, scaling| Rope {
        pairing: RopePairing::Interleaved,
        dim: 64,
        freq_base,
        scaling,
        no_rope_step: 0,
    };
    let yarn = |factor, ext_factor, attn_factor| RopeScaling::Yarn {
        factor,
        original_context: 512,
        ext_factor,
        attn_factor,
        beta_fast: 32.0,
        beta_slow: 1.0,
    };
    let cases = [
        rope(10_000.0, RopeScaling::None),
        rope(500_000.0, RopeScaling::None),
        rope(10_000.0, RopeScaling::Linear { factor: 4.0 }),
        rope(10_000.0, yarn(4.0, 1.0, 1.0)),
        rope(1_000_000.0, yarn(8.0, 1.0, 0.8)),
        rope(10_000.0, yarn(4.0, 0.0, 1.25)),
        rope(10_000.0, yarn(4.0, 0.5, 1.0)),
        rope(10_000.0, yarn(0.5, 1.0, 1.0)),
        model_rope("v2k-llama-yarn-Q4_K_M.gguf"),
    ];
    for rope in cases {
        for factors in [None, Some(&factors[..])] {
            let (angles, magnitude) = rope.inv_freq(factors);
            assert_eq!(angles.len(), 32);
            for position in [0.0_f32, 1.0, 7.0, 500.0, 4095.0] {
                for (pair, (want, want_magnitude)) in
                    reference(&rope, factors, position).into_iter().enumerate()
                {
                    let angle = angles[pair] * f64::from(position);
                    // 32 roundings of the running product.
                    let error = (angle - f64::from(want)).abs() / f64::from(want).max(1e-30);
                    assert!(
                        error < 4e-6,
                        "{rope:?} pair {pair} position {position}: {angle} want {want}"
                    );
                    assert!(
                        (magnitude - want_magnitude).abs() < 1e-6,
                        "{rope:?}: {magnitude} want {want_magnitude}"
                    );
                }
            }
        }
    }
}

fn model_rope(name: &str) -> Rope {
    Config::from_directory(&model(name)).unwrap().rope
}

#[test]
fn scaling_changes_what_it_should() {
    let rope = model_rope("v2k-llama-yarn-Q4_K_M.gguf");
    let RopeScaling::Yarn { factor, .. } = rope.scaling else {
        panic!("{rope:?}")
    };
    let (scaled, magnitude) = rope.inv_freq(None);
    let (plain, one) = Rope {
        scaling: RopeScaling::None,
        ..rope
    }
    .inv_freq(None);
    // The fastest pair is left alone, the slowest is divided by the whole factor, and nothing goes outside the two.
    assert_eq!(scaled[0], plain[0]);
    assert!((scaled[31] * f64::from(factor) / plain[31] - 1.0).abs() < 1e-12);
    assert!(
        scaled
            .iter()
            .zip(&plain)
            .all(|(s, p)| *s <= *p && *s >= *p / f64::from(factor) * (1.0 - 1e-12))
    );
    assert_eq!(one, 1.0);
    assert!((magnitude - (1.0 + 0.1 * factor.ln())).abs() < 1e-6);
}
