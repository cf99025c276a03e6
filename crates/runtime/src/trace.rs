//! Taps: what every step of a batch computes, read back one step at a time.

use crate::Error;
use crate::engine::{Batches, Engine};
use chord_kernels::PAGE;
use chord_kernels::act::{self, ActKind, BLOCK};
use chord_kernels::device::Staging;
use chord_kernels::op::BufId;
use chord_model::{CHUNK, SeqId};

/// One named intermediate result.
#[derive(Clone, Debug, PartialEq)]
pub struct Tap {
    /// E.g. `q_rope-12`.
    pub name: String,
    /// Row-major, token first.
    pub shape: Vec<usize>,
    /// Values.
    pub data: Vec<f32>,
}

/// All taps of a run, in the order they were computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceDump {
    /// The taps.
    pub taps: Vec<Tap>,
}

impl TraceDump {
    /// Appends one batch's rows of a tap.
    fn add(&mut self, name: String, row_shape: &[usize], rows: Vec<f32>) {
        let width: usize = row_shape.iter().product();
        let n = rows.len() / width.max(1);
        match self.taps.iter_mut().find(|t| t.name == name) {
            Some(tap) => {
                tap.shape[0] += n;
                tap.data.extend(rows);
            }
            None => {
                let mut shape = vec![n];
                shape.extend(row_shape);
                self.taps.push(Tap {
                    name,
                    shape,
                    data: rows,
                });
            }
        }
    }
}

struct Tracer<'a> {
    engine: &'a Engine,
    staging: &'a Staging,
    id: SeqId,
    first: u32,
    rows: u32,
    dump: &'a mut TraceDump,
}

impl Engine {
    /// Runs `tokens` through the model, keeping every tap.
    ///
    /// # Errors
    /// `E_NO_TAPS` unless loaded with taps; else as [`Engine::eval`].
    pub async fn trace(&mut self, tokens: &[u32]) -> Result<TraceDump, Error> {
        if self.p.plan.ids.taps.is_none() {
            return Err(Error::NoTaps);
        }
        self.check_tokens(tokens)?;
        let session = self.new_session()?;
        let result = self.trace_batches(session.id(), tokens).await;
        session.close(self);
        let mut dump = result?;
        let mut logits = Vec::new();
        self.eval(tokens, CHUNK, &mut |_, row| logits.extend_from_slice(row))
            .await?;
        let n_vocab = self.config().n_vocab as usize;
        dump.add("result_output".into(), &[n_vocab], logits);
        Ok(dump)
    }

    async fn trace_batches(&mut self, id: SeqId, tokens: &[u32]) -> Result<TraceDump, Error> {
        let mut dump = TraceDump::default();
        let staging = self.p.device.staging(self.widest_tap()).await?;
        let mut done = 0;
        while done < tokens.len() {
            let first = self.p.kv.length(id);
            let rows = self
                .append_unrun(id, &tokens[done..], Batches::of(CHUNK))
                .await?;
            done += rows as usize;
            let mut tracer = Tracer {
                engine: self,
                staging: &staging,
                id,
                first,
                rows,
                dump: &mut dump,
            };
            for at in 0..tracer.engine.p.steps.prefill.len() {
                tracer.step(at).await?;
            }
        }
        Ok(dump)
    }

    fn widest_tap(&self) -> u64 {
        let ids = &self.p.plan.ids;
        let taps = ids.taps.unwrap_or_default();
        let buffers = [ids.x, ids.act, ids.act_ff, ids.act_attn, ids.qkv]
            .into_iter()
            .chain(taps);
        let widest = buffers
            .map(|id| self.p.plan.buffers[id].words)
            .max()
            .unwrap_or(0);
        widest.max(ids.page_words)
    }
}

