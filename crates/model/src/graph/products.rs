//! Matrix products of the plan: in parts where their weights are, with what follows them.

use super::layers::Layer;
use super::wire::{Steps, Wiring};
use super::{Batch, GraphOptions};
use crate::config::Config;
use crate::weights::Segment;
use chord_kernels::act::ActKind;
use chord_kernels::matmul::{Epilogue, Experts, Layout, MatMul};
use chord_kernels::op::{BufId, Step};
use chord_kernels::post_norm::PostNorm;
use chord_kernels::sum_routes::SumRoutes;
use chord_kernels::variants::EXPERT_COLS;

/// Where a product whose result joins the residual reads, writes, and what follows it.
pub(super) struct Residual<'a> {
    pub name: String,
    pub segments: &'a [usize],
    pub act_in: (BufId, ActKind),
    pub next_norm: BufId,
    /// Biases of the result lie behind the weights of that norm.
    pub bias: bool,
    /// Norm of the result, where there is one.
    pub post_norm: Option<(&'static str, BufId)>,
    pub act_out: (BufId, ActKind),
    pub tap: usize,
}

/// A product without its place in the layer.
pub(super) fn product(
    a: &Segment,
    b: Option<&Segment>,
    c: &Config,
    o: &GraphOptions,
    epilogue: Epilogue,
) -> MatMul {
    MatMul {
        b: b.map(|s| s.ty),
        rows_b: b.map_or(0, |s| s.rows as u32),
        epilogue,
        norm: (epilogue != Epilogue::Residual).then_some((c.d_model, c.rms_eps)),
        ..MatMul::new(a.ty, a.rows as u32, a.k.div_ceil(32) as u32, o.layout)
    }
}

/// A part of the head over one row.
pub(super) fn head(segment: &Segment, c: &Config, o: &GraphOptions, kind: ActKind) -> MatMul {
    MatMul {
        act_in: kind,
        scale: c.multipliers.logit,
        soft_cap: c.soft_caps.logits,
        place: Some((segment.row0 as u32, c.n_vocab.next_multiple_of(32))),
        ..product(segment, None, c, o, Epilogue::Plain)
    }
}

