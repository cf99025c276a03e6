//! A step of the static plan: a kernel and the buffers it is bound to. Steps know nothing of who executes them.

use crate::cpu::{Cores, CpuBindings};
use crate::shaders::Shader;
use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Index of a buffer in a plan.
pub type BufId = usize;

/// How a shader accesses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Uniform buffer.
    Uniform,
    /// Storage, read only.
    Read,
    /// Storage, read and write.
    ReadWrite,
}

/// Workgroups of a dispatch: `tiles` along x, and `groups` along y per `rows_per_group` rows of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Workgroups per row group.
    pub tiles: u32,
    /// Batch rows (tokens) one workgroup handles; [`Grid::ALL`] where it looks at all of them.
    pub rows_per_group: u32,
    /// Workgroups along y for each such group of rows; 1 but for what is computed several times a row.
    pub groups: u32,
}

/// Workgroups along x after which a grid is folded into z: no dimension may pass 65,535.
pub const FOLD: u32 = 32_768;

impl Grid {
    /// Rows per group of workgroups that see the whole batch.
    pub const ALL: u32 = u32::MAX;

    /// Workgroup counts for a batch of `rows`.
    #[must_use]
    pub fn dispatch(&self, rows: u32) -> [u32; 3] {
        [
            self.tiles.min(FOLD),
            rows.div_ceil(self.rows_per_group) * self.groups,
            self.tiles.div_ceil(FOLD),
        ]
    }
}

/// A kernel with its static parameters.
pub trait Kernel: Any + Debug + Send + Sync {
    /// The shader permutation.
    fn shader(&self) -> Shader;
    /// Bindings and how they are accessed. Binding 0 is the uniform of [`Kernel::params`] where that is not empty.
    fn slots(&self) -> Vec<(u32, Access)>;
    /// Contents of the uniform at binding 0, constant for the life of the plan.
    fn params(&self) -> Vec<u8>;
    /// Workgroups.
    fn grid(&self) -> Grid;
    /// The CPU twin: the same result for the first `rows` rows of the batch, scalar and in f64 where that is simpler.
    fn cpu(&self, rows: u32, mem: &CpuBindings<'_>);
    /// The same result at speed, over buffers as the CPU device holds them: weights ([`Role::Weights`]) and keys ([`Role::Keys`]) lie in
    /// panels, so a kernel that reads any must have a form of its own.
    fn fast(&self, rows: u32, mem: &CpuBindings<'_>, cores: &Cores) {
        let _ = cores;
        self.cpu(rows, mem);
    }
    /// Bytes of weights one workgroup row reads; every row group reads them again.
    fn weight_bytes(&self) -> u64 {
        0
    }
    /// Bytes of all weights that it chooses from for each row: rows that are computed together read no more.
    fn all_weight_bytes(&self) -> u64 {
        u64::MAX
    }
    /// Bytes of K and V that rows at these positions of a sequence read; none but for attention.
    fn kv_bytes(&self, positions: Range<u32>) -> u64 {
        let _ = positions;
        0
    }
}

/// A kernel bound to buffers.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique name, e.g. `layer12.attention`.
    pub name: String,
    /// What to run.
    pub kernel: Arc<dyn Kernel>,
    /// Binding → buffer, without the uniform of the kernel's own parameters.
    pub bind: Vec<(u32, BufId)>,
}

impl Step {
    /// What its shader binds: the buffers, and the uniform of the kernel's own parameters if it has any.
    pub(crate) fn slots(&self) -> Vec<(u32, Access)> {
        let mut slots = self.kernel.slots();
        if !self.kernel.params().is_empty() {
            slots.push((0, Access::Uniform));
        }
        slots
    }

    /// A kernel bound to buffers.
    pub fn new(
        name: impl Into<String>,
        kernel: impl Kernel + 'static,
        bind: Vec<(u32, BufId)>,
    ) -> Self {
        Self {
            name: name.into(),
            kernel: Arc::new(kernel),
            bind,
        }
    }
}

/// What a buffer is for: decides how it is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Storage.
    Storage,
    /// Uniform, rewritten by the host between submits.
    Uniform,
    /// Storage of weight matrices, one behind the other: `rows` rows of `row_words` words each.
    Weights {
        /// Words of a row; 0 where there are none to read.
        row_words: u32,
        /// Rows of a matrix.
        rows: u32,
        /// Words that shaders read at once: 4 of quants, 1 of scales.
        unit: u32,
    },
    /// Storage of keys: pages' KV heads, each of as many words of values and then of scales as [`crate::PAGE`] slots have.
    Keys {
        /// Words of a slot's values.
        values: u32,
        /// Words of their scales.
        scales: u32,
    },
}

/// A buffer of a plan.
#[derive(Clone, Debug)]
pub struct BufDesc {
    /// Name for messages and captures.
    pub label: String,
    /// Size in 4-byte words.
    pub words: u64,
    /// What it is for.
    pub role: Role,
}