impl Tracer<'_> {
    async fn words(&self, id: BufId, n: usize) -> Result<Vec<u32>, Error> {
        Ok(self
            .engine
            .p
            .device
            .read(self.staging, self.engine.buffer(id), 0, n as u64)
            .await?)
    }

    /// Rows of an f32 buffer with `stride` values a row, of which `width` from `at` are wanted.
    async fn floats(
        &self,
        id: BufId,
        stride: usize,
        at: usize,
        width: usize,
    ) -> Result<Vec<f32>, Error> {
        let words = self.words(id, stride * self.rows as usize).await?;
        let rows = words
            .chunks_exact(stride)
            .flat_map(|row| &row[at..at + width]);
        Ok(rows.map(|w| f32::from_bits(*w)).collect())
    }

    /// Rows of activation blocks; `norm` applies the RMS norm's factor over so many values.
    async fn blocks(
        &self,
        id: BufId,
        kind: ActKind,
        width: usize,
        norm: Option<usize>,
    ) -> Result<Vec<f32>, Error> {
        let row_words = width.div_ceil(BLOCK) * kind.words();
        let words = self.words(id, row_words * self.rows as usize).await?;
        let mut out = Vec::new();
        for row in words.chunks_exact(row_words) {
            let blocks: Vec<_> = row
                .chunks_exact(kind.words())
                .map(|b| act::decode(kind, b))
                .collect();
            let ssq: f64 = blocks.iter().map(|(_, ssq)| f64::from(*ssq)).sum();
            let eps = f64::from(self.engine.config().rms_eps);
            let factor = norm.map_or(1.0, |n| 1.0 / (ssq / n as f64 + eps).sqrt());
            out.extend(
                blocks
                    .iter()
                    .flat_map(|(v, _)| v)
                    .take(width)
                    .map(|v| (f64::from(*v) * factor) as f32),
            );
        }
        Ok(out)
    }

    /// The batch's rows of K as stored.
    async fn keys(&self, layer: usize) -> Result<Vec<f32>, Error> {
        let plan = &self.engine.p.plan;
        let (shape, words) = (&plan.kv_shape, plan.ids.page_words);
        let mut out = Vec::new();
        let mut held: Option<(u32, Vec<u32>)> = None;
        for pos in self.first..self.first + self.rows {
            let page = self
                .engine
                .p
                .kv
                .page(self.id, shape.ring_index(pos / PAGE))
                .unwrap_or(0);
            if held.as_ref().is_none_or(|(p, _)| *p != page) {
                let store = self.engine.buffer(plan.ids.kv[layer].0);
                held = Some((
                    page,
                    self.engine
                        .p
                        .device
                        .read(self.staging, store, u64::from(page) * words, words)
                        .await?,
                ));
            }
            if let Some((_, page)) = &held {
                for head in 0..shape.n_kv_heads {
                    let head = &page[shape.head_at(0, head)..];
                    let values = 0..shape.head_dim as usize;
                    out.extend(values.map(|d| shape.load(head, pos % PAGE, d)));
                }
            }
        }
        Ok(out)
    }

    /// Runs one step and reads what it wrote.
    async fn step(&mut self, at: usize) -> Result<(), Error> {
        let p = &self.engine.p;
        let step = &p.steps.prefill[at];
        p.device.run(std::iter::once(step), self.rows, &[]);
        // Of a product in parts, the last completes what is read.
        if p.steps
            .prefill
            .get(at + 1)
            .is_some_and(|next| next.name() == step.name())
        {
            return Ok(());
        }
        let (c, ids) = (&p.config, &p.plan.ids);
        let s = &p.plan.kv_shape;
        let model = c.d_model as usize;
        let (heads, kv_heads, dim) = (
            c.n_heads as usize,
            c.n_kv_heads as usize,
            c.head_dim as usize,
        );
        let padded = model.next_multiple_of(BLOCK);
        let [t_attn, t_proj, t_ffn] = ids.taps.unwrap_or_default();
        let (layer, part) = match step
            .name()
            .strip_prefix("layer")
            .and_then(|r| r.split_once('.'))
        {
            Some((n, part)) => (n.parse().unwrap_or(0), part),
            None => (0, step.name()),
        };
        let kinds = p.plan.act_kinds[layer];
        let name = |tap: &str| format!("{tap}-{layer}");
        match part {
            "embed" => {
                let x = self.floats(ids.x, padded, 0, model).await?;
                let norm = self.blocks(ids.act, kinds[0], model, Some(model)).await?;
                self.dump.add("embd".into(), &[model], x);
                self.dump.add(name("attn_norm"), &[model], norm);
            }
            "kv_write" => {
                let stride = s.qkv_stride as usize;
                for (tap, first, n) in [
                    ("q", 0, heads),
                    ("k", s.k_off as usize, kv_heads),
                    ("v", s.v_off as usize, kv_heads),
                ] {
                    let rows = self.floats(ids.qkv, stride, first, n * dim).await?;
                    self.dump.add(name(tap), &[n, dim], rows);
                }
                let keys = self.keys(layer).await?;
                self.dump.add(name("k_rope"), &[kv_heads, dim], keys);
            }
            "attention" => {
                let stride = ids.tap_strides[0] as usize;
                let q = self.floats(t_attn, stride, 0, heads * dim).await?;
                let stats = self.floats(t_attn, stride, heads * dim, heads * 3).await?;
                self.dump.add(name("q_rope"), &[heads, dim], q);
                self.dump.add(name("attn_stats"), &[heads, 3], stats);
            }
            "attn_out" => {
                let out = self
                    .blocks(ids.act_attn, kinds[1], heads * dim, None)
                    .await?;
                self.dump.add(name("attn_out"), &[heads, dim], out);
                let from = ids.added.unwrap_or(t_proj);
                let projection = self.floats(from, padded, 0, model).await?;
                self.dump.add(name("attn_proj"), &[model], projection);
                if ids.added.is_none() {
                    self.before_ffn(layer).await?;
                }
            }
            "attn_post_norm" => self.before_ffn(layer).await?,
            "glu" if c.experts.is_none() => {
                let inner = self
                    .blocks(ids.act_ff, kinds[3], c.d_ff as usize, None)
                    .await?;
                self.dump.add(name("ffn_swiglu"), &[c.d_ff as usize], inner);
            }
            "down" => {
                let from = ids.added.unwrap_or(t_ffn);
                let out = self.floats(from, padded, 0, model).await?;
                self.dump.add(name("ffn_out"), &[model], out);
                if ids.added.is_none() {
                    self.after_layer(layer).await?;
                }
            }
            "ffn_post_norm" => self.after_layer(layer).await?,
            _ => {}
        }
        Ok(())
    }

    /// The residual after attention, and its norm.
    async fn before_ffn(&mut self, layer: usize) -> Result<(), Error> {
        let p = &self.engine.p;
        let model = p.config.d_model as usize;
        let padded = model.next_multiple_of(BLOCK);
        let kind = p.plan.act_kinds[layer][2];
        let x = self.floats(p.plan.ids.x, padded, 0, model).await?;
        let norm = self
            .blocks(p.plan.ids.act, kind, model, Some(model))
            .await?;
        self.dump.add(format!("ffn_inp-{layer}"), &[model], x);
        self.dump.add(format!("ffn_norm-{layer}"), &[model], norm);
        Ok(())
    }

    /// The residual after a layer, and its norm.
    async fn after_layer(&mut self, layer: usize) -> Result<(), Error> {
        let p = &self.engine.p;
        let model = p.config.d_model as usize;
        let padded = model.next_multiple_of(BLOCK);
        let x = self.floats(p.plan.ids.x, padded, 0, model).await?;
        self.dump.add(format!("l_out-{layer}"), &[model], x);
        let next = p.plan.act_kinds[layer + 1][0];
        let norm = self
            .blocks(p.plan.ids.act, next, model, Some(model))
            .await?;
        let last = layer + 1 == p.config.n_layers as usize;
        let tap = if last {
            "result_norm".into()
        } else {
            format!("attn_norm-{}", layer + 1)
        };
        self.dump.add(tap, &[model], norm);
        Ok(())
    }
}
