//! Which experts each row goes to (shaders/route.wgsl).

use crate::act::{self, ActKind};
use crate::cpu::tiles::encode;
use crate::cpu::{Cores, CpuBindings};
use crate::op::{Access, Grid, Kernel};
use crate::shaders::{Shader, define, flag};
use bytemuck::{Pod, Zeroable};
use chord_simd::{Isa, Op};

/// Most experts a model may have, and most that one token may use.
pub const MAX_EXPERTS: u32 = 1024;
/// Most experts that one token may use: one thread each.
pub const MAX_USED: u32 = 64;

/// The experts with the largest router logits, and the softmax over them as weights.
#[derive(Clone, Debug)]
pub struct Route {
    /// Experts, at most [`MAX_EXPERTS`].
    pub n_experts: u32,
    /// Experts per row, at most [`MAX_USED`].
    pub used: u32,
    /// f32 per row of logits.
    pub stride: u32,
    /// Where the buffer of routes has biases of the logits.
    pub bias_at: Option<u32>,
    /// Blocks per row of the router's input, where that is f32 and the experts take int8: they are written again as such.
    pub quantise: Option<u32>,
    /// Where the buffer of routes gets the rows of the batch ([`Experts::rows_at`](crate::matmul::Experts)).
    pub rows_at: Option<u32>,
}

const F32: usize = ActKind::F32.words();
const Q8: usize = ActKind::Q8.words();

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n_experts: u32,
    stride: u32,
    bias_at: u32,
    k_blocks: u32,
    rows_at: u32,
    pad: [u32; 3],
}

/// A row of f32 blocks as int8 ones.
struct Quantise<'a> {
    from: &'a [[u32; F32]],
    to: &'a mut [[u32; Q8]],
}

impl Op for Quantise<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        for (from, to) in self.from.iter().zip(self.to) {
            let values = std::array::from_fn(|i| f32::from_bits(from[i]));
            let ssq = act::ssq(ActKind::F32, from);
            encode(isa, ActKind::Q8, &values, ssq, to);
        }
    }
}

impl Route {
    /// The experts of one row and their weights.
    fn choose(&self, logits: &[u32], biases: &[u32], out: &mut [u32]) {
        let bias = |e: usize| biases.get(e).map_or(0.0, |b| f32::from_bits(*b));
        let logits = logits.iter().take(self.n_experts as usize).enumerate();
        let mut scores: Vec<(f64, u32)> = logits
            .map(|(e, logit)| f64::from(f32::from_bits(*logit) + bias(e)))
            .zip(0..)
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scores.truncate(self.used as usize);
        let top = scores[0].0;
        let sum: f64 = scores.iter().map(|(s, _)| (s - top).exp()).sum();
        for ((score, expert), out) in scores.iter().zip(out.as_chunks_mut::<2>().0) {
            let weight = (score - top).exp() / sum;
            *out = [*expert, (weight as f32).to_bits()];
        }
    }

    fn choose_all(&self, rows: u32, mem: &CpuBindings<'_>) {
        let (logits, mut routes) = (mem.read(1), mem.write(2));
        let all = 2 * (rows * self.used) as usize;
        if let Some(at) = self.rows_at {
            routes[at as usize] = rows;
        }
        // Biases lie behind the routes of the largest batch.
        let (routes, behind) = match self.bias_at {
            Some(at) => routes.split_at_mut(at as usize),
            None => (&mut routes[..], &mut [][..]),
        };
        let logits = logits.chunks(self.stride as usize);
        let routes = routes[..all].chunks_mut(2 * self.used as usize);
        for (logits, out) in logits.zip(routes) {
            self.choose(logits, behind, out);
        }
    }
}

impl Kernel for Route {
    fn shader(&self) -> Shader {
        Shader {
            kernel: "route",
            defines: vec![
                flag("BIAS", self.bias_at.is_some()),
                define("USED", &self.used),
                define("EXPERTS", &self.n_experts),
                flag("COUNT", self.rows_at.is_some()),
                flag("QUANTISE", self.quantise.is_some()),
                flag("OUT_Q8", self.quantise.is_some()),
            ],
            subgroups: false,
        }
    }

    fn slots(&self) -> Vec<(u32, Access)> {
        let mut slots = vec![(1, Access::Read), (2, Access::ReadWrite)];
        if self.quantise.is_some() {
            slots.extend([(3, Access::Read), (4, Access::ReadWrite)]);
        }
        slots
    }

    fn params(&self) -> Vec<u8> {
        bytemuck::bytes_of(&Params {
            n_experts: self.n_experts,
            stride: self.stride,
            bias_at: self.bias_at.unwrap_or_default(),
            k_blocks: self.quantise.unwrap_or_default(),
            rows_at: self.rows_at.unwrap_or_default(),
            pad: [0; 3],
        })
        .to_vec()
    }

    fn grid(&self) -> Grid {
        Grid {
            tiles: 1,
            rows_per_group: 1,
            groups: 1,
        }
    }

    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>) {
        self.choose_all(rows, mem);
        if let Some(blocks) = self.quantise {
            let (from, mut to) = (mem.read(3), mem.write(4));
            let all = (rows * blocks) as usize;
            let from = from.as_chunks::<F32>().0.iter().take(all);
            for (from, to) in from.zip(to.as_chunks_mut::<Q8>().0) {
                let (values, ssq) = act::decode(ActKind::F32, from);
                act::encode(ActKind::Q8, &values, ssq, to);
            }
        }
    }

    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        self.choose_all(rows, mem);
        if let Some(blocks) = self.quantise {
            let (from, mut to) = (mem.read(3), mem.write(4));
            let (from, to) = (from.as_chunks().0, to.as_chunks_mut().0);
            let of_row = blocks as usize;
            let items = from.chunks(of_row).zip(to.chunks_mut(of_row));
            let items = items.take(rows as usize).collect();
            let level = cores.level();
            cores.each(items, |(from, to)| level.run(Quantise { from, to }));
        }
    }
}
