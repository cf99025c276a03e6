//! Which page of the KV store belongs to whom: the host's side of the ring.
//!
//! A sequence is a page table and an explicit length; the length is the only truth about fill. Pages are counted by
//! reference, so that sequences share a common prefix; a page that is shared is copied before it is written. This module
//! moves no bytes: it returns [`Edit`]s for the device.
//!
//! With `ring`, a sequence that has used all its pages goes on by recycling the oldest page after the sink pages: a token
//! in page `p` then sees the sink pages and the last `seq_pages - sink_pages` pages up to `p`.

use chord_kernels::PAGE;

/// A change to make on the device before the next submit, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Entry of the table buffer.
    Table {
        /// Word in the buffer.
        index: u32,
        /// Page.
        page: u32,
    },
    /// Copy a whole page, K and V, in every layer.
    CopyPage {
        /// Source.
        from: u32,
        /// Destination.
        to: u32,
    },
}

/// Why a sequence cannot take more tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The sequence holds as many tokens as its context allows.
    #[error("the sequence is full: {capacity} tokens")]
    Sequence {
        /// Tokens a sequence can hold.
        capacity: u32,
    },
    /// Every page is in use by some sequence.
    #[error("all {pages} KV pages are in use")]
    Pool {
        /// Pages in the store.
        pages: u32,
    },
    /// Every page is in use, and the device has no memory for more of them.
    #[error("the device has no memory for K and V of more than {tokens} tokens")]
    Memory {
        /// Tokens that the store has room for.
        tokens: u32,
    },
    /// Every sequence slot is in use.
    #[error("all {sequences} sequences are in use")]
    Sequences {
        /// Slots.
        sequences: u32,
    },
}

/// Handle of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqId(u32);

#[derive(Clone, Debug, Default)]
struct Sequence {
    /// Physical page per table entry, in ring order.
    pages: Vec<u32>,
    length: u32,
    /// Logical pages ever started since the last reset; above the table's size, the ring has wrapped.
    started: u32,
}

/// The page pool and the sequences in it.
#[derive(Clone, Debug)]
pub struct KvPages {
    refs: Vec<u32>,
    free: Vec<u32>,
    sequences: Vec<Option<Sequence>>,
    seq_pages: u32,
    sink_pages: u32,
    capacity: u32,
    ring: bool,
}

impl KvPages {
    /// `capacity` tokens a sequence (whole pages are held for them), `sink_pages` never recycled when `ring`.
    ///
    /// # Panics
    /// If the ring would have no page left beside the sinks.
    #[must_use]
    pub fn new(pages: u32, capacity: u32, sequences: u32, sink_pages: u32, ring: bool) -> Self {
        let seq_pages = capacity.div_ceil(PAGE);
        assert!(
            sink_pages < seq_pages,
            "{sink_pages} sink pages of {seq_pages}"
        );
        Self {
            refs: vec![0; pages as usize],
            free: (0..pages).rev().collect(),
            sequences: (0..sequences).map(|_| None).collect(),
            seq_pages,
            sink_pages,
            capacity,
            ring,
        }
    }

    /// Table entries of a sequence start here in the table buffer.
    #[must_use]
    pub fn table_base(&self, id: SeqId) -> u32 {
        id.0 * self.seq_pages
    }

    /// The store holds so many pages from now on; never fewer than before.
    pub fn grow(&mut self, pages: u32) {
        let before = self.refs.len() as u32;
        self.refs.resize(pages.max(before) as usize, 0);
        self.free.splice(0..0, (before..pages).rev());
    }

    /// Tokens held.
    #[must_use]
    pub fn length(&self, id: SeqId) -> u32 {
        self.sequence(id).length
    }

    /// Pages in use by any sequence.
    #[must_use]
    pub fn used_pages(&self) -> u32 {
        (self.refs.len() - self.free.len()) as u32
    }

