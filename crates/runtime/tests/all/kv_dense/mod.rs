//! A second implementation of llama: dense, in f64, one sequence, no cache, no pages. Weights come from the decoder of
//! the file's own blocks, not from the engine's streams; angles from the formula, not from the table.

use chord_gguf::{Directory, Limits, Parser, Progress};
use chord_model::Config;
use chord_quant::{WeightType, decode};
use std::ops::Range;

struct Matrix {
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }

    fn times(&self, x: &[f64]) -> Vec<f64> {
        let dot = |row: &[f32]| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
        self.values.chunks_exact(self.columns).map(dot).collect()
    }
}

struct Layer {
    norms: [Vec<f32>; 2],
    q: Matrix,
    k: Matrix,
    v: Matrix,
    out: Matrix,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// A llama model without RoPE scaling.
pub struct Dense {
    pub config: Config,
    embed: Matrix,
    head: Option<Matrix>,
    norm: Vec<f32>,
    layers: Vec<Layer>,
}

/// The header of a file.
pub fn directory(bytes: &[u8]) -> Box<Directory> {
    let mut parser = Parser::new(Limits::default()).with_file_len(bytes.len() as u64);
    match parser.feed(bytes).unwrap() {
        Progress::Ready(directory) => directory,
        _ => parser.finish().unwrap(),
    }
}

impl Dense {
    pub fn new(bytes: &[u8]) -> Self {
        let d = directory(bytes);
        let config = Config::from_directory(&d).unwrap();
        assert_eq!(config.rope.scaling, chord_model::config::RopeScaling::None);
        assert!(d.tensor("rope_freqs.weight").is_none());
        let matrix = |name: String| {
            let info = d.tensor(&name).unwrap_or_else(|| panic!("no {name}"));
            let at = usize::try_from(info.offset).unwrap();
            let mut values = vec![0.0; usize::try_from(info.elements()).unwrap()];
            let from = &bytes[at..at + usize::try_from(info.bytes).unwrap()];
            decode(
                WeightType::from_ggml_id(info.ty.id()).unwrap(),
                from,
                &mut values,
            )
            .unwrap();
            Matrix {
                columns: usize::try_from(info.dims[0]).unwrap(),
                values,
            }
        };
        let layers = (0..config.n_layers).map(|n| {
            let part = |name: &str| matrix(format!("blk.{n}.{name}.weight"));
            Layer {
                norms: [part("attn_norm").values, part("ffn_norm").values],
                q: part("attn_q"),
                k: part("attn_k"),
                v: part("attn_v"),
                out: part("attn_output"),
                gate: part("ffn_gate"),
                up: part("ffn_up"),
                down: part("ffn_down"),
            }
        });
        Self {
            layers: layers.collect(),
            embed: matrix("token_embd.weight".into()),
            head: (!config.tied).then(|| matrix("output.weight".into())),
            norm: matrix("output_norm.weight".into()).values,
            config,
        }
    }

    fn normed(&self, x: &[f64], gamma: &[f32]) -> Vec<f64> {
        let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
        let factor = 1.0 / (mean + f64::from(self.config.rms_eps)).sqrt();
        x.iter()
            .zip(gamma)
            .map(|(v, g)| v * factor * f64::from(*g))
            .collect()
    }

    /// Turns the pairs `(2i, 2i + 1)` of every head.
    fn rotate(&self, x: &mut [f64], position: usize) {
        let dim = self.config.head_dim as usize;
        for head in x.chunks_exact_mut(dim) {
            for (i, pair) in head.chunks_exact_mut(2).enumerate() {
                let angle = position as f64
                    * f64::from(self.config.rope.freq_base).powf(-2.0 * i as f64 / dim as f64);
                let (s, c) = angle.sin_cos();
                (pair[0], pair[1]) = (pair[0] * c - pair[1] * s, pair[0] * s + pair[1] * c);
            }
        }
    }

    /// Logits of the tokens in `rows`, where token `t` attends to token `j <= t` if `mask(t, j)`.
    pub fn logits(
        &self,
        tokens: &[u32],
        rows: Range<usize>,
        mask: impl Fn(usize, usize) -> bool,
    ) -> Vec<Vec<f32>> {
        let dim = self.config.head_dim as usize;
        let group = (self.config.n_heads / self.config.n_kv_heads) as usize;
        let scale = 1.0 / (dim as f64).sqrt();
        let embedding = |t: &u32| {
            self.embed
                .row(*t as usize)
                .iter()
                .map(|v| f64::from(*v))
                .collect()
        };
        let mut x: Vec<Vec<f64>> = tokens.iter().map(embedding).collect();
        for layer in &self.layers {
            let normed: Vec<_> = x.iter().map(|x| self.normed(x, &layer.norms[0])).collect();
            let turned = |m: &Matrix| -> Vec<Vec<f64>> {
                let mut y: Vec<_> = normed.iter().map(|x| m.times(x)).collect();
                y.iter_mut()
                    .enumerate()
                    .for_each(|(t, y)| self.rotate(y, t));
                y
            };
            let (q, k) = (turned(&layer.q), turned(&layer.k));
            let v: Vec<_> = normed.iter().map(|x| layer.v.times(x)).collect();
            for t in 0..tokens.len() {
                let seen: Vec<usize> = (0..=t).filter(|j| mask(t, *j)).collect();
                let mut mixed = Vec::new();
                for (h, q) in q[t].chunks_exact(dim).enumerate() {
                    let part = h / group * dim..(h / group + 1) * dim;
                    let score = |j: &usize| {
                        q.iter()
                            .zip(&k[*j][part.clone()])
                            .map(|(a, b)| a * b)
                            .sum::<f64>()
                            * scale
                    };
                    let scores: Vec<f64> = seen.iter().map(score).collect();
                    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for d in part {
                        mixed.push(
                            seen.iter()
                                .zip(&weights)
                                .map(|(j, w)| w / total * v[*j][d])
                                .sum::<f64>(),
                        );
                    }
                }
                add(&mut x[t], &layer.out.times(&mixed));
                let normed = self.normed(&x[t], &layer.norms[1]);
                let (gate, up) = (layer.gate.times(&normed), layer.up.times(&normed));
                let inner: Vec<f64> = gate
                    .iter()
                    .zip(&up)
                    .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                    .collect();
                add(&mut x[t], &layer.down.times(&inner));
            }
        }
        let head = self.head.as_ref().unwrap_or(&self.embed);
        rows.map(|t| {
            head.times(&self.normed(&x[t], &self.norm))
                .into_iter()
                .map(|v| v as f32)
                .collect()
        })
        .collect()
    }
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
