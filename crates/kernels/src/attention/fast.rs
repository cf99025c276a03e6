//! Attention on the CPU: a KV head's queries of some rows that see the same pages, by whichever thread is free; where there are fewer of
//! those than would keep the threads busy, the pages are shared too.

use super::attend::{Attend, HEADER, PART};
use super::{Attention, Out};
use crate::act::{ActKind, BLOCK};
use crate::cpu::tiles::{encode, split};
use crate::cpu::{Cores, CpuBindings, f};
use crate::kv::{KvShape, Row, SlotOrder};
use crate::kv_write::write_rows;
use crate::rope::{Head, Token};
use chord_simd::{Isa, Level, Op};
use std::ops::Range;

/// Queries that share what is read of a page: more would gain little, and leave threads without work.
const QUERIES: u32 = 16;

/// Rows of one sequence, at positions that follow each other, and what they see.
struct View {
    rows: Range<usize>,
    /// The pages of whole parts ([`PART`]), the last but what there is, and which slots of each any row sees.
    pages: Vec<(u32, Range<u32>)>,
    /// Which ones each row sees: `[page, row]`.
    seen: Vec<Range<u32>>,
}

impl View {
    fn new(shape: &KvShape, batch: &[Row], rows: Range<usize>, table: &[u32]) -> Self {
        let of_rows: Vec<_> = batch[rows.clone()]
            .iter()
            .map(|row| shape.seen(row, table))
            .collect();
        let first = of_rows
            .iter()
            .filter_map(|pages| pages.iter().position(|(_, slots)| !slots.is_empty()))
            .min()
            .unwrap_or(0);
        let first = first / PART * PART;
        let longest = of_rows.iter().max_by_key(|pages| pages.len());
        let mut view = Self {
            rows,
            pages: Vec::new(),
            seen: Vec::new(),
        };
        for (i, (page, _)) in longest.into_iter().flatten().enumerate().skip(first) {
            let mut any: Option<Range<u32>> = None;
            for pages in &of_rows {
                let slots = pages.get(i).map_or(0..0, |(_, slots)| slots.clone());
                if !slots.is_empty() {
                    let any = any.get_or_insert(slots.clone());
                    *any = any.start.min(slots.start)..any.end.max(slots.end);
                }
                view.seen.push(slots);
            }
            view.pages.push((*page, any.unwrap_or(0..0)));
        }
        view
    }

    /// Views of a batch, of at most `most` rows each.
    fn of_batch(shape: &KvShape, batch: &[Row], most: usize, table: &[u32]) -> Vec<Self> {
        let follows = |[_, pos, at, valid]: &Row, next: &Row| next[1..] == [pos + 1, *at, *valid];
        let runs = batch.chunk_by(follows).flat_map(|run| run.chunks(most));
        let mut first = 0;
        let views = runs.map(|run| {
            let rows = first..first + run.len();
            first = rows.end;
            Self::new(shape, batch, rows, table)
        });
        views.collect()
    }

    fn parts(&self) -> usize {
        self.pages.len().div_ceil(PART)
    }
}

/// What attention reads.
struct Inputs<'a> {
    shape: &'a KvShape,
    level: Level,
    qkv: &'a [u32],
    rope: &'a [u32],
    batch: &'a [Row],
    store: [&'a [u32]; 2],
}

/// Some heads of a view's rows.
struct Job<'a> {
    from: &'a Inputs<'a>,
    view: &'a View,
    heads: Range<u32>,
}

