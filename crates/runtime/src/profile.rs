//! Where the time of a batch and of a token goes, step by step.

mod summary;

use crate::Error;
use crate::engine::Engine;
use crate::sampler::Sampling;
use chord_kernels::device::{BoundStep, Buffers, Copy};
use chord_kernels::op::{BufDesc, Role, Step};
use chord_kernels::profile::Clock;
use chord_model::{Plan, SeqId};
pub use summary::Row;
use web_time::{Duration, Instant};

/// What is profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Batches of the prompt.
    Prefill,
    /// One token at a time.
    Decode,
}

/// A step of the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfiledStep {
    /// Its name in the plan, e.g. `layer3.down`.
    pub name: String,
    /// The layer it belongs to.
    pub layer: Option<u32>,
    /// What it computes, with the types and shapes of its weights: `down q6_k 4096x14336`. The same in every layer that is alike.
    pub kernel: String,
}

/// A step that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Index into [`PhaseProfile::steps`].
    pub step: usize,
    /// The batch or token it was for, counted from 0.
    pub pass: u32,
    /// Its beginning; zero is the beginning of the profile.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    /// Bytes of weights, keys and values that it read; 0 for steps that read neither.
    pub bytes: u64,
}

/// All that ran in a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseProfile {
    /// Which.
    pub phase: Phase,
    /// Tokens computed.
    pub tokens: u32,
    /// The plan's steps.
    pub steps: Vec<ProfiledStep>,
    /// What ran, in order.
    pub slices: Vec<Slice>,
}

/// A profile of prefill and decode.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Whose clock the times are of.
    pub clock: Clock,
    /// Prefill, then decode.
    pub phases: [PhaseProfile; 2],
}

/// Bytes of each of the two buffers that [`Engine::copy_bandwidth`] copies between: far more than any cache holds.
const COPIED_BYTES: u64 = 256 << 20;
/// How long copying must take for its time to mean something.
const COPY_TIME: Duration = Duration::from_millis(200);

impl Engine {
    /// Runs `tokens` with every step timed: the first `depth` of them unprofiled, the last `generate` one by one as if they had
    /// been generated (with head and sampler, whose choice is not used), those between as the prompt.
    ///
    /// # Errors
    /// `E_NO_TIMESTAMPS`, `E_TOKEN_ID`, `E_CONTEXT`, `E_KV_FULL` and the device's.
    pub async fn profile(
        &mut self,
        tokens: &[u32],
        depth: u32,
        generate: u32,
    ) -> Result<Profile, Error> {
        self.check_tokens(tokens)?;
        let session = self.new_session()?;
        let result = self
            .profile_on(session.id(), tokens, depth as usize, generate as usize)
            .await;
        session.close(self);
        result
    }

    async fn profile_on(
        &mut self,
        id: SeqId,
        tokens: &[u32],
        depth: usize,
        generate: usize,
    ) -> Result<Profile, Error> {
        let (held, rest) = tokens.split_at(depth.min(tokens.len()));
        let (prompt, answer) = rest.split_at(rest.len().saturating_sub(generate));
        let batches = self.batches(held.len());
        let mut done = 0;
        while done < held.len() {
            done += self.append(id, &held[done..], batches).await? as usize;
        }
        self.set_sampler(&Sampling::greedy().params(self.config().n_vocab, 0));
        let batches = self.batches(prompt.len());
        let (planned, _) = self.batch_steps(batches);
        let mut prefill = self.phase(Phase::Prefill, prompt.len(), planned.iter());
        let mut done = 0;
        for pass in 0.. {
            if done == prompt.len() {
                break;
            }
            let first = self.p.kv.length(id);
            let rows = self.append_unrun(id, &prompt[done..], batches).await?;
            done += rows as usize;
            let (planned, steps) = self.batch_steps(batches);
            for group in self.groups(steps, rows) {
                let steps: Vec<_> = steps[group.clone()].iter().collect();
                let planned: Vec<&Step> = planned[group.clone()].iter().collect();
                let positions = first..first + rows;
                let slices = self.timed(&steps, &planned, positions).await?;
                prefill.add(pass, group.start, slices);
            }
        }
        let mut decode = self.phase(Phase::Decode, answer.len(), decode_steps(&self.p.plan));
        for (pass, token) in (0..).zip(answer) {
            let first = self.p.kv.length(id);
            self.append_one_unrun(id, *token).await?;
            let (steps, plan) = (&self.p.steps, &self.p.plan);
            // Behind those of decoding come head and sampler.
            let others = plan.head.len() + plan.sample.len();
            let others = plan.decode.len()..plan.decode.len() + others;
            let places: Vec<usize> = plan.decode_at(first).chain(others).collect();
            let bound = self.decode_at(first).chain(&steps.head);
            let bound: Vec<_> = bound.chain(&steps.sample).collect();
            let all: Vec<&Step> = decode_steps(plan).collect();
            let planned: Vec<&Step> = places.iter().map(|at| all[*at]).collect();
            let mut slices = self.timed(&bound, &planned, first..first + 1).await?;
            for slice in &mut slices {
                slice.step = places[slice.step];
            }
            decode.add(pass, 0, slices);
        }
        let mut profile = Profile {
            clock: self.p.device.clock(),
            phases: [prefill, decode],
        };
        profile.rebase();
        Ok(profile)
    }