    /// Physical page of a table entry, where it has one.
    #[must_use]
    pub fn page(&self, id: SeqId, entry: u32) -> Option<u32> {
        self.sequence(id).pages.get(entry as usize).copied()
    }

    fn sequence(&self, id: SeqId) -> &Sequence {
        self.sequences[id.0 as usize]
            .as_ref()
            .expect("a SeqId lives until close")
    }

    fn sequence_mut(&mut self, id: SeqId) -> &mut Sequence {
        self.sequences[id.0 as usize]
            .as_mut()
            .expect("a SeqId lives until close")
    }

    /// A new empty sequence.
    ///
    /// # Errors
    /// [`Full::Sequences`].
    pub fn open(&mut self) -> Result<SeqId, Full> {
        let slot = self.sequences.iter().position(Option::is_none);
        let slot = slot.ok_or(Full::Sequences {
            sequences: self.sequences.len() as u32,
        })?;
        self.sequences[slot] = Some(Sequence::default());
        Ok(SeqId(slot as u32))
    }

    /// Gives a sequence's pages and slot back.
    pub fn close(&mut self, id: SeqId) {
        self.reset(id);
        self.sequences[id.0 as usize] = None;
    }

    /// Empties a sequence.
    pub fn reset(&mut self, id: SeqId) {
        let pages = std::mem::take(self.sequence_mut(id)).pages;
        for page in pages {
            self.release(page);
        }
    }

    fn release(&mut self, page: u32) {
        let refs = &mut self.refs[page as usize];
        *refs -= 1;
        if *refs == 0 {
            self.free.push(page);
        }
    }

    fn allocate(&mut self) -> Result<u32, Full> {
        let page = self.free.pop().ok_or(Full::Pool {
            pages: self.refs.len() as u32,
        })?;
        self.refs[page as usize] = 1;
        Ok(page)
    }

    fn ring_index(&self, page: u32) -> u32 {
        if page < self.seq_pages {
            page
        } else {
            self.sink_pages + (page - self.sink_pages) % (self.seq_pages - self.sink_pages)
        }
    }

    /// Largest number of tokens, at most `want`, that one batch may append: up to the capacity, and in a ring that
    /// recycles, up to the page's end (earlier tokens of the batch still see the page that the next one overwrites).
    #[must_use]
    pub fn batch(&self, id: SeqId, want: u32) -> u32 {
        let length = self.length(id);
        let to_capacity = self.capacity.saturating_sub(length);
        if want <= to_capacity || !self.ring {
            return want.min(to_capacity);
        }
        let unwrapped = (self.seq_pages * PAGE).saturating_sub(length);
        if unwrapped > 0 {
            want.min(unwrapped)
        } else {
            want.min(PAGE - length % PAGE)
        }
    }

    /// Makes room for `n` tokens after the length. The length itself moves with [`KvPages::commit`].
    ///
    /// # Errors
    /// [`Full`]; nothing has changed then.
    pub fn reserve(&mut self, id: SeqId, n: u32) -> Result<Vec<Edit>, Full> {
        let length = self.length(id);
        if !self.ring && n > self.capacity - length.min(self.capacity) {
            return Err(Full::Sequence {
                capacity: self.capacity,
            });
        }
        let mut edits = Vec::new();
        if n == 0 {
            return Ok(edits);
        }
        let logical_pages = length / PAGE..=(length + n - 1) / PAGE;
        // All or nothing: a page taken before the pool ran dry would never get its table entry on the device.
        let needed = logical_pages.clone().filter(|logical| {
            self.page(id, self.ring_index(*logical))
                .is_none_or(|page| self.refs[page as usize] > 1)
        });
        if needed.count() > self.free.len() {
            return Err(Full::Pool {
                pages: self.refs.len() as u32,
            });
        }
        for logical in logical_pages {
            let entry = self.ring_index(logical);
            let index = self.table_base(id) + entry;
            let written = length > logical * PAGE;
            match self.page(id, entry) {
                None => {
                    let page = self.allocate()?;
                    self.sequence_mut(id).pages.push(page);
                    edits.push(Edit::Table { index, page });
                }
                Some(shared) if self.refs[shared as usize] > 1 => {
                    let page = self.allocate()?;
                    self.release(shared);
                    self.sequence_mut(id).pages[entry as usize] = page;
                    edits.push(Edit::Table { index, page });
                    if written {
                        edits.push(Edit::CopyPage {
                            from: shared,
                            to: page,
                        });
                    }
                }
                Some(_) => {}
            }
            let s = self.sequence_mut(id);
            s.started = s.started.max(logical + 1);
        }
        Ok(edits)
    }