impl Job<'_> {
    /// The heads by KV head.
    fn groups(&self) -> impl Iterator<Item = (u32, Range<u32>)> {
        let group = self.from.shape.n_heads / self.from.shape.n_kv_heads;
        let heads = self.heads.clone();
        (heads.start / group..heads.end.div_ceil(group)).map(move |kv_head| {
            let first = (kv_head * group).max(heads.start);
            (kv_head, first..((kv_head + 1) * group).min(heads.end))
        })
    }

    /// The queries, as [`Attend`] takes them, group by group.
    fn queries(&self) -> Vec<f32> {
        let Inputs {
            shape, qkv, rope, ..
        } = self.from;
        let dim = shape.head_dim;
        let mut all = vec![0.0; self.view.rows.len() * self.heads.len() * dim as usize];
        let mut queries = all.chunks_exact_mut(dim as usize);
        for (_, heads) in self.groups() {
            for r in self.view.rows.clone() {
                let (token, pos) = (Token::new(shape, qkv, rope, r), self.from.batch[r][1]);
                for (head, q) in heads.clone().zip(&mut queries) {
                    token.rotate_into(head * dim, Head::Query, pos, q);
                    q.iter_mut().for_each(|q| *q *= shape.scale);
                }
            }
        }
        all
    }

    /// What a part of the pages holds for each of the queries: see [`Attend::run`].
    fn found(&self, queries: &[f32], part: usize) -> Vec<f32> {
        let Inputs { shape, level, .. } = self.from;
        let dim = shape.head_dim as usize;
        let mut found = vec![0.0; queries.len() / dim * (HEADER + dim)];
        let (mut rest, mut queries) = (found.as_mut_slice(), queries);
        let rows = self.view.rows.len();
        let pages = self.view.pages.chunks(PART).nth(part).unwrap_or_default();
        let seen = self.view.seen.chunks(PART * rows).nth(part);
        let next = self.view.pages.get((part + 1) * PART);
        for (kv_head, heads) in self.groups() {
            let n = rows * heads.len();
            let (of_group, other) = queries.split_at(n * dim);
            let (found, left) = rest.split_at_mut(n * (HEADER + dim));
            (queries, rest) = (other, left);
            let attend = Attend {
                shape,
                kv_head,
                queries: of_group,
                pages,
                seen: seen.unwrap_or_default(),
                next: next.map(|(page, _)| *page),
                store: self.from.store,
            };
            attend.run(*level, found);
        }
        found
    }

    /// Writes the rows' heads: what was found in all parts, put together in their order.
    fn finish(
        &self,
        kind: Option<ActKind>,
        parts: impl Iterator<Item = Vec<f32>>,
        out: Vec<&mut [u32]>,
    ) {
        let Inputs { shape, rope, .. } = self.from;
        let dim = shape.head_dim as usize;
        let rows = self.view.rows.len();
        let mut all = Vec::with_capacity(rows * self.heads.len() * (HEADER + dim));
        for (_, heads) in self.groups() {
            let heads = std::iter::repeat_n(heads, rows).flatten();
            for head in heads {
                let sink = shape.sinks_at.map(|at| f(rope, (at + head) as usize));
                all.extend([sink.unwrap_or(f32::NEG_INFINITY), sink.map_or(0.0, |_| 1.0)]);
                all.resize(all.len() + dim, 0.0);
            }
        }
        for part in parts {
            for (all, found) in all
                .chunks_exact_mut(HEADER + dim)
                .zip(part.chunks_exact(HEADER + dim))
            {
                put_together(all, found);
            }
        }
        for (row, out) in out.into_iter().enumerate() {
            let mut values = Vec::with_capacity(out.len());
            let mut first = 0;
            for (_, heads) in self.groups() {
                let of_row = all.chunks_exact(HEADER + dim);
                for query in of_row.skip(first + row * heads.len()).take(heads.len()) {
                    values.extend(query[HEADER..].iter().map(|v| v / query[1]));
                }
                first += rows * heads.len();
            }
            write(self.from.level, kind, values, out);
        }
    }
}

/// Adds what a part holds for a query to what others do.
fn put_together(all: &mut [f32], part: &[f32]) {
    let (top, of_part) = (all[0].max(part[0]), part[0]);
    if of_part == f32::NEG_INFINITY {
        return;
    }
    let [before, now] = [all[0], of_part].map(|t| (t - top).exp());
    all[0] = top;
    for (all, part) in all.iter_mut().zip(part).skip(1) {
        *all = *all * before + part * now;
    }
}

/// Writes a row's heads, as blocks of activations or as they are.
fn write(level: Level, kind: Option<ActKind>, mut values: Vec<f32>, out: &mut [u32]) {
    match kind {
        None => {
            for (o, v) in out.iter_mut().zip(values) {
                *o = v.to_bits();
            }
        }
        Some(kind) => {
            values.resize(values.len().next_multiple_of(BLOCK), 0.0);
            let blocks = values.as_chunks::<BLOCK>().0;
            for (values, out) in blocks.iter().zip(out.chunks_exact_mut(kind.words())) {
                level.run(Encode { kind, values, out });
            }
        }
    }
}

