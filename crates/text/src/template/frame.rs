//! What the scanner of [`super::source`] knows inside one pair of brackets, and where that puts guards.

/// One change: at `at`, `remove` bytes give way to `insert`.
pub(super) struct Edit {
    pub(super) at: usize,
    pub(super) remove: usize,
    pub(super) insert: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The tag itself.
    Top,
    /// `( … )` where an operand is expected.
    Group,
    /// `[ … ]` or `{ … }` where an operand is expected.
    Literal,
    Subscript,
    Call,
}

/// What is known inside one pair of brackets.
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// The next token begins an operand.
    pub(super) expect: bool,
    /// Start of the current operand, with what is attached to it by `.`, `[…]`, `(…)`, `|` and `**`.
    pub(super) primary: Option<usize>,
    /// Start of the current chain of `*`, `/`, `//`, `%`.
    pub(super) term: Option<usize>,
    /// The current operand is the right side of an operator: it gets a guard when it ends.
    pub(super) right: Option<&'static str>,
    /// The current chain is the right side of `~`: its value becomes text when the chain ends.
    pub(super) text: bool,
    /// The current chain is a product, quotient, power or remainder: its result gets a guard when the operand ends.
    pub(super) product: bool,
    /// The operand continues one begun before `**`.
    pub(super) powered: bool,
    /// Before `=` of `set` and `in` of `for`: names, not values.
    pub(super) target: bool,
    pub(super) comma: bool,
    /// Where the value before `|` ends.
    pub(super) pipe: Option<usize>,
    /// Guards of the operands of the current chain of `~` and `+`, as places among the edits.
    pub(super) chain: Vec<usize>,
    /// An operand of the current chain passes `safe`.
    pub(super) safe: bool,
    /// Where this bracket stands.
    pub(super) open: usize,
    /// The colons of a slice, each with the end of what stands before it.
    pub(super) colons: Vec<(usize, usize)>,
    /// Operators and attachments since the last comma: each nests the expression one deeper.
    pub(super) ops: usize,
}