    /// Counts `n` written tokens.
    pub fn commit(&mut self, id: SeqId, n: u32) {
        self.sequence_mut(id).length += n;
    }

    /// Whether the sequence can be cut to `length` and go on as if it had never been longer: false when the ring has
    /// recycled a page that a token there would see.
    #[must_use]
    pub fn can_rewind(&self, id: SeqId, length: u32) -> bool {
        let s = self.sequence(id);
        length <= s.length && (s.started <= self.seq_pages || length.div_ceil(PAGE) == s.started)
    }

    /// Cuts the sequence to `length`; pages behind it go back.
    ///
    /// # Panics
    /// If [`KvPages::can_rewind`] says no.
    pub fn rewind(&mut self, id: SeqId, length: u32) {
        assert!(
            self.can_rewind(id, length),
            "the pages before {length} have been recycled"
        );
        let s = self.sequence_mut(id);
        s.length = length;
        let keep = length.div_ceil(PAGE) as usize;
        if s.started as usize > s.pages.len() {
            return; // a wrapped ring keeps all its pages
        }
        s.started = keep as u32;
        let dropped = s.pages.split_off(keep.min(s.pages.len()));
        for page in dropped {
            self.release(page);
        }
    }

    /// Makes the empty sequence `to` share the first `length` tokens of `from`. The last page is shared too, though it is
    /// only partly ours: it is copied when either writes it.
    ///
    /// # Panics
    /// If `to` is not empty or [`KvPages::can_share`] says no.
    pub fn share(&mut self, from: SeqId, to: SeqId, length: u32) -> Vec<Edit> {
        assert!(self.can_share(from, length) && self.sequence(to).pages.is_empty());
        let pages: Vec<u32> = self.sequence(from).pages[..length.div_ceil(PAGE) as usize].to_vec();
        for page in &pages {
            self.refs[*page as usize] += 1;
        }
        let base = self.table_base(to);
        let edits = pages
            .iter()
            .zip(base..)
            .map(|(page, index)| Edit::Table { index, page: *page })
            .collect();
        *self.sequence_mut(to) = Sequence {
            length,
            started: pages.len() as u32,
            pages,
        };
        edits
    }

    /// Whether the first `length` tokens of a sequence can be shared: they are there and the ring has not wrapped.
    #[must_use]
    pub fn can_share(&self, from: SeqId, length: u32) -> bool {
        let s = self.sequence(from);
        length <= s.length && s.started as usize <= s.pages.len()
    }

    /// Slots per physical page, counted from its first, that hold a token some sequence can still see. The others are
    /// unwritten, given back or about to be recycled.
    #[must_use]
    pub fn held_slots(&self) -> Vec<u32> {
        let mut held = vec![0; self.refs.len()];
        for s in self.sequences.iter().flatten() {
            let ring = self.seq_pages - self.sink_pages;
            let recent = s.started.saturating_sub(ring).max(self.sink_pages)..s.started;
            for logical in (0..self.sink_pages.min(s.started)).chain(recent) {
                if let Some(page) = s.pages.get(self.ring_index(logical) as usize) {
                    let slots = s.length.saturating_sub(logical * PAGE).min(PAGE);
                    let held = &mut held[*page as usize];
                    *held = slots.max(*held);
                }
            }
        }
        held
    }
}

#[cfg(test)]
mod tests;
