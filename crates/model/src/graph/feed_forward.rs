//! The weights of feed-forward layers: dense, fused, or those of experts.

use super::Builder;
use super::layers::LayerExperts;
use crate::error::Result;
use crate::weights::{Rows, tensor};
use chord_kernels::act::ActKind;

/// The feed-forward half of a layer.
pub(super) struct FeedForward {
    pub gate: Vec<usize>,
    pub up: Vec<usize>,
    pub down: Vec<usize>,
    pub experts: Option<LayerExperts>,
    /// Form of the input of gate|up (of the router, where there is one) and of down.
    pub kinds: [ActKind; 2],
}

impl Builder<'_> {
    pub(super) fn feed_forward(&mut self, n: u32) -> Result<FeedForward> {
        let c = self.c;
        let name = |part: &str| format!("blk.{n}.{part}");
        let [gate, up, down] = match c.experts {
            Some(_) => ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
            None if c.arch.family().fused_glu => ["ffn_up", "ffn_up", "ffn_down"],
            None => ["ffn_gate", "ffn_up", "ffn_down"],
        }
        .map(|part| name(&format!("{part}.weight")));
        let router = name("ffn_gate_inp.weight");
        let of_gate = self.act_kind(&[self.weight_type(&gate)?, self.weight_type(&up)?]);
        let mut kinds = [of_gate, self.act_kind(&[self.weight_type(&down)?])];
        if c.experts.is_some() && self.act_kind(&[self.weight_type(&router)?]) == ActKind::F32 {
            // Files keep routers in f32: that must not keep the experts from int8.
            kinds[0] = ActKind::F32;
        }
        let (mut gate_rows, mut up_rows) = (self.rows(&gate)?, self.rows(&up)?);
        if gate == up {
            let half = c.d_ff as usize;
            let view = |first| Rows {
                name: gate.clone(),
                first,
                count: half,
            };
            (gate_rows, up_rows) = (vec![view(0)], vec![view(half)]);
        }
        let down_rows = self.rows(&down)?;
        // Experts are never cut in two.
        let units = match c.experts {
            Some(_) => [c.d_ff, c.d_model],
            None => [32; 2],
        };
        let pair = self.segments(&[gate_rows, up_rows], units[0] as usize)?;
        let [gate, up] = <[Vec<usize>; 2]>::try_from(pair).unwrap_or_default();
        let down = self
            .segments(&[down_rows], units[1] as usize)?
            .swap_remove(0);
        let experts = match c.experts {
            Some(experts) => {
                let routes = 2 * u64::from(self.o.chunk) * u64::from(experts.used);
                let router = self.rows(&router)?;
                let router = self.segment(router)?;
                let (routes, bias_at) = self.routes(n, routes)?;
                let rows_at = self.o.by_tiles().then(|| self.rows_word(routes));
                Some(LayerExperts {
                    router,
                    routes,
                    bias_at,
                    rows_at,
                    input: of_gate,
                })
            }
            None => None,
        };
        Ok(FeedForward {
            gate,
            up,
            down,
            experts,
            kinds,
        })
    }

    /// One more word of a layer's routes, for the rows of the batch.
    fn rows_word(&mut self, routes: usize) -> u32 {
        let words = &mut self.buffers[routes].words;
        *words += 1;
        u32::try_from(*words - 1).unwrap_or(u32::MAX)
    }

    /// The buffer of a layer's routes, `words` of them, and where it has the biases of router, gate, up and down.
    fn routes(&mut self, n: u32, words: u64) -> Result<(usize, Option<[u32; 4]>)> {
        let buffer = self.buffer(format!("routes {n}"), words);
        if !self.c.arch.family().sinks {
            return Ok((buffer, None));
        }
        let mut end = words;
        let mut places = [0; 4];
        let parts = [
            "ffn_gate_inp",
            "ffn_gate_exps",
            "ffn_up_exps",
            "ffn_down_exps",
        ];
        for (place, part) in places.iter_mut().zip(parts) {
            let name = format!("blk.{n}.{part}.bias");
            // Widths are at most 2^20 and experts 2^10: these fit.
            *place = u32::try_from(end).unwrap_or(u32::MAX);
            self.vector_at(&name, buffer, end)?;
            end += tensor(self.d, &name)?.elements();
        }
        self.buffers[buffer].words = end;
        Ok((buffer, Some(places)))
    }
}
