//! The kernels of a plan at a small size, over fixed pseudo-random memory.

mod attention;
mod blocks;

use super::small::{self, K, ROWS, SPLITS};
use super::{Check, Form, Part};
use blocks::blocks;
use chord_kernels::act::{self, ActKind, BLOCK};
use chord_kernels::attention::{Attention, AttentionReduce};
use chord_kernels::kv_write::KvWrite;
use chord_kernels::matmul::{Epilogue, Experts, MatMul};
use chord_kernels::op::{BufDesc, BufId, Role, Step};
use chord_kernels::post_norm::PostNorm;
use chord_kernels::route::Route;
use chord_kernels::shaders::Shader;
use chord_kernels::sum_routes::SumRoutes;
use chord_model::{GraphOptions, Plan};
use chord_quant::{WeightType, layout, repack_rows};
use std::any::Any;
use std::collections::{BTreeSet, HashMap};

/// A seeded generator (xorshift64*): the answers must be the same on every load.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Uniform in [-1, 1).
    fn float(&mut self) -> f32 {
        (self.next() >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    }

    fn floats(&mut self, n: usize) -> Vec<u32> {
        (0..n).map(|_| self.float().to_bits()).collect()
    }
}

/// Buffers, what they hold before the checks, and the checks.
pub(super) struct Cases {
    /// Rows of a batch, but of products with more in a workgroup.
    tokens: u32,
    pub buffers: Vec<BufDesc>,
    pub contents: Vec<Vec<u32>>,
    pub checks: Vec<Check>,
    rng: Rng,
    /// Inputs are read only, so checks share them. Weights by type, place in the product and number of matrices; activations by form
    /// and rows.
    weights: HashMap<(WeightType, usize, u32), [BufId; 2]>,
    acts: HashMap<(ActKind, usize), BufId>,
    gamma: Option<BufId>,
}

impl Cases {
    /// A check for every pipeline of `plan`, but for embedding, plain activation blocks and the sampler.
    pub(super) fn of(plan: &Plan, options: &GraphOptions) -> Result<Self, chord_quant::Error> {
        let mut cases = Self {
            tokens: options.cols,
            buffers: Vec::new(),
            contents: Vec::new(),
            checks: Vec::new(),
            rng: Rng(0x9e37_79b9_7f4a_7c15),
            weights: HashMap::new(),
            acts: HashMap::new(),
            gamma: None,
        };
        let tiled = plan.tiled.iter().flatten();
        let steps = plan.prefill.iter().chain(tiled);
        let steps = steps.chain(&plan.decode).chain(&plan.head);
        let mut seen: BTreeSet<Shader> = BTreeSet::new();
        for step in steps {
            if !seen.insert(step.kernel.shader()) {
                continue;
            }
            let kernel: &dyn Any = step.kernel.as_ref();
            if let Some(product) = kernel.downcast_ref::<MatMul>() {
                cases.product(small::product(product))?;
            } else if let Some(write) = kernel.downcast_ref::<KvWrite>() {
                let shape = small::shape(&write.shape);
                cases.kv_write(KvWrite { shape, ..*write });
            } else if let Some(attention) = kernel.downcast_ref::<Attention>() {
                cases.attention(small::attention(attention));
            } else if let Some(reduce) = kernel.downcast_ref::<AttentionReduce>() {
                cases.attention_reduce(AttentionReduce {
                    shape: small::shape(&reduce.shape),
                    splits: SPLITS,
                    ..*reduce
                });
            } else if let Some(norm) = kernel.downcast_ref::<PostNorm>() {
                cases.post_norm(small::post_norm(norm));
            } else if let Some(route) = kernel.downcast_ref::<Route>() {
                cases.route(route);
            } else if let Some(sum) = kernel.downcast_ref::<SumRoutes>() {
                cases.sum_routes(sum);
            }
        }
        Ok(cases)
    }

    fn buffer(&mut self, words: Vec<u32>) -> BufId {
        self.buffer_as(Role::Storage, words)
    }

    fn buffer_as(&mut self, role: Role, words: Vec<u32>) -> BufId {
        self.buffers.push(BufDesc {
            label: "self-test".into(),
            words: words.len() as u64,
            role,
        });
        self.contents.push(words);
        self.buffers.len() - 1
    }

    fn zeros(&mut self, words: usize) -> BufId {
        self.buffer(vec![0; words])
    }