    /// Runs the steps for rows at `positions`; their slices as if they were the first.
    async fn timed(
        &self,
        steps: &[&BoundStep],
        planned: &[&Step],
        positions: std::ops::Range<u32>,
    ) -> Result<Vec<Slice>, Error> {
        let rows = positions.len() as u32;
        let times = self.p.device.run_timed(steps, rows).await?;
        let slices = times.iter().zip(steps.iter().zip(planned)).enumerate();
        let slices = slices.map(|(step, (time, (bound, planned)))| Slice {
            step,
            pass: 0,
            start_ns: time.start_ns,
            end_ns: time.end_ns,
            bytes: bound.weight_bytes(rows) + planned.kernel.kv_bytes(positions.clone()),
        });
        Ok(slices.collect())
    }

    fn phase<'a>(
        &self,
        phase: Phase,
        tokens: usize,
        steps: impl Iterator<Item = &'a Step>,
    ) -> PhaseProfile {
        PhaseProfile {
            phase,
            tokens: tokens as u32,
            steps: steps.map(|step| describe(&self.p.plan, step)).collect(),
            slices: Vec::new(),
        }
    }

    /// Bytes per second that a GPU's copies from buffer to buffer read and write together: what its memory can do, to hold a
    /// kernel's bytes per second against. None on the CPU.
    ///
    /// # Errors
    /// `E_GPU_OOM` and the device's.
    pub async fn copy_bandwidth(&self) -> Result<Option<f64>, Error> {
        let device = &self.p.device;
        if device.clock() == Clock::Host {
            return Ok(None);
        }
        let words = COPIED_BYTES.min(device.caps().max_buffer) / 4;
        let description = |label: &str| BufDesc {
            label: label.into(),
            words,
            role: Role::Storage,
        };
        let both = [description("copied from"), description("copied to")];
        let buffers = Buffers::allocate(device, &both).await?;
        let copy = |i: usize| {
            let (from, to) = (buffers.buffer(i % 2), buffers.buffer(1 - i % 2));
            Copy::new(from, 0, to, 0, words)
        };
        // The first copies also clear the buffers.
        let mut count = 2;
        loop {
            let copies: Vec<_> = (0..count).map(copy).collect();
            let began = Instant::now();
            device.run(std::iter::empty(), 0, &copies);
            device.wait().await?;
            let took = began.elapsed();
            if count > 2 && took >= COPY_TIME {
                let bytes = 2 * 4 * words * count as u64;
                return Ok(Some(bytes as f64 / took.as_secs_f64()));
            }
            count *= 2;
        }
    }
}

impl PhaseProfile {
    /// Appends slices of steps from `first` on.
    fn add(&mut self, pass: u32, first: usize, slices: Vec<Slice>) {
        self.slices.extend(slices.into_iter().map(|slice| Slice {
            pass,
            step: first + slice.step,
            ..slice
        }));
    }
}

impl Profile {
    /// Lets time begin with the first slice, and no slice before the one before it has ended: a GPU's timestamps may cross by a
    /// tick.
    fn rebase(&mut self) {
        let mut slices = self
            .phases
            .iter_mut()
            .flat_map(|p| &mut p.slices)
            .peekable();
        let zero = slices.peek().map_or(0, |first| first.start_ns);
        let mut now = 0;
        for slice in slices {
            slice.start_ns = slice.start_ns.saturating_sub(zero).max(now);
            slice.end_ns = slice.end_ns.saturating_sub(zero).max(slice.start_ns);
            now = slice.end_ns;
        }
    }
}

/// The steps of decoded tokens, of whatever reach, in order.
fn decode_steps(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.decode.iter().chain(&plan.head).chain(&plan.sample)
}

fn describe(plan: &Plan, step: &Step) -> ProfiledStep {
    let (layer, part) = match step.name.split_once('.') {
        Some((layer, part)) => (layer.strip_prefix("layer"), part),
        None => (None, step.name.as_str()),
    };
    let bound = |id: usize| step.bind.iter().any(|(_, bound)| *bound == id);
    let weights: Vec<String> = plan
        .segments
        .iter()
        .filter(|segment| bound(segment.quants))
        .map(|s| format!("{} {}x{}", s.ty.name(), s.rows, s.k))
        .collect();
    ProfiledStep {
        name: step.name.clone(),
        layer: layer.and_then(|n| n.parse().ok()),
        kernel: format!("{part} {}", weights.join(" + ")).trim_end().into(),
    }
}