impl Wiring<'_> {
    pub(super) fn streams(&self, segment: usize, slots: [u32; 2]) -> [(u32, BufId); 2] {
        let s = &self.segments[segment];
        [(slots[0], s.quants), (slots[1], s.scales)]
    }

    /// Thread layout of a product of such activations, and how many tokens share a workgroup.
    pub(super) fn shared(&self, batch: Batch, act_in: ActKind) -> (Layout, u32) {
        let o = self.options;
        match (batch, o.tiles) {
            (Batch::One, _) => (o.layout, 1),
            (Batch::Many, Some(tiles)) => match act_in {
                ActKind::Q8 => (tiles.int8, tiles.cols),
                ActKind::F32 => (Layout::Tile, tiles.cols),
            },
            (Batch::Few | Batch::Many, _) => (o.layout, o.cols),
        }
    }

    /// A plain product of one or two segments, into `out` from a value on. What lies in `act` is normed by it, other inputs are not.
    pub(super) fn plain(
        &self,
        name: String,
        (a, b): (usize, Option<usize>),
        act_in: (BufId, ActKind),
        out: (BufId, (u32, u32)),
        batch: Batch,
    ) -> Step {
        let second = b.map(|b| &self.segments[b]);
        let plain = product(
            &self.segments[a],
            second,
            self.config,
            self.options,
            Epilogue::Plain,
        );
        let (layout, cols) = self.shared(batch, act_in.1);
        let kernel = MatMul {
            act_in: act_in.1,
            layout,
            cols,
            place: Some(out.1),
            norm: plain.norm.filter(|_| act_in.0 == self.ids.act),
            ..plain
        };
        let mut bind = self.streams(a, [1, 2]).to_vec();
        bind.extend(b.iter().flat_map(|b| self.streams(*b, [3, 4])));
        bind.extend([(5, act_in.0), (6, out.0)]);
        Step::new(name, kernel, bind)
    }

    /// The experts of a segment: a whole number of them.
    pub(super) fn experts(
        &self,
        layer: &Layer,
        segment: usize,
        per_expert: u32,
        biases: [usize; 2],
        batch: Batch,
    ) -> Option<Experts> {
        let routes = layer.experts.as_ref()?;
        let s = &self.segments[segment];
        Some(Experts {
            used: self.config.experts?.used,
            first: s.row0 as u32 / per_expert,
            count: s.rows as u32 / per_expert,
            bias_at: routes.bias_at.map(|at| biases.map(|i| at[i])),
            rows_at: routes.rows_at.filter(|_| batch == Batch::Many),
        })
    }

    /// A product whose result joins the residual, normed first where the family asks for it.
    pub(super) fn residual(
        &self,
        n: usize,
        r: &Residual<'_>,
        routes: Option<BufId>,
        batch: Batch,
        steps: &mut Steps,
    ) {
        let (c, ids) = (self.config, self.ids);
        if let (Some((name, weight)), Some(added)) = (r.post_norm, ids.added) {
            let stride = c.d_model.next_multiple_of(32);
            for segment in r.segments {
                let place = (self.segments[*segment].row0 as u32, stride);
                let step = self.plain(
                    r.name.clone(),
                    (*segment, None),
                    r.act_in,
                    (added, place),
                    batch,
                );
                steps.push(step);
            }
            let kernel = PostNorm {
                n_values: c.d_model,
                stride,
                eps: c.rms_eps,
                scale: c.multipliers.residual,
                act_out: r.act_out.1,
            };
            let bind = vec![
                (1, added),
                (2, weight),
                (3, ids.x),
                (4, r.next_norm),
                (5, r.act_out.0),
            ];
            steps.push(Step::new(format!("layer{n}.{name}"), kernel, bind));
            return;
        }
        if let (Batch::Many, Some(routes), Some(routed)) = (batch, routes, ids.routed) {
            self.routed(n, r, (routes, routed), steps);
            return;
        }
        let taps = ids.taps.filter(|_| batch != Batch::One);
        let (layout, cols) = self.shared(batch, r.act_in.1);
        for segment in r.segments {
            let s = &self.segments[*segment];
            let mut kernel = MatMul {
                act_in: r.act_in.1,
                act_out: r.act_out.1,
                layout,
                cols,
                tap: taps.map(|_| ids.tap_strides[r.tap]),
                scale: c.multipliers.residual,
                bias: r.bias,
                part: (r.segments.len() > 1)
                    .then_some((s.row0 as u32 / 32, c.d_model.div_ceil(32))),
                ..product(s, None, c, self.options, Epilogue::Residual)
            };
            let mut bind = self.streams(*segment, [1, 2]).to_vec();
            bind.extend([
                (5, r.act_in.0),
                (6, ids.x),
                (7, r.next_norm),
                (8, r.act_out.0),
            ]);
            bind.extend(taps.map(|t| (9, t[r.tap])));
            if let Some(routes) = routes {
                kernel = MatMul {
                    rows_a: c.d_model,
                    layout: self.options.layout,
                    cols: 1,
                    part: None,
                    experts: self.experts(&self.layers[n], *segment, c.d_model, [3, 3], batch),
                    ..kernel
                };
                bind.push((10, routes));
            }
            steps.push(Step::new(r.name.clone(), kernel, bind));
        }
    }

    /// What a batch's experts give, expert by expert, and its sum.
    fn routed(
        &self,
        n: usize,
        r: &Residual<'_>,
        (routes, routed): (BufId, BufId),
        steps: &mut Steps,
    ) {
        let (c, ids) = (self.config, self.ids);
        let layer = &self.layers[n];
        for segment in r.segments {
            let s = &self.segments[*segment];
            let experts = self.experts(layer, *segment, c.d_model, [3, 3], Batch::Many);
            let kernel = MatMul {
                rows_a: c.d_model,
                act_in: r.act_in.1,
                layout: Layout::Tile,
                cols: EXPERT_COLS,
                norm: None,
                experts: experts.map(|experts| Experts {
                    bias_at: None,
                    ..experts
                }),
                ..product(s, None, c, self.options, Epilogue::Plain)
            };
            let mut bind = self.streams(*segment, [1, 2]).to_vec();
            bind.extend([(5, r.act_in.0), (6, routed), (10, routes)]);
            steps.push(Step::new(r.name.clone(), kernel, bind));
        }
        let biases = layer.experts.as_ref().and_then(|experts| experts.bias_at);
        let kernel = SumRoutes {
            n_values: c.d_model,
            used: c.experts.map_or(0, |experts| experts.used),
            bias_at: biases.map(|at| at[3]),
            scale: c.multipliers.residual,
            act_out: r.act_out.1,
        };
        let bind = vec![
            (1, routed),
            (2, routes),
            (3, ids.x),
            (4, r.next_norm),
            (5, r.act_out.0),
        ];
        steps.push(Step::new(format!("layer{n}.sum_routes"), kernel, bind));
    }
}
