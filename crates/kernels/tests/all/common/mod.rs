//! Runs one step on the GPU and with its CPU twin over the same fresh random memory, and compares what it wrote.

#![allow(dead_code, reason = "each test binary uses a part")]

use chord_kernels::act::{self, ActKind};
use chord_kernels::attention::Attention;
use chord_kernels::cpu::{Cpu, CpuMemory};
use chord_kernels::device::{Buffers, Device};
use chord_kernels::embed::Embed;
use chord_kernels::gpu::{Gpu, GpuOptions};
use chord_kernels::kv_write::KvWrite;
use chord_kernels::matmul::MatMul;
use chord_kernels::op::{BufDesc, BufId, Kernel, Role, Step};
use chord_kernels::shaders::Weights;
use chord_quant::WeightType;

/// A small seeded generator (xorshift64*): tests must repeat.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in [-1, 1).
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.float().to_bits()).collect()
    }
}

fn checked() -> bool {
    std::env::var_os("WASM_CHORD_TEST_CHECKED").is_some_and(|c| c == "1")
}

/// What is tested: the GPU's kernels, or with `WASM_CHORD_TEST_DEVICE=cpu` the fast ones of the CPU, with its best instructions
/// or, by `WASM_CHORD_TEST_LEVEL`, the n-th best. `WASM_CHORD_TEST_CHECKED=1`: the GPU's kernels check what they do as they run, and read weights
/// row by row, as on hardware.
pub fn device() -> Device {
    if std::env::var_os("WASM_CHORD_TEST_DEVICE").is_some_and(|d| d == "cpu") {
        let level = std::env::var("WASM_CHORD_TEST_LEVEL").map_or(0, |n| n.parse().unwrap_or(0));
        let levels = chord_simd::Level::all();
        let level = levels[level.min(levels.len() - 1)];
        return Device::Cpu(Cpu::open_at(level, None).unwrap());
    }
    let options = GpuOptions {
        checked: checked(),
        weights: checked().then_some(Weights::Rows),
        ..GpuOptions::default()
    };
    let gpu = pollster::block_on(Gpu::open(&options));
    Device::Gpu(gpu.expect("tests need an adapter: lavapipe is enough"))
}

/// Weights and keys lie in panels on the CPU.
fn role(kernel: &dyn Kernel, binding: u32) -> Role {
    let any: &dyn std::any::Any = kernel;
    let product = any.downcast_ref::<MatMul>();
    let embed = any.downcast_ref::<Embed>();
    let attention = any.downcast_ref::<Attention>().map(|kernel| kernel.shape);
    let shape = attention.or_else(|| any.downcast_ref::<KvWrite>().map(|kernel| kernel.shape));
    if let (Some(shape), 2) = (shape, binding) {
        return shape.key_role();
    }
    let found = match (product, embed, binding) {
        (Some(p), _, 1 | 2) => Some((p.a, p.rows_a, p.k_blocks)),
        (Some(p), _, 3 | 4) => p.b.map(|b| (b, p.rows_b, p.k_blocks)),
        (_, Some(e), 1 | 2) => Some((e.a, e.part.1, e.k_blocks)),
        _ => None,
    };
    found.map_or(Role::Storage, |(ty, rows, blocks)| {
        let l = chord_quant::layout(ty, rows as usize, 32 * blocks as usize).unwrap();
        let (words, unit) = if binding % 2 == 1 {
            (l.quant_words_per_row, 4)
        } else {
            (l.scale_words_per_row, 1)
        };
        Role::Weights {
            row_words: words as u32,
            rows,
            unit,
        }
    })
}

/// Random finite streams of a `rows` x `k` tensor: made as GGUF blocks, so that scales are real halves.
pub fn weights(rng: &mut Rng, ty: WeightType, rows: usize, k: usize) -> (Vec<u32>, Vec<u32>) {
    let bytes_per_row = ty.row_bytes(k).unwrap();
    let mut bytes: Vec<u8> = (0..rows * bytes_per_row)
        .map(|_| rng.next() as u8)
        .collect();
    let half = |rng: &mut Rng, scale: f32| half::f16::from_f32(rng.float() * scale).to_le_bytes();
    // Small finite values in every float field.
    for block in bytes.chunks_exact_mut(ty.block_bytes()) {
        match ty {
            WeightType::F32 => block.copy_from_slice(&rng.float().to_le_bytes()),
            WeightType::BF16 => block.copy_from_slice(&rng.float().to_le_bytes()[2..]),
            WeightType::F16 => block.copy_from_slice(&half(rng, 1.0)),
            WeightType::Mxfp4 => block[0] = 120 + block[0] % 8,
            _ => {}
        }
        for at in ty.half_fields().iter().filter(|_| ty.is_integer()) {
            block[*at..at + 2].copy_from_slice(&half(rng, 0.02));
        }
    }
    streams(ty, rows, k, &bytes)
}

