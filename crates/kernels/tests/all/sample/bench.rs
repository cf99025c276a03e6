//! The sampler's two steps with their buffers.

use chord_kernels::device::{BoundStep, Buffers, Device};
use chord_kernels::op::{BufDesc, Role, Step};
use chord_kernels::sample::{Sample, SampleParams, SampleTops, ctl, sample};

const PARAMS: usize = 0;
const LOGITS: usize = 1;
const ROWS: usize = 2;
const CTL: usize = 3;
const EOG: usize = 4;
const TOPS: usize = 5;
const EOG_WORDS: usize = 4;
/// A second row behind the sampled one: it must stay as it is.
const ROW_WORDS: usize = 8;

/// The steps with their buffers, bound once: only contents change between runs, as in the engine.
pub struct Bench {
    gpu: Device,
    plan: Buffers,
    steps: [BoundStep; 2],
    /// The first step in its other form.
    other_tops: BoundStep,
    n_tops: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub rows: Vec<u32>,
    pub ctl: Vec<u32>,
}

impl State {
    pub fn new(seed: u64, position: u32) -> Self {
        let mut state = Self {
            rows: vec![11, position, 22, 1, 55, 66, 77, 88],
            ctl: vec![0; ctl::WORDS],
        };
        state.ctl[ctl::SEED_LOW] = seed as u32;
        state.ctl[ctl::SEED_HIGH] = (seed >> 32) as u32;
        state.ctl[ctl::LOG..].fill(0xdead_beef);
        state
    }
}

impl Bench {
    pub fn new(n_vocab: u32) -> Self {
        let gpu = crate::common::device();
        let sizes = [
            size_of::<SampleParams>() / 4,
            n_vocab as usize,
            ROW_WORDS,
            ctl::WORDS,
            EOG_WORDS,
            SampleTops::words(n_vocab) as usize,
        ];
        let describe = |(i, words): (usize, usize)| BufDesc {
            label: format!("b{i}"),
            words: words as u64,
            role: if i == PARAMS {
                Role::Uniform
            } else {
                Role::Storage
            },
        };
        let descriptions: Vec<BufDesc> = sizes.into_iter().enumerate().map(describe).collect();
        let plan = pollster::block_on(Buffers::allocate(&gpu, &descriptions)).unwrap();
        let bound = |step: Step| pollster::block_on(plan.bind(&gpu, &step)).unwrap();
        let tops = |chunk_per_thread| {
            let kernel = SampleTops {
                n_vocab,
                chunk_per_thread,
            };
            let bind = [(0, PARAMS), (1, LOGITS), (2, CTL), (3, TOPS)];
            bound(Step::new("sample_tops", kernel, bind.into()))
        };
        let bind = (0..).zip([PARAMS, LOGITS, ROWS, CTL, EOG, TOPS]);
        let sample = bound(Step::new("sample", Sample, bind.collect()));
        let software = gpu.caps().software;
        let (steps, other_tops) = ([tops(software), sample], tops(!software));
        Self {
            gpu,
            plan,
            steps,
            other_tops,
            n_tops: sizes[TOPS],
        }
    }

    /// `steps` tokens in one submit.
    pub fn run(
        &self,
        p: &SampleParams,
        logits: &[f32],
        eog: &[u32],
        state: &State,
        steps: u32,
    ) -> State {
        self.write(p, logits, state);
        if !eog.is_empty() {
            self.gpu.write(self.plan.buffer(EOG), 0, eog);
        }
        let repeated = (0..steps).flat_map(|_| &self.steps);
        self.gpu.run(repeated, 1, &[]);
        State {
            rows: self.read(ROWS, ROW_WORDS),
            ctl: self.read(CTL, ctl::WORDS),
        }
    }

    /// The tops that the first step makes in each of its forms, where `before` was.
    pub fn tops(
        &self,
        p: &SampleParams,
        logits: &[f32],
        state: &State,
        before: u32,
    ) -> [Vec<u32>; 2] {
        self.write(p, logits, state);
        let before = vec![before; self.n_tops];
        [&self.steps[0], &self.other_tops].map(|step| {
            self.gpu.write(self.plan.buffer(TOPS), 0, &before);
            self.gpu.run(std::iter::once(step), 1, &[]);
            self.read(TOPS, self.n_tops)
        })
    }

    fn write(&self, p: &SampleParams, logits: &[f32], state: &State) {
        let p = bytemuck::cast_slice(std::slice::from_ref(p));
        let contents = [
            (PARAMS, p),
            (LOGITS, bytemuck::cast_slice(logits)),
            (ROWS, &state.rows),
            (CTL, &state.ctl),
        ];
        for (id, words) in contents {
            self.gpu.write(self.plan.buffer(id), 0, words);
        }
    }

    fn read(&self, id: usize, words: usize) -> Vec<u32> {
        let words = words as u64;
        pollster::block_on(async {
            let staging = self.gpu.staging(words).await.unwrap();
            let read = self.gpu.read(&staging, self.plan.buffer(id), 0, words);
            read.await.unwrap()
        })
    }
}

pub fn twin(p: &SampleParams, logits: &[f32], eog: &[u32], state: &State, steps: u32) -> State {
    let mut state = state.clone();
    for _ in 0..steps {
        sample(p, logits, &mut state.rows, &mut state.ctl, eog);
    }
    state
}
