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
    /// The current chain is a product or remainder: its result gets a guard when the operand ends.
    pub(super) product: bool,
    /// The operand continues one begun before `**`.
    pub(super) powered: bool,
    /// Before `=` of `set` and `in` of `for`: names, not values.
    pub(super) target: bool,
    pub(super) comma: bool,
    pub(super) colon: bool,
    /// Where the value before `|` ends.
    pub(super) pipe: Option<usize>,
    /// Guards of the operands of the current chain of `~` and `+`, as places among the edits.
    pub(super) chain: Vec<usize>,
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
            product: false,
            powered: false,
            target: false,
            comma: false,
            colon: false,
            pipe: None,
            chain: Vec::new(),
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
    }

    /// The expression that ended at `end` is complete.
    pub(super) fn close(&mut self, end: usize, edits: &mut Vec<Edit>) {
        self.finish(end, edits);
        // `a ~ b ~ c` copies `a` twice: an operand weighs as often as it is copied.
        let n = self.chain.len();
        for (i, edit) in self.chain.drain(..).enumerate().filter(|(i, _)| i + 1 < n) {
            if let Some(edit) = edits.get_mut(edit) {
                edit.insert = format!("|__c({})", n - i);
            }
        }
    }

    pub(super) fn separator(&mut self, end: usize, edits: &mut Vec<Edit>) {
        self.close(end, edits);
        self.expect = true;
        self.term = None;
        self.ops += 1;
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
    pub(super) fn concatenate(&mut self, end: usize, edits: &mut Vec<Edit>) {
        if self.expect {
            return;
        }
        // Between two such operators one guard is enough.
        if !self.product {
            self.right.take_if(|guard| *guard == "|__c");
        }
        self.finish(end, edits);
        self.chain.push(edits.len());
        edits.push(Edit {
            at: end,
            remove: 0,
            insert: "|__c".into(),
        });
        self.expect = true;
        self.term = None;
        self.ops += 1;
        self.right = Some("|__c");
    }

    /// `*` or `%`: as above, and a guard on the result.
    pub(super) fn times(&mut self, guard: &'static str, end: usize, edits: &mut Vec<Edit>) {
        self.finish(end, edits);
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
        self.finish(end, edits);
        self.expect = true;
        self.ops += 1;
    }

    pub(super) fn power(&mut self) {
        self.expect = true;
        self.powered = true;
        self.ops += 1;
    }
}