impl Frame {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            expect: true,
            primary: None,
            term: None,
            right: None,
            text: false,
            product: false,
            powered: false,
            target: false,
            comma: false,
            pipe: None,
            chain: Vec::new(),
            safe: false,
            open: 0,
            colons: Vec::new(),
            ops: 0,
        }
    }

    pub(super) fn begin(&mut self, at: usize) {
        if !std::mem::take(&mut self.powered) {
            self.primary = Some(at);
        }
        self.term.get_or_insert(at);
        self.expect = false;
    }

    /// A sign before an operand: it binds closer than a product.
    pub(super) fn sign(&mut self, at: usize) {
        self.term.get_or_insert(at);
        self.ops += 1;
    }

    /// The operand that ended at `end` is complete.
    pub(super) fn finish(&mut self, end: usize, edits: &mut Vec<Edit>) {
        // Nothing stands where an operand should: left as it is, for the engine to complain about.
        if self.expect {
            return;
        }
        let mut insert = |at, text: &str| {
            edits.push(Edit {
                at,
                remove: 0,
                insert: text.into(),
            });
        };
        if let Some(guard) = self.right.take() {
            insert(end, guard);
        }
        if std::mem::take(&mut self.product)
            && let Some(start) = self.term
        {
            insert(start, "(");
            insert(end, ")|__c");
        }
        if std::mem::take(&mut self.text) {
            insert(end, "|__t");
        }
    }

    /// As [`Frame::finish`], where the chain goes on: it becomes text only as a whole.
    pub(super) fn finish_factor(&mut self, end: usize, edits: &mut Vec<Edit>) {
        let text = std::mem::take(&mut self.text);
        self.finish(end, edits);
        self.text = text;
    }

    /// The expression that ended at `end` is complete.
    pub(super) fn close(&mut self, end: usize, edits: &mut Vec<Edit>) {
        self.finish(end, edits);
        // `a ~ b ~ c` copies `a` twice: an operand weighs as often as it is copied.
        let n = self.chain.len();
        // `+` beside safe HTML escapes; `~` does not.
        let adds = |edit: &usize| edits.get(*edit).is_some_and(|e| e.insert == "|__c");
        let safe = std::mem::take(&mut self.safe) && n > 0 && self.chain.iter().all(adds);
        for (i, edit) in self.chain.drain(..).enumerate() {
            if let Some(edit) = edits.get_mut(edit) {
                if i + 1 < n {
                    edit.insert = format!("{}({})", edit.insert, n - i);
                }
                if safe {
                    edit.insert.push_str("|__e");
                }
            }
        }
        if safe {
            edits.push(Edit {
                at: end,
                remove: 0,
                insert: "|__e".into(),
            });
        }
    }

    pub(super) fn separator(&mut self, end: usize, edits: &mut Vec<Edit>) {
        self.close(end, edits);
        self.expect = true;
        self.term = None;
        self.ops += 1;
    }

    /// `x[a:b:c]` becomes `(x|__slice(a, b, c))`, where a missing part is none.
    pub(super) fn slice(&self, primary: usize, close: usize, end: usize, edits: &mut Vec<Edit>) {
        let mut edit = |at, remove, insert: &str| {
            edits.push(Edit {
                at,
                remove,
                insert: insert.into(),
            });
        };
        edit(primary, 0, "(");
        edit(self.open, 1, "|__slice(");
        let mut from = self.open + 1;
        for (colon, before) in &self.colons {
            edit(*colon, 1, if *before <= from { "none, " } else { ", " });
            from = colon + 1;
        }
        edit(close, 1, if end <= from { "none))" } else { "))" });
    }

    pub(super) fn target_ends(&mut self) {
        self.target = false;
        self.expect = true;
        self.primary = None;
        self.term = None;
    }

    /// An operator with a guard on both sides.
    pub(super) fn operator(&mut self, guard: &'static str, end: usize, edits: &mut Vec<Edit>) {
        if self.right.is_none() {
            edits.push(Edit {
                at: end,
                remove: 0,
                insert: guard.into(),
            });
        }
        self.separator(end, edits);
        self.right = Some(guard);
    }

    /// `~` or `+`: a guard on both sides, which knows how often the operand will be copied.
    /// `~` writes both sides as Python does; `+` takes them as they are.
    pub(super) fn concatenate(&mut self, as_text: bool, end: usize, edits: &mut Vec<Edit>) {
        if self.expect {
            return;
        }
        let guard = if as_text { "|__t" } else { "|__c" };
        // Between two such operators one guard is enough.
        if !self.product {
            self.right.take_if(|guard| *guard == "|__c");
            self.text = self.text && !as_text;
        }
        self.finish(end, edits);
        self.chain.push(edits.len());
        edits.push(Edit {
            at: end,
            remove: 0,
            insert: guard.into(),
        });
        self.expect = true;
        self.term = None;
        self.ops += 1;
        self.text = as_text;
        self.right = (!as_text).then_some(guard);
    }

    /// `*` or `%`: as above, and a guard on the result.
    pub(super) fn times(&mut self, guard: &'static str, end: usize, edits: &mut Vec<Edit>) {
        self.finish_factor(end, edits);
        edits.push(Edit {
            at: end,
            remove: 0,
            insert: guard.into(),
        });
        self.expect = true;
        self.ops += 1;
        // The right side of `%` is no format string, and that of `*` may be the factor.
        self.right = Some(if guard == "|__format" { "|__c" } else { guard });
        self.product = true;
    }

    pub(super) fn divided(&mut self, end: usize, edits: &mut Vec<Edit>) {
        self.finish_factor(end, edits);
        self.product = true;
        self.expect = true;
        self.ops += 1;
    }

    pub(super) fn power(&mut self) {
        self.product = true;
        self.expect = true;
        self.powered = true;
        self.ops += 1;
    }
}