    fn floats(&mut self, n: usize) -> BufId {
        let words = self.rng.floats(n);
        self.buffer(words)
    }

    fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// Streams of `copies` matrices of `ROWS` x `K`, made as GGUF blocks.
    fn weights(
        &mut self,
        ty: WeightType,
        place: usize,
        copies: u32,
    ) -> Result<[BufId; 2], chord_quant::Error> {
        if let Some(known) = self.weights.get(&(ty, place, copies)) {
            return Ok(*known);
        }
        let rows = (copies * ROWS) as usize;
        let blocks = blocks(&mut self.rng, ty, rows, K)?;
        let l = layout(ty, rows, K)?;
        let (mut quants, mut scales) = (vec![0; l.quant_words], vec![0; l.scale_words]);
        repack_rows(ty, K, &blocks, &mut quants, &mut scales)?;
        let role = |row_words: usize, unit: u32| Role::Weights {
            row_words: row_words as u32,
            rows: ROWS,
            unit,
        };
        let made = [
            self.buffer_as(role(l.quant_words_per_row, 4), quants),
            self.buffer_as(role(l.scale_words_per_row, 1), scales),
        ];
        self.weights.insert((ty, place, copies), made);
        Ok(made)
    }

    fn act(&mut self, kind: ActKind, rows: usize) -> BufId {
        if let Some(known) = self.acts.get(&(kind, rows)) {
            return *known;
        }
        let mut words = vec![0; rows * K / BLOCK * kind.words()];
        for block in words.chunks_exact_mut(kind.words()) {
            let values: [f32; BLOCK] = std::array::from_fn(|_| self.rng.float());
            let ssq = values.iter().map(|v| v * v).sum();
            act::encode(kind, &values, ssq, block);
        }
        let made = self.buffer(words);
        self.acts.insert((kind, rows), made);
        made
    }

    fn product(&mut self, mut kernel: MatMul) -> Result<(), chord_quant::Error> {
        let rows = match kernel.experts {
            Some(_) => self.tokens,
            None => self.tokens.next_multiple_of(kernel.cols),
        };
        let tokens = rows as usize;
        if let Some(experts) = &mut kernel.experts {
            // Behind the routes.
            let routes = 2 * self.tokens * experts.used;
            experts.bias_at = experts.bias_at.map(|[a, b]| [routes + a, routes + b]);
            let biases = 2 * experts.count * ROWS;
            experts.rows_at = experts.rows_at.map(|_| routes + biases);
        }
        let used = kernel.experts.map_or(1, |e| e.used as usize);
        // Rows of input, and of output.
        let (inputs, outputs) = match kernel.epilogue {
            Epilogue::Residual => (used, 1),
            Epilogue::Glu => (1, used),
            Epilogue::Plain => (used, used),
        };
        let values = tokens * outputs * kernel.width() as usize;
        let copies = kernel.experts.map_or(1, |e| e.count);
        let [quants, scales] = self.weights(kernel.a, 0, copies)?;
        let mut bind = vec![(1, quants), (2, scales)];
        if let Some(b) = kernel.b {
            let [quants, scales] = self.weights(b, 1, copies)?;
            bind.extend([(3, quants), (4, scales)]);
        }
        bind.push((5, self.act(kernel.act_in, tokens * inputs)));
        let mut results = Vec::new();
        if kernel.epilogue != Epilogue::Glu {
            let out = if kernel.epilogue == Epilogue::Residual {
                self.floats(values)
            } else {
                self.zeros(values)
            };
            bind.push((6, out));
            results.push((out, Form::F32));
        }
        if kernel.epilogue == Epilogue::Residual {
            let gamma = match self.gamma {
                Some(known) => known,
                // The norm's weights, and biases behind them.
                None => self.floats(2 * ROWS as usize),
            };
            self.gamma = Some(gamma);
            bind.push((7, gamma));
        }
        if kernel.epilogue != Epilogue::Plain {
            let out = self.zeros(values / BLOCK * kernel.act_out.words());
            bind.push((8, out));
            results.push((out, Form::Blocks(kernel.act_out)));
        }
        if kernel.tap.is_some() {
            let tap = self.zeros(values);
            bind.push((9, tap));
            results.push((tap, Form::F32));
        }
        if let Some(experts) = kernel.experts {
            bind.push((10, self.routes(experts)));
        }
        let types = [Some(kernel.a), kernel.b].into_iter().flatten();
        let name = format!(
            "{} ({}, {}, {} tokens a group)",
            types
                .map(WeightType::name)
                .collect::<Vec<_>>()
                .join(" and "),
            match kernel.epilogue {
                Epilogue::Plain => "plain",
                Epilogue::Residual => "residual",
                Epilogue::Glu => "gated",
            },
            match kernel.act_in {
                ActKind::F32 => "f32",
                ActKind::Q8 => "int8",
            },
            kernel.cols,
        );
        let part = if kernel.layout.is_tiled() {
            Part::Tile
        } else {
            Part::Product
        };
        self.checks.push(Check {
            step: Step::new(name, kernel, bind),
            rows,
            results,
            part,
        });
        Ok(())
    }

