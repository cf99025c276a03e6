//! The whole static plan executed by the kernels' CPU twins: the same logits and tokens as on the device.

use crate::common::*;
use crate::kv_dense::{Dense, directory};
use chord_kernels::cpu::CpuMemory;
use chord_kernels::rope_table;
use chord_kernels::sample::ctl;
use chord_model::{Config, GraphOptions, Plan, plan};
use chord_runtime::{EngineOptions, GenerateRequest, KvType, Sampling};

const EQUAL: f32 = 1e-4;
const CONTEXT: u32 = 128;

struct Twins {
    plan: Plan,
    config: Config,
    memory: CpuMemory,
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

impl Twins {
    fn new(name: &str, kv: KvType) -> Self {
        let file = model(name).0;
        let d = directory(&file);
        let config = Config::from_directory(&d).unwrap();
        let pages = CONTEXT / 32;
        let options = GraphOptions {
            kv,
            seq_pages: pages,
            pages,
            eog: 0,
            positions: CONTEXT,
            ..graph_options()
        };
        let plan = plan(&d, &config, &options).unwrap();
        let memory = CpuMemory::new(&plan.buffers);
        for segment in &plan.segments {
            // Small slices: their borders fall inside tensors.
            for slice in segment.slices(10_000).unwrap() {
                let at = usize::try_from(slice.offset).unwrap();
                let (quants, scales) = (
                    usize::try_from(slice.quants.0).unwrap(),
                    usize::try_from(slice.scales.0).unwrap(),
                );
                let (mut q, mut s) = (
                    memory.words_mut(segment.quants),
                    memory.words_mut(segment.scales),
                );
                let from = &file[at..at + slice.bytes];
                segment
                    .repack(
                        from,
                        &mut q[quants..quants + slice.quants.1],
                        &mut s[scales..scales + slice.scales.1],
                    )
                    .unwrap();
            }
        }
        for vector in &plan.vectors {
            let at = usize::try_from(vector.offset).unwrap();
            let first = usize::try_from(vector.at).unwrap();
            memory.words_mut(vector.buffer)[first..first + vector.len]
                .copy_from_slice(&words(&file[at..at + 4 * vector.len]));
        }
        let (angles, magnitude) = config.rope.inv_freq(None);
        let table: Vec<u32> = rope_table(&angles, magnitude, CONTEXT)
            .0
            .iter()
            .map(|v| v.to_bits())
            .collect();
        memory.words_mut(plan.ids.rope)[..table.len()].copy_from_slice(&table);
        // Pages in another order than that of the positions.
        for (entry, page) in (0..pages).rev().enumerate() {
            memory.words_mut(plan.ids.table)[entry] = page;
        }
        Self {
            plan,
            config,
            memory,
        }
    }

    fn prefill(&self, tokens: &[u32]) {
        let ids = &self.plan.ids;
        let mut first = 0;
        for chunk in tokens.chunks(32) {
            let rows: Vec<u32> = (first..)
                .zip(chunk)
                .flat_map(|(position, token)| [*token, position, 0, 1])
                .collect();
            self.memory.words_mut(ids.rows)[..rows.len()].copy_from_slice(&rows);
            self.plan
                .prefill
                .iter()
                .for_each(|step| self.memory.run(step, chunk.len() as u32));
            first += chunk.len() as u32;
            let n = ids.act_head_words as usize;
            let last = self.memory.words(ids.act)[(chunk.len() - 1) * n..chunk.len() * n].to_vec();
            self.memory.words_mut(ids.act_head)[..n].copy_from_slice(&last);
        }
        // The sampler goes on from the last token's position.
        self.memory.words_mut(ids.rows)[..4].copy_from_slice(&[0, first - 1, 0, 1]);
    }

    fn logits(&self) -> Vec<f32> {
        for step in &self.plan.head {
            self.memory.run(step, 1);
        }
        let logits = self.memory.words(self.plan.ids.logits);
        logits[..self.config.n_vocab as usize]
            .iter()
            .map(|w| f32::from_bits(*w))
            .collect()
    }