/// Quants and scales of a `rows` x `k` tensor's GGUF blocks.
pub fn streams(ty: WeightType, rows: usize, k: usize, bytes: &[u8]) -> (Vec<u32>, Vec<u32>) {
    let l = chord_quant::layout(ty, rows, k).unwrap();
    let (mut q, mut s) = (vec![0; l.quant_words], vec![0; l.scale_words]);
    chord_quant::repack_rows(ty, k, bytes, &mut q, &mut s).unwrap();
    (q, s)
}

/// Activation blocks of random rows.
pub fn activations(rng: &mut Rng, kind: ActKind, tokens: usize, blocks: usize) -> Vec<u32> {
    let mut out = vec![0; tokens * blocks * kind.words()];
    for block in out.chunks_exact_mut(kind.words()) {
        let values: [f32; 32] = std::array::from_fn(|_| rng.float());
        let ssq = values.iter().map(|v| v * v).sum::<f32>() * (1.0 + rng.float() * 0.5);
        act::encode(kind, &values, ssq, block);
    }
    out
}

/// A step under test: its buffers with their first contents.
pub struct Case {
    pub name: String,
    pub kernel: std::sync::Arc<dyn Kernel>,
    /// (binding, contents)
    pub buffers: Vec<(u32, Vec<u32>)>,
    pub rows: u32,
}

/// Contents of every buffer after the step: (binding, GPU, CPU).
pub fn run_both(gpu: &Device, case: Case) -> Vec<(u32, Vec<u32>, Vec<u32>)> {
    pollster::block_on(async {
        let describe = |(b, words): &(u32, Vec<u32>)| BufDesc {
            label: format!("b{b}"),
            words: words.len() as u64,
            role: role(&*case.kernel, *b),
        };
        let descriptions: Vec<BufDesc> = case.buffers.iter().map(describe).collect();
        let bind: Vec<(u32, BufId)> = case
            .buffers
            .iter()
            .enumerate()
            .map(|(id, (b, _))| (*b, id))
            .collect();
        let step = Step {
            name: case.name,
            kernel: case.kernel,
            bind,
        };
        let memory = CpuMemory::new(&descriptions);
        let plan = Buffers::allocate(gpu, &descriptions).await.unwrap();
        for (id, (_, words)) in case.buffers.iter().enumerate() {
            memory.words_mut(id).copy_from_slice(words);
            gpu.write(plan.buffer(id), 0, words);
        }
        let read = async |id: BufId| {
            let words = case.buffers[id].1.len() as u64;
            let staging = gpu.staging(words).await.unwrap();
            let words = gpu.read(&staging, plan.buffer(id), 0, words).await;
            words.unwrap()
        };
        // A GPU in software has weights in an order of its own, and gives them back in that.
        let panels = matches!(gpu, Device::Gpu(_)) && gpu.caps().software && !checked();
        let mut own = Vec::new();
        for description in &descriptions {
            own.push(match description.role {
                Role::Weights { .. } if panels => Some(read(own.len()).await),
                _ => None,
            });
        }
        let bound = plan.bind(gpu, &step).await.unwrap();
        gpu.run(std::iter::once(&bound), case.rows, &[]);
        memory.run(&step, case.rows);
        let mut out = Vec::new();
        for (id, (b, words)) in case.buffers.iter().enumerate() {
            let from_gpu = match (read(id).await, &own[id]) {
                (now, Some(before)) if now == *before => words.clone(),
                (now, _) => now,
            };
            out.push((*b, from_gpu, memory.words(id).to_vec()));
        }
        out
    })
}

pub fn as_floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|w| f32::from_bits(*w)).collect()
}

/// Values and sums of squares of activation blocks.
pub fn act_values(kind: ActKind, words: &[u32]) -> Vec<f32> {
    words
        .chunks_exact(kind.words())
        .flat_map(|b| act::decode(kind, b).0)
        .collect()
}

/// Sums of squares in the trailers of activation blocks.
pub fn act_ssq(kind: ActKind, words: &[u32]) -> Vec<f32> {
    words
        .chunks_exact(kind.words())
        .map(|b| act::decode(kind, b).1)
        .collect()
}

/// Normalised mean squared error: sum (a-b)^2 / sum b^2. Not finite where it must be: infinite.
pub fn nmse(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let (mut error, mut power) = (0.0, 0.0);
    for (g, w) in got.iter().zip(want) {
        if !g.is_finite() {
            return f64::INFINITY;
        }
        error += (f64::from(*g) - f64::from(*w)).powi(2);
        power += f64::from(*w).powi(2);
    }
    error / power.max(1e-300)
}

/// Asserts a budget, showing where the first large difference is.
pub fn assert_close(name: &str, got: &[f32], want: &[f32], budget: f64) {
    let e = nmse(got, want);
    if e <= budget {
        return;
    }
    let scale = want.iter().fold(0.0f32, |a, w| a.max(w.abs()));
    let at = got
        .iter()
        .zip(want)
        .position(|(g, w)| g.is_nan() || (g - w).abs() > scale * 1e-3)
        .unwrap_or(0);
    let show = |v: &[f32]| format!("{:?}", &v[at..(at + 5).min(v.len())]);
    panic!(
        "{name}: NMSE {e:.3e} > {budget:.1e}; first at {at} of {}: got {} want {}",
        got.len(),
        show(got),
        show(want)
    );
}