    /// Routes of every token to different experts, then biases, then the tokens.
    fn routes(&mut self, experts: Experts) -> BufId {
        let mut words = Vec::new();
        for route in 0..self.tokens * experts.used {
            words.extend([(route * 3 + 1) % experts.count, self.rng.float().to_bits()]);
        }
        words.extend(self.rng.floats((2 * experts.count * ROWS) as usize));
        words.push(self.tokens);
        self.buffer(words)
    }

    fn post_norm(&mut self, kernel: PostNorm) {
        let values = self.tokens() * K;
        let (y, weight, x, gamma) = (
            self.floats(values),
            self.floats(K),
            self.floats(values),
            self.floats(K),
        );
        let out = self.zeros(values / BLOCK * kernel.act_out.words());
        let results = vec![(x, Form::F32), (out, Form::Blocks(kernel.act_out))];
        let bind = vec![(1, y), (2, weight), (3, x), (4, gamma), (5, out)];
        self.checks.push(Check {
            step: Step::new("the norm of what is added", kernel, bind),
            rows: self.tokens,
            results,
            part: Part::Other,
        });
    }

    fn route(&mut self, kernel: &Route) {
        let logits = self.floats(self.tokens() * kernel.stride as usize);
        let mut words = vec![0; self.tokens() * 2 * kernel.used as usize];
        let chosen = words.len();
        words.extend(self.rng.floats(kernel.n_experts as usize));
        let rows_at = kernel.rows_at.map(|_| words.len() as u32);
        words.push(0);
        let blocks = K / BLOCK;
        let kernel = Route {
            bias_at: kernel.bias_at.map(|_| chosen as u32),
            quantise: kernel.quantise.map(|_| blocks as u32),
            rows_at,
            ..*kernel
        };
        let routes = self.buffer(words);
        let mut bind = vec![(1, logits), (2, routes)];
        let mut results = vec![(routes, Form::Routes(chosen))];
        if kernel.quantise.is_some() {
            let input = self.act(ActKind::F32, self.tokens());
            let output = self.zeros(self.tokens() * blocks * ActKind::Q8.words());
            bind.extend([(3, input), (4, output)]);
            results.push((output, Form::Blocks(ActKind::Q8)));
        }
        self.checks.push(Check {
            step: Step::new("routes to experts", kernel, bind),
            rows: self.tokens,
            results,
            part: Part::Other,
        });
    }

    fn sum_routes(&mut self, kernel: &SumRoutes) {
        let experts = Experts {
            used: kernel.used,
            first: 0,
            count: kernel.used.max(4),
            bias_at: None,
            rows_at: None,
        };
        let routes = 2 * self.tokens * experts.used;
        let kernel = SumRoutes {
            n_values: ROWS,
            bias_at: kernel.bias_at.map(|_| routes),
            scale: 1.0,
            ..*kernel
        };
        let values = self.tokens() * ROWS as usize;
        let (y, x) = (
            self.floats(experts.used as usize * values),
            self.floats(values),
        );
        let (routes, gamma) = (self.routes(experts), self.floats(ROWS as usize));
        let out = self.zeros(values / BLOCK * kernel.act_out.words());
        let results = vec![(x, Form::F32), (out, Form::Blocks(kernel.act_out))];
        let bind = vec![(1, y), (2, routes), (3, x), (4, gamma), (5, out)];
        self.checks.push(Check {
            step: Step::new("the sum of what experts give", kernel, bind),
            rows: self.tokens,
            results,
            part: Part::Tile,
        });
    }
}