    /// Logits and token of every step.
    fn generate(&self, tokens: &[u32], sampling: &Sampling, n: usize) -> (Vec<Vec<f32>>, Vec<u32>) {
        let [params, control, ..] = self.plan.ids.sampler;
        let mut bytes = Vec::new();
        let p = sampling.params(self.config.n_vocab, 0);
        for word in [
            p.n_vocab,
            p.top_k,
            p.n_eog,
            p.flags,
            p.inv_temperature.to_bits(),
            p.top_p.to_bits(),
            p.ln_min_p.to_bits(),
            0,
        ] {
            bytes.push(word);
        }
        self.memory.words_mut(params).copy_from_slice(&bytes);
        self.memory.words_mut(control).fill(0);
        self.memory.words_mut(control)[ctl::SEED_LOW] = sampling.seed as u32;
        self.prefill(tokens);
        let mut logits = Vec::new();
        for step in 0..n {
            if step > 0 {
                self.plan
                    .decode
                    .iter()
                    .for_each(|step| self.memory.run(step, 1));
            }
            logits.push(self.logits());
            for step in &self.plan.sample {
                self.memory.run(step, 1);
            }
        }
        let control = self.memory.words(control);
        assert_eq!((control[ctl::STEP] as usize, control[ctl::FAULT]), (n, 0));
        (logits, control[ctl::LOG..ctl::LOG + n].to_vec())
    }
}

fn tokens(which: &str) -> Vec<u32> {
    reference(TINY, "deq")
        .prompts
        .into_iter()
        .find(|p| p.name == which)
        .unwrap()
        .prompt_ids
}

fn twins_equal_engine(kv: KvType, prompt: &[u32], sampling: Sampling) -> Vec<u32> {
    let (logits, chosen) = Twins::new(TINY, kv).generate(prompt, &sampling, 4);
    let mut engine = load(
        TINY,
        &EngineOptions {
            kv,
            context: Some(CONTEXT),
            ..exact()
        },
    );
    let mut session = engine.new_session().unwrap();
    let done = generate(
        &mut engine,
        &mut session,
        &GenerateRequest {
            sampling,
            ..greedy(prompt, 4)
        },
    );
    assert_eq!(chosen, done.tokens, "{kv:?}");
    session.clear(&mut engine);
    let all = [prompt, &chosen].concat();
    for (step, twin) in logits.iter().enumerate() {
        // The first step is prefill's, the others decode's.
        let ours =
            pollster::block_on(session.next_logits(&mut engine, &all[..prompt.len() + step]))
                .unwrap();
        let difference = worst(std::slice::from_ref(twin), &[ours]);
        println!("{kv:?}, step {step}: {difference:.1e}");
        assert!(difference <= EQUAL, "{kv:?}, step {step}: {difference}");
    }
    chosen
}

#[test]
fn tiny_the_plan_on_the_cpu_twins_equals_the_engine_on_both() {
    let greedy = twins_equal_engine(KvType::F32, &tokens("chat")[..43], Sampling::greedy());
    let drawn = Sampling {
        temperature: 1.3,
        seed: 7,
        ..Sampling::default()
    };
    assert_ne!(
        twins_equal_engine(KvType::F32, &tokens("chat")[..43], drawn),
        greedy
    );
}

#[test]
fn tiny_the_plan_on_the_cpu_twins_equals_a_dense_model_in_f64() {
    let prompt = tokens("code");
    let (logits, chosen) = Twins::new(TINY, KvType::F32).generate(&prompt, &Sampling::greedy(), 4);
    let all = [&prompt[..], &chosen].concat();
    let dense =
        Dense::new(&model(TINY).0).logits(&all, prompt.len() - 1..all.len() - 1, |_, _| true);
    let difference = worst(&dense, &logits);
    assert!(difference <= EQUAL, "{difference}");
}
