//! What the CPU makes of a tile of a product, in vectors.

use super::Glu;
use crate::act::{ActKind, BLOCK};
use crate::cpu::tiles::{encode, squares};
use chord_simd::{Isa, Op, math};

pub(super) struct Plain<'a> {
    pub soft_cap: Option<f32>,
    pub y: &'a [f32; BLOCK],
    pub out: &'a mut [u32],
}

impl Op for Plain<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        let mut y = *self.y;
        if let Some(cap) = self.soft_cap {
            let cap = isa.splat_f(cap);
            for y in y.chunks_exact_mut(I::LANES) {
                let v = isa.div_f(isa.load_f(y), cap);
                isa.store_f(isa.mul_f(cap, math::tanh(isa, v)), y);
            }
        }
        for (out, y) in self.out.iter_mut().zip(y) {
            *out = y.to_bits();
        }
    }
}

/// Adds a block to the residual, and writes the activation block of the norm that follows.
pub(crate) struct Residual<'a> {
    pub y: &'a [f32; BLOCK],
    pub gamma: &'a [u32],
    pub x: &'a mut [u32],
    pub kind: ActKind,
    pub out: &'a mut [u32],
}

impl Op for Residual<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        let (mut sum, mut scaled) = ([0.0; BLOCK], [0.0; BLOCK]);
        for at in (0..BLOCK).step_by(I::LANES) {
            let x = isa.add_f(isa.load_bits(&self.x[at..]), isa.load_f(&self.y[at..]));
            isa.store_f(x, &mut sum[at..]);
            let gamma = isa.load_bits(&self.gamma[at..]);
            isa.store_f(isa.mul_f(x, gamma), &mut scaled[at..]);
        }
        for (x, sum) in self.x.iter_mut().zip(&sum) {
            *x = sum.to_bits();
        }
        let ssq = squares(isa, &sum);
        encode(isa, self.kind, &scaled, ssq, self.out);
    }
}

pub(super) struct Gated<'a> {
    pub glu: Glu,
    pub gate: &'a [f32; BLOCK],
    pub up: &'a [f32; BLOCK],
    pub kind: ActKind,
    pub out: &'a mut [u32],
}

impl Op for Gated<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        let mut out = [0.0; BLOCK];
        for at in (0..BLOCK).step_by(I::LANES) {
            let (gate, up) = (isa.load_f(&self.gate[at..]), isa.load_f(&self.up[at..]));
            isa.store_f(gated(isa, self.glu, gate, up), &mut out[at..]);
        }
        encode(isa, self.kind, &out, 0.0, self.out);
    }
}

/// [`Glu::apply`] in vectors.
#[inline(always)]
fn gated<I: Isa>(isa: I, glu: Glu, gate: I::F, up: I::F) -> I::F {
    let c = |v: f32| isa.splat_f(v);
    match glu {
        Glu::Silu => isa.mul_f(isa.mul_f(gate, math::sigmoid(isa, gate)), up),
        Glu::Gelu => {
            let cubic = isa.fma(isa.mul_f(gate, gate), c(0.044_715), c(1.0));
            let inner = isa.mul_f(isa.mul_f(gate, c(0.797_884_6)), cubic);
            // (1 + tanh(x)) / 2 is the sigmoid of 2x.
            let open = math::sigmoid(isa, isa.add_f(inner, inner));
            isa.mul_f(isa.mul_f(gate, open), up)
        }
        Glu::SwigluOai => {
            let gate = isa.min_f(gate, c(7.0));
            let up = isa.min_f(isa.max_f(up, c(-7.0)), c(7.0));
            let open = math::sigmoid(isa, isa.mul_f(gate, c(1.702)));
            isa.mul_f(isa.mul_f(gate, open), isa.add_f(up, c(1.0)))
        }
    }
}
