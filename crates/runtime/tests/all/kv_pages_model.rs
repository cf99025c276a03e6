//! Random operations on the page pool against a device that is simulated word by word: what a sequence can see through
//! its page table is exactly what was written for it.

use chord_kernels::PAGE;
use chord_model::{Edit, Full, KvPages, SeqId};
use std::collections::HashSet;

/// xorshift64*: a run is named by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % u64::from(n)) as u32
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    pages: u32,
    /// What they grow to.
    most_pages: u32,
    capacity: u32,
    sequences: u32,
    sinks: u32,
    ring: bool,
}

struct Open {
    id: SeqId,
    /// Every token ever appended and not cut off, as a number that no other token has.
    tokens: Vec<u64>,
    /// A reservation was made and not used: in a ring, a page may be forgotten early.
    dangling: bool,
}

struct Simulation {
    shape: Shape,
    kv: KvPages,
    open: Vec<Open>,
    table: Vec<u32>,
    /// Tokens by slot; 0 = never written.
    store: Vec<u64>,
    next: u64,
    wraps: u32,
    copies: u32,
    refusals: u32,
}

impl Simulation {
    fn new(shape: Shape) -> Self {
        let seq_pages = shape.capacity.div_ceil(PAGE);
        Self {
            shape,
            kv: KvPages::new(
                shape.pages,
                shape.capacity,
                shape.sequences,
                shape.sinks,
                shape.ring,
            ),
            open: Vec::new(),
            table: vec![u32::MAX; (shape.sequences * seq_pages) as usize],
            store: vec![0; (shape.pages * PAGE) as usize],
            next: 1,
            wraps: 0,
            copies: 0,
            refusals: 0,
        }
    }

    fn seq_pages(&self) -> u32 {
        self.shape.capacity.div_ceil(PAGE)
    }

    /// Slot of a position, by the table on the device.
    fn slot(&self, id: SeqId, position: u32) -> usize {
        let (page, seq_pages, sinks) = (position / PAGE, self.seq_pages(), self.shape.sinks);
        let entry = if page < seq_pages {
            page
        } else {
            sinks + (page - sinks) % (seq_pages - sinks)
        };
        let page = self.table[(self.kv.table_base(id) + entry) as usize];
        (page * PAGE + position % PAGE) as usize
    }

    /// Whether a token at `t` sees the one at `j <= t`.
    fn sees(&self, t: u32, j: u32) -> bool {
        let ring = self.seq_pages() - self.shape.sinks;
        j / PAGE < self.shape.sinks || j / PAGE + ring > t / PAGE
    }

    fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            match *edit {
                Edit::Table { index, page } => self.table[index as usize] = page,
                Edit::CopyPage { from, to } => {
                    self.copies += 1;
                    let from = (from * PAGE) as usize;
                    self.store
                        .copy_within(from..from + PAGE as usize, (to * PAGE) as usize);
                }
            }
        }
    }

    fn pages_of(&self, id: SeqId) -> Vec<u32> {
        (0..self.seq_pages())
            .map_while(|e| self.kv.page(id, e))
            .collect()
    }

    fn append(&mut self, at: usize, want: u32, commit: bool) {
        let (id, length) = (self.open[at].id, self.open[at].tokens.len() as u32);
        let n = self.kv.batch(id, want);
        assert!(n <= want);
        if !self.shape.ring {
            assert_eq!(n, want.min(self.shape.capacity - length));
            if n < want {
                let refused = self.kv.reserve(id, want);
                assert_eq!(
                    refused,
                    Err(Full::Sequence {
                        capacity: self.shape.capacity
                    })
                );
            }
        } else {
            assert!(n > 0 || want == 0, "a ring always has room");
        }
        let before = (self.pages_of(id), self.kv.used_pages());
        let edits = match self.kv.reserve(id, n) {
            Ok(edits) => edits,
            Err(e) => {
                assert_eq!(
                    e,
                    Full::Pool {
                        pages: self.shape.pages
                    }
                );
                let after = (self.pages_of(id), self.kv.used_pages());
                assert_eq!(before, after, "a refused reservation changed something");
                self.refusals += 1;
                return;
            }
        };
        self.apply(&edits);
        if !commit {
            self.open[at].dangling |= n > 0;
            return;
        }
        for position in length..length + n {
            let slot = self.slot(id, position);
            self.store[slot] = self.next;
            self.open[at].tokens.push(self.next);
            self.next += 1;
        }
        self.kv.commit(id, n);
        self.open[at].dangling &= n == 0;
        self.wraps += u32::from(length + n > self.seq_pages() * PAGE);
        // All rows are written before any attends: each must still find what it sees.
        for t in length..length + n {
            self.check_view(at, t);
        }
    }

    fn check_view(&self, at: usize, t: u32) {
        let s = &self.open[at];
        for (j, token) in (0..).zip(&s.tokens).take_while(|(j, _)| *j <= t) {
            if self.sees(t, j) {
                let found = self.store[self.slot(s.id, j)];
                assert_eq!(found, *token, "position {t} looks at {j}");
            }
        }
    }

    fn rewind(&mut self, at: usize, length: u32) {
        let id = self.open[at].id;
        let held = self.open[at].tokens.len() as u32;
        let allowed = self.kv.can_rewind(id, length);
        if held <= self.seq_pages() * PAGE && !self.open[at].dangling {
            assert!(allowed, "nothing has been forgotten");
        }
        if allowed {
            self.kv.rewind(id, length);
            self.open[at].tokens.truncate(length as usize);
        } else {
            self.kv.reset(id);
            self.open[at].tokens.clear();
            self.open[at].dangling = false;
        }
    }

    fn share(&mut self, from: usize, to: usize, length: u32) {
        let (source, target) = (self.open[from].id, self.open[to].id);
        if from == to || !self.kv.can_share(source, length) {
            return;
        }
        self.kv.reset(target);
        let used = self.kv.used_pages();
        let edits = self.kv.share(source, target, length);
        assert_eq!(self.kv.used_pages(), used, "sharing takes no page");
        self.apply(&edits);
        self.open[to].tokens = self.open[from].tokens[..length as usize].to_vec();
        self.open[to].dangling = false;
    }

    fn grow(&mut self) {
        self.shape.pages += 1;
        self.kv.grow(self.shape.pages);
        self.store.resize((self.shape.pages * PAGE) as usize, 0);
    }

    fn step(&mut self, random: &mut Random) {
        let n = self.open.len() as u32;
        if n == 0 || random.below(12) == 0 {
            match self.kv.open() {
                Ok(id) => {
                    assert!(n < self.shape.sequences);
                    self.open.push(Open {
                        id,
                        tokens: Vec::new(),
                        dangling: false,
                    });
                }
                Err(e) => assert_eq!(
                    (e, n),
                    (
                        Full::Sequences {
                            sequences: self.shape.sequences
                        },
                        self.shape.sequences
                    )
                ),
            }
            return;
        }
        let at = random.below(n) as usize;
        let length = self.open[at].tokens.len() as u32;
        if self.shape.pages < self.shape.most_pages && random.below(30) == 0 {
            return self.grow();
        }
        match random.below(20) {
            0 => {
                let closed = self.open.swap_remove(at);
                self.kv.close(closed.id);
            }
            1 | 2 => self.rewind(at, random.below(length + 1)),
            // The last few tokens, as a stop string does.
            3 | 4 => self.rewind(at, length - random.below(length.min(4) + 1)),
            5..=7 => self.share(at, random.below(n) as usize, random.below(length + 1)),
            8 => self.append(at, random.below(17), false),
            9..=13 => self.append(at, random.below(3), true),
            _ => self.append(at, random.below(33), true),
        }
    }

    fn check(&self) {
        let mut used = HashSet::new();
        let mut held = vec![0; self.shape.pages as usize];
        for (at, s) in self.open.iter().enumerate() {
            let length = s.tokens.len() as u32;
            assert_eq!(self.kv.length(s.id), length);
            if !self.shape.ring {
                assert!(length <= self.shape.capacity, "filled beyond its capacity");
            }
            let pages = self.pages_of(s.id);
            let base = self.kv.table_base(s.id) as usize;
            assert_eq!(
                self.table[base..base + pages.len()],
                pages[..],
                "the device's table is behind"
            );
            assert_eq!(
                pages.iter().collect::<HashSet<_>>().len(),
                pages.len(),
                "a page is in one table twice"
            );
            used.extend(pages);
            // What the next token will see.
            self.check_view(at, length);
            for j in (0..length).filter(|j| self.sees(length - 1, *j)) {
                let slot = self.slot(s.id, j) as u32;
                let held = &mut held[(slot / PAGE) as usize];
                *held = (slot % PAGE + 1).max(*held);
            }
        }
        assert_eq!(
            self.kv.used_pages() as usize,
            used.len(),
            "a page leaked, or is used and free"
        );
        if self.open.iter().all(|s| !s.dangling) {
            assert_eq!(self.kv.held_slots(), held);
        }
    }
}

/// What random operations lead to, by seed; all is checked after each of them.
fn simulations(shape: Shape) -> impl Iterator<Item = Simulation> {
    (1..=40).map(move |seed| {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut simulation = Simulation::new(shape);
        for op in 0..400 {
            let _place = Place(shape, seed, op);
            simulation.step(&mut random);
            simulation.check();
        }
        simulation
    })
}

#[test]
fn fill_never_exceeds_capacity_and_every_sequence_sees_its_own_tokens() {
    let shapes = [
        // Whole pages, a part of a page, a pool too small for everyone, one page.
        (12, 128, 3, 0, false),
        (12, 100, 3, 0, false),
        (5, 100, 4, 0, false),
        (2, 20, 2, 0, false),
        (12, 128, 3, 1, true),
        (12, 100, 3, 2, true),
        (6, 96, 3, 1, true),
        (4, 64, 2, 0, true),
        (2, 64, 1, 1, true),
    ];
    let (mut wraps, mut copies, mut refusals) = (0, 0, 0);
    for (pages, capacity, sequences, sinks, ring) in shapes {
        let shape = Shape {
            pages,
            most_pages: pages,
            capacity,
            sequences,
            sinks,
            ring,
        };
        for simulation in simulations(shape) {
            wraps += simulation.wraps;
            copies += simulation.copies;
            refusals += simulation.refusals;
        }
    }
    println!("{wraps} appends in wrapped rings, {copies} copied pages, {refusals} refused");
    assert!(
        wraps > 500 && copies > 500 && refusals > 500,
        "the operations reach every corner"
    );
}

#[test]
fn a_pool_that_grows_loses_nothing() {
    for (pages, capacity, sinks, ring) in [(1, 128, 0, false), (2, 100, 0, false), (3, 96, 1, true)]
    {
        let shape = Shape {
            pages,
            most_pages: 9,
            capacity,
            sequences: 3,
            sinks,
            ring,
        };
        let (mut grown, mut refusals) = (0, 0);
        for simulation in simulations(shape) {
            grown += simulation.shape.pages - pages;
            refusals += simulation.refusals;
        }
        assert!(
            grown > 200 && refusals > 50,
            "{shape:?}: grown by {grown}, {refusals} refused before"
        );
    }
}

/// Names the failing case, whatever assertion it is that fails.
struct Place(Shape, u64, u32);

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{:?}, seed {}, operation {}", self.0, self.1, self.2);
        }
    }
}