impl Attention {
    pub(super) fn run_fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let kind = match self.out {
            Out::Blocks(kind) if !self.tap => Some(kind),
            Out::Rows if !self.tap => None,
            // A trace, of the twin's own figures; and what no plan has for the CPU, whose threads share heads and rows.
            _ => return self.run_twin(rows, mem),
        };
        let shape = &self.shape;
        assert_eq!(
            mem.slot_order(2),
            SlotOrder::Panels,
            "keys have a role of their own"
        );
        if self.fused {
            write_rows(shape, rows, mem, cores);
        }
        let (qkv, k, v, rope) = (mem.read(1), mem.read(2), mem.read(3), mem.read(4));
        let (batch, table) = (mem.read(5), mem.read(6));
        let from = Inputs {
            shape,
            level: cores.level(),
            qkv: &qkv,
            rope: &rope,
            batch: &batch.as_chunks().0[..rows as usize],
            store: [&k, &v],
        };
        let most = (QUERIES / (shape.n_heads / shape.n_kv_heads)).max(1);
        let views = View::of_batch(shape, from.batch, most as usize, &table);
        let heads = self.heads_of_job(kind, views.len(), cores.threads());
        let tiles = shape.n_heads.div_ceil(heads);
        let words = (heads * shape.head_dim) as usize;
        let words = kind.map_or(words, |kind| words.div_ceil(BLOCK) * kind.words());
        let stride = self.out_stride() as usize * kind.map_or(1, |kind| kind.words());

        let (rows, tile_count) = (rows as usize, tiles as usize);
        let mut out = mem.write(7);
        let width = stride.min(tile_count * words);
        let outs = split(&mut out, (0, stride, width), (rows, words, tile_count));
        let mut outs = outs.into_iter();
        let mut jobs = Vec::with_capacity(tile_count * views.len());
        for tile in 0..tiles {
            let heads = tile * heads..((tile + 1) * heads).min(shape.n_heads);
            for view in &views {
                let job = Job {
                    from: &from,
                    view,
                    heads: heads.clone(),
                };
                jobs.push((job, outs.by_ref().take(view.rows.len()).collect()));
            }
        }
        if jobs.len() >= 4 * cores.threads() || views.iter().all(|view| view.parts() < 2) {
            return cores.each(jobs, |(job, out): (Job<'_>, Vec<_>)| {
                let queries = job.queries();
                let parts = (0..job.view.parts()).map(|part| job.found(&queries, part));
                job.finish(kind, parts, out);
            });
        }
        let queries: Vec<_> = jobs.iter().map(|(job, _)| job.queries()).collect();
        let parts = |(job, _): &(Job<'_>, _)| vec![Vec::new(); job.view.parts()];
        let mut found: Vec<_> = jobs.iter().map(parts).collect();
        let mut items = Vec::new();
        for (((job, _), queries), found) in jobs.iter().zip(&queries).zip(&mut found) {
            let parts = found.iter_mut().enumerate();
            items.extend(parts.map(|(part, found)| (job, queries, part, found)));
        }
        cores.each(items, |(job, queries, part, found)| {
            *found = job.found(queries, part);
        });
        for ((job, out), found) in jobs.into_iter().zip(found) {
            job.finish(kind, found.into_iter(), out);
        }
    }

    /// Heads that a job takes: those of a KV head, or fewer where threads would have none; always as many as fill whole blocks.
    fn heads_of_job(&self, kind: Option<ActKind>, views: usize, threads: usize) -> u32 {
        let shape = &self.shape;
        let group = shape.n_heads / shape.n_kv_heads;
        let fills =
            |heads: &u32| kind.is_none() || (heads * shape.head_dim).is_multiple_of(BLOCK as u32);
        let whole = (group..=shape.n_heads).step_by(group as usize).find(fills);
        let mut heads = whole.unwrap_or(shape.n_heads);
        let busy = |heads: u32| views * shape.n_heads.div_ceil(heads) as usize >= threads;
        while heads <= group && !busy(heads) && heads.is_multiple_of(2) && fills(&(heads / 2)) {
            heads /= 2;
        }
        heads
    }
}

struct Encode<'a> {
    kind: ActKind,
    values: &'a [f32; BLOCK],
    out: &'a mut [u32],
}

impl Op for Encode<'_> {
    type Out = ();
    #[inline(always)]
    fn call<I: Isa>(self, isa: I) {
        encode(isa, self.kind, self.values, 0.0, self.out);
    }
}
