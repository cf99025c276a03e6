//! Thread layouts of matrix products.

use super::TILE;

/// How the work of a tile is shared among threads. Chosen from the device's capabilities and measured, never by vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// 8 threads of 4 whole rows each: no reduction, barriers are rare. For software adapters.
    RowPerThread,
    /// 4 threads of 8 rows each: for software adapters of four lanes, where eight threads run one four after the other and read the
    /// same activations twice. Halves are turned into f32 by plain arithmetic: processors that narrow have no instruction for it.
    RowPerThread4,
    /// 8 lanes a row, reduced through workgroup memory. Needs nothing.
    Lanes,
    /// 8 (or 4) lanes a row, reduced by subgroup shuffles.
    LanesSubgroup {
        /// Lanes sharing a row; must divide the smallest subgroup size.
        split: u32,
    },
    /// 64 rows by `cols` tokens (32 or 64) from copies in workgroup memory (shaders/matmul_tile.wgsl). For batches: without taps
    /// and caps. With experts, tokens are those that have routes to one of them.
    Tile,
    /// The same by cooperative matrices of f16 (shaders/matmul_coop.wgsl), 64 tokens, int8 activations. Where a GPU has them, natively.
    Cooperative(Cooperative),
}

/// Cooperative matrices of f16 that are summed in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cooperative {
    /// Rows and columns of all three.
    pub size: u32,
    /// Subgroups in a workgroup of 128 threads: 4 or 16.
    pub subgroups: u32,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RowPerThread => "row-per-thread",
            Self::RowPerThread4 => "row-per-thread-4",
            Self::Lanes => "lanes",
            Self::LanesSubgroup { split: 4 } => "lanes-subgroup-4",
            Self::LanesSubgroup { .. } => "lanes-subgroup",
            Self::Tile => "tile",
            Self::Cooperative(_) => "cooperative",
        })
    }
}

impl Layout {
    /// A batch's, which takes its operands from workgroup memory.
    #[must_use]
    pub fn is_tiled(self) -> bool {
        matches!(self, Self::Tile | Self::Cooperative(_))
    }

    /// A thread has whole rows.
    #[must_use]
    pub fn is_row_per_thread(self) -> bool {
        matches!(self, Self::RowPerThread | Self::RowPerThread4)
    }

    /// (rows per thread, lanes per row, threads).
    pub(super) fn shape(self) -> (u32, u32, u32) {
        match self {
            Self::RowPerThread => (4, 1, 8),
            Self::RowPerThread4 => (8, 1, 4),
            Self::Lanes => (1, 8, 256),
            Self::LanesSubgroup { split } => (1, split, TILE * split),
            Self::Tile | Self::Cooperative(_) => (4, 1, 128),
        }
    }
}
